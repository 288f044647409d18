"""The tables of who may do what; `db/schema.py` has the conventions, which hold here as well.

A *principal* is whoever can be given a right: an account, a robot or a team. Their ids are of one
kind, so that a grant names any of them alike. Secrets are kept as hashes that can't be turned back.
"""

import sqlalchemy as sa

from moorage.db.columns import (
    AUTOINCREMENT,
    CLUSTERED,
    data,
    identity,
    metadata,
    number,
    partial,
    text,
)

principal = sa.Table(
    "principal",
    metadata,
    identity(),
    text("kind"),  # account, robot or team
    number("namespace_id"),  # where a robot or team belongs; 0 for accounts
    text("name"),
    text("description"),
    number("enabled"),
    number("administrator"),  # of the whole registry; accounts only
    # Counted up when everything that it was given before must end: a new password, a disabling.
    number("generation"),
    number("created_at"),
    number("ended_at"),  # 0 while it lives; its name is free again afterwards
    sa.Index("principal_by_name", "kind", "namespace_id", "name", "ended_at", unique=True),
    **AUTOINCREMENT,
)

account = sa.Table(
    "account",
    metadata,
    number("principal_id", primary_key=True),
    text("full_name"),
    text("email"),
    text("password"),  # argon2id; empty: it can't sign in by password
    number("password_at"),
    data("totp"),  # the secret, enciphered; empty without a second factor
    number("totp_step"),  # the last one that was used: no code is good twice
    text("provider"),  # whose word it is that the person still belongs; empty: our own
    text("provider_subject"),
    number("confirmed_at"),  # when the provider last said so
    partial("account_by_provider", "provider != ''", "provider", "provider_subject", unique=True),
    **CLUSTERED,
)

team_member = sa.Table(
    "team_member",
    metadata,
    number("account_id", primary_key=True),
    number("team_id", primary_key=True),
    text("source", primary_key=True),  # the provider whose group says so; empty: by hand
    number("added_at"),
    sa.Index("team_member_by_team", "team_id", "account_id"),
    **CLUSTERED,
)

# Which group of a provider is which team.
team_group = sa.Table(
    "team_group",
    metadata,
    text("provider", primary_key=True),
    text("group_name", primary_key=True),
    number("team_id", primary_key=True),
    sa.Index("team_group_by_team", "team_id"),
    **CLUSTERED,
)

grant = sa.Table(
    "grant",
    metadata,
    number("principal_id", primary_key=True),
    number("namespace_id", primary_key=True),
    number("repository_id", primary_key=True),  # 0: all repositories of the namespace
    text("role"),  # reader, writer, maintainer, owner or auditor
    # What the role comes to, for the statements: `model/access.py` says how.
    number("rank"),
    number("audits"),
    number("granted_at"),
    text("granted_by"),
    sa.Index("grant_by_namespace", "namespace_id", "repository_id", "principal_id"),
    **CLUSTERED,
)

# Who may find which repository in the catalogue: kept beside the grants, and only candidates, since
# each page looks at the grants again. Principal 0 is everybody, -1 everybody who is signed in.
readable = sa.Table(
    "readable",
    metadata,
    number("principal_id", primary_key=True),
    text("name", primary_key=True),
    number("repository_id"),
    number("changed_at", server_default="0"),  # the repository's, for pages in its order
    sa.Index("readable_by_repository", "repository_id", "principal_id"),
    sa.Index("readable_by_change", "principal_id", "changed_at", "name"),
    **CLUSTERED,
)

token = sa.Table(
    "token",
    metadata,
    identity(),
    number("principal_id"),
    text("kind"),  # personal, robot, session or trust
    text("name"),
    text("mark"),  # its first characters, for people to know it by
    data("hash"),
    data("scopes"),  # JSON; empty: everything that the principal may
    number("created_at"),
    number("expires_at"),  # 0: never
    number("last_used_at"),
    number("revoked_at"),
    sa.Index("token_by_hash", "hash", unique=True),
    sa.Index("token_by_principal", "principal_id", "id"),
    partial("token_by_expiry", "expires_at != 0", "expires_at"),
    **AUTOINCREMENT,
)

# Links that are good once: the first account, an invitation, a new password.
link = sa.Table(
    "link",
    metadata,
    data("hash", primary_key=True),
    text("kind"),  # setup, invitation or password
    number("account_id"),  # whose password; 0 for a new account
    text("name"),  # the name that the new account must have; empty: a free choice
    data("teams"),  # JSON: the ids of the teams that the new account joins
    text("created_by"),
    number("created_at"),
    number("expires_at"),
    number("spent_at"),
    sa.Index("link_by_expiry", "expires_at"),
    **CLUSTERED,
)

# Who may push, move and delete which tags. Ranks are those of roles; 9 is nobody.
tag_rule = sa.Table(
    "tag_rule",
    metadata,
    identity(),
    number("namespace_id"),
    number("repository_id"),  # 0: all of the namespace
    text("pattern"),
    data("exceptions"),  # JSON: patterns of tags that it is not for
    number("push_rank"),
    number("move_rank"),
    number("delete_rank"),
    number("created_at"),
    text("created_by"),
    sa.Index("tag_rule_by_place", "namespace_id", "repository_id", "id"),
    **AUTOINCREMENT,
)

# Who issues the identity tokens that machines sign in with; registered by administrators.
issuer = sa.Table(
    "issuer",
    metadata,
    identity(),
    text("url", unique=True),
    text("kind"),  # github, gitlab, jenkins, kubernetes or generic
    number("shared"),  # others than us run workloads there
    data("jwks"),  # its keys, where they can't be fetched; empty: fetched
    text("ca_file"),
    number("enabled"),
    number("created_at"),
    text("created_by"),
    **AUTOINCREMENT,
)

trust = sa.Table(
    "trust",
    metadata,
    identity(),
    number("namespace_id"),
    text("name"),
    number("issuer_id"),
    number("robot_id"),
    number("token_id"),  # which its bearers name: revoking it ends them
    text("audience"),
    data("rules"),  # JSON: what each claim must be
    data("scopes"),  # JSON, as a token's
    number("enabled"),
    number("created_at"),
    text("created_by"),
    number("last_used_at"),
    sa.Index("trust_by_name", "namespace_id", "name", unique=True),
    sa.Index("trust_by_issuer", "issuer_id", "id"),
    sa.Index("trust_by_robot", "robot_id"),
    **AUTOINCREMENT,
)

# The last exchanges, with why they were refused, for whoever writes the rules.
trust_use = sa.Table(
    "trust_use",
    metadata,
    identity(),
    number("trust_id"),
    number("at"),
    number("accepted"),
    text("reason"),
    data("claims"),  # JSON
    sa.Index("trust_use_by_trust", "trust_id", "id"),
    **AUTOINCREMENT,
)

used_assertion = sa.Table(
    "used_assertion",
    metadata,
    number("issuer_id", primary_key=True),
    text("assertion", primary_key=True),  # its `jti`
    number("expires_at"),
    sa.Index("used_assertion_by_expiry", "expires_at"),
    **CLUSTERED,
)

# Keys that tokens of ours are signed with; all replicas share them.
signing_key = sa.Table(
    "signing_key",
    metadata,
    text("id", primary_key=True),
    text("algorithm"),
    data("private"),  # enciphered; empty once it signs no longer
    data("public"),  # a JWK
    number("created_at"),
    number("retired_at"),  # 0: it signs; later: it is only verified with
    **CLUSTERED,
)

# Refresh tokens, each good once; the use of a spent one ends its family.
refresh = sa.Table(
    "refresh",
    metadata,
    data("hash", primary_key=True),
    text("family"),
    number("principal_id"),
    number("generation"),
    number("token_id"),
    number("trust_id"),
    data("scopes"),  # JSON
    number("created_at"),
    number("expires_at"),
    number("spent_at"),
    sa.Index("refresh_by_family", "family"),
    sa.Index("refresh_by_expiry", "expires_at"),
    **CLUSTERED,
)

# Sign-in from outside by OpenID Connect.
provider = sa.Table(
    "provider",
    metadata,
    text("name", primary_key=True),
    text("url"),
    text("client_id"),
    data("client_secret"),  # enciphered
    text("scopes"),
    text("name_claim"),
    text("groups_claim"),
    number("enabled"),
    number("created_at"),
    **CLUSTERED,
)

sign_in = sa.Table(
    "sign_in",
    metadata,
    data("state", primary_key=True),  # hashed
    text("provider"),
    data("verifier"),
    text("nonce"),
    text("then"),
    number("expires_at"),
    sa.Index("sign_in_by_expiry", "expires_at"),
    **CLUSTERED,
)

# Refusals are counted, so that nobody can fill the trail; challenges are not.
refusal = sa.Table(
    "refusal",
    metadata,
    number("minute", primary_key=True),
    text("actor", primary_key=True),
    text("address", primary_key=True),
    text("repository", primary_key=True),
    text("action", primary_key=True),
    number("times"),
    text("reason"),  # and the rest, of the last one
    text("credential"),
    text("request_id"),
    **CLUSTERED,
)

# What the chain of the audit trail has come to, signed.
audit_head = sa.Table(
    "audit_head",
    metadata,
    number("place", primary_key=True),
    data("seal"),
    text("key_id"),
    data("signature"),
    number("at"),
    **CLUSTERED,
)

# Answers that were given already, for whoever asks again under the same key.
idempotent = sa.Table(
    "idempotent",
    metadata,
    number("principal_id", primary_key=True),
    text("key", primary_key=True),
    data("request"),  # a digest of what was asked
    number("status"),
    data("body"),
    number("expires_at"),
    sa.Index("idempotent_by_expiry", "expires_at"),
    **CLUSTERED,
)
