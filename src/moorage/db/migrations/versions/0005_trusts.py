"""Sign-in from outside, signed tokens, and a trail that can be checked.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _issuer() -> None:
    op.create_table(
        "issuer",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("url", _text, nullable=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("shared", _integer, nullable=False),
        sa.Column("jwks", sa.LargeBinary, nullable=False),
        sa.Column("ca_file", _text, nullable=False),
        sa.Column("enabled", _integer, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("created_by", _text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("url"),
        sqlite_autoincrement=True,
    )


def _trust() -> None:
    op.create_table(
        "trust",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("namespace_id", _integer, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("issuer_id", _integer, nullable=False),
        sa.Column("robot_id", _integer, nullable=False),
        sa.Column("token_id", _integer, nullable=False),
        sa.Column("audience", _text, nullable=False),
        sa.Column("rules", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.LargeBinary, nullable=False),
        sa.Column("enabled", _integer, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("created_by", _text, nullable=False),
        sa.Column("last_used_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("trust_by_issuer", "trust", ["issuer_id", "id"], unique=False)
    op.create_index("trust_by_name", "trust", ["namespace_id", "name"], unique=True)
    op.create_index("trust_by_robot", "trust", ["robot_id"], unique=False)


def _trust_use() -> None:
    op.create_table(
        "trust_use",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("trust_id", _integer, nullable=False),
        sa.Column("at", _integer, nullable=False),
        sa.Column("accepted", _integer, nullable=False),
        sa.Column("reason", _text, nullable=False),
        sa.Column("claims", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("trust_use_by_trust", "trust_use", ["trust_id", "id"], unique=False)


def _used_assertion() -> None:
    op.create_table(
        "used_assertion",
        sa.Column("issuer_id", _integer, nullable=False),
        sa.Column("assertion", _text, nullable=False),
        sa.Column("expires_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("issuer_id", "assertion"),
        sqlite_with_rowid=False,
    )
    op.create_index("used_assertion_by_expiry", "used_assertion", ["expires_at"], unique=False)


def _signing_key() -> None:
    op.create_table(
        "signing_key",
        sa.Column("id", _text, nullable=False),
        sa.Column("algorithm", _text, nullable=False),
        sa.Column("private", sa.LargeBinary, nullable=False),
        sa.Column("public", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("retired_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )


def _refresh() -> None:
    op.create_table(
        "refresh",
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("family", _text, nullable=False),
        sa.Column("principal_id", _integer, nullable=False),
        sa.Column("generation", _integer, nullable=False),
        sa.Column("token_id", _integer, nullable=False),
        sa.Column("trust_id", _integer, nullable=False),
        sa.Column("scopes", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("expires_at", _integer, nullable=False),
        sa.Column("spent_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sqlite_with_rowid=False,
    )
    op.create_index("refresh_by_expiry", "refresh", ["expires_at"], unique=False)
    op.create_index("refresh_by_family", "refresh", ["family"], unique=False)


def _provider() -> None:
    op.create_table(
        "provider",
        sa.Column("name", _text, nullable=False),
        sa.Column("url", _text, nullable=False),
        sa.Column("client_id", _text, nullable=False),
        sa.Column("client_secret", sa.LargeBinary, nullable=False),
        sa.Column("scopes", _text, nullable=False),
        sa.Column("name_claim", _text, nullable=False),
        sa.Column("groups_claim", _text, nullable=False),
        sa.Column("enabled", _integer, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )


def _sign_in() -> None:
    op.create_table(
        "sign_in",
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("provider", _text, nullable=False),
        sa.Column("verifier", sa.LargeBinary, nullable=False),
        sa.Column("nonce", _text, nullable=False),
        sa.Column("then", _text, nullable=False),
        sa.Column("expires_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("state"),
        sqlite_with_rowid=False,
    )
    op.create_index("sign_in_by_expiry", "sign_in", ["expires_at"], unique=False)


def _refusal() -> None:
    op.create_table(
        "refusal",
        sa.Column("minute", _integer, nullable=False),
        sa.Column("actor", _text, nullable=False),
        sa.Column("address", _text, nullable=False),
        sa.Column("repository", _text, nullable=False),
        sa.Column("action", _text, nullable=False),
        sa.Column("times", _integer, nullable=False),
        sa.Column("reason", _text, nullable=False),
        sa.Column("credential", _text, nullable=False),
        sa.Column("request_id", _text, nullable=False),
        sa.PrimaryKeyConstraint("minute", "actor", "address", "repository", "action"),
        sqlite_with_rowid=False,
    )


def _audit_head() -> None:
    op.create_table(
        "audit_head",
        sa.Column("place", _integer, nullable=False, autoincrement=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
        sa.Column("key_id", _text, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("place"),
        sqlite_with_rowid=False,
    )


def _idempotent() -> None:
    op.create_table(
        "idempotent",
        sa.Column("principal_id", _integer, nullable=False),
        sa.Column("key", _text, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("status", _integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("principal_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("idempotent_by_expiry", "idempotent", ["expires_at"], unique=False)


def _audit() -> None:
    op.add_column("audit", sa.Column("namespace_id", _integer, server_default="0", nullable=False))
    op.add_column("audit", sa.Column("address", _text, server_default="", nullable=False))
    op.add_column("audit", sa.Column("place", _integer, server_default="0", nullable=False))
    op.create_index(
        "audit_unsealed",
        "audit",
        ["id"],
        unique=False,
        sqlite_where=sa.text("place = 0"),
        postgresql_where=sa.text("place = 0"),
    )
    op.create_index("audit_by_place", "audit", ["place"], unique=False)
    op.create_index("audit_by_actor", "audit", ["actor", "id"], unique=False)
    op.create_index("audit_by_namespace", "audit", ["namespace_id", "id"], unique=False)
    op.create_index("audit_by_repository", "audit", ["repository_id", "id"], unique=False)


def upgrade() -> None:
    """Make the tables with their indexes."""
    _issuer()
    _trust()
    _trust_use()
    _used_assertion()
    _signing_key()
    _refresh()
    _provider()
    _sign_in()
    _refusal()
    _audit_head()
    _idempotent()
    _audit()
