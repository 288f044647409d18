"""Accounts, robots, teams, what they are granted and what they sign in with.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _principal() -> None:
    op.create_table(
        "principal",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("kind", _text, nullable=False),
        sa.Column("namespace_id", _integer, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("description", _text, nullable=False),
        sa.Column("enabled", _integer, nullable=False),
        sa.Column("administrator", _integer, nullable=False),
        sa.Column("generation", _integer, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("ended_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "principal_by_name", "principal", ["kind", "namespace_id", "name", "ended_at"], unique=True
    )


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("principal_id", _integer, nullable=False, autoincrement=False),
        sa.Column("full_name", _text, nullable=False),
        sa.Column("email", _text, nullable=False),
        sa.Column("password", _text, nullable=False),
        sa.Column("password_at", _integer, nullable=False),
        sa.Column("totp", sa.LargeBinary, nullable=False),
        sa.Column("totp_step", _integer, nullable=False),
        sa.Column("provider", _text, nullable=False),
        sa.Column("provider_subject", _text, nullable=False),
        sa.Column("confirmed_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("principal_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "account_by_provider",
        "account",
        ["provider", "provider_subject"],
        unique=True,
        sqlite_where=sa.text("provider != ''"),
        postgresql_where=sa.text("provider != ''"),
    )


def _team_member() -> None:
    op.create_table(
        "team_member",
        sa.Column("account_id", _integer, nullable=False),
        sa.Column("team_id", _integer, nullable=False),
        sa.Column("source", _text, nullable=False),
        sa.Column("added_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "team_id", "source"),
        sqlite_with_rowid=False,
    )
    op.create_index("team_member_by_team", "team_member", ["team_id", "account_id"], unique=False)


def _team_group() -> None:
    op.create_table(
        "team_group",
        sa.Column("provider", _text, nullable=False),
        sa.Column("group_name", _text, nullable=False),
        sa.Column("team_id", _integer, nullable=False),
        sa.PrimaryKeyConstraint("provider", "group_name", "team_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("team_group_by_team", "team_group", ["team_id"], unique=False)


def _grant() -> None:
    op.create_table(
        "grant",
        sa.Column("principal_id", _integer, nullable=False),
        sa.Column("namespace_id", _integer, nullable=False),
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("role", _text, nullable=False),
        sa.Column("rank", _integer, nullable=False),
        sa.Column("audits", _integer, nullable=False),
        sa.Column("granted_at", _integer, nullable=False),
        sa.Column("granted_by", _text, nullable=False),
        sa.PrimaryKeyConstraint("principal_id", "namespace_id", "repository_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "grant_by_namespace",
        "grant",
        ["namespace_id", "repository_id", "principal_id"],
        unique=False,
    )


def _readable() -> None:
    op.create_table(
        "readable",
        sa.Column("principal_id", _integer, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("repository_id", _integer, nullable=False),
        sa.PrimaryKeyConstraint("principal_id", "name"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "readable_by_repository", "readable", ["repository_id", "principal_id"], unique=False
    )


def _token() -> None:
    op.create_table(
        "token",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("principal_id", _integer, nullable=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("mark", _text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("expires_at", _integer, nullable=False),
        sa.Column("last_used_at", _integer, nullable=False),
        sa.Column("revoked_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "token_by_expiry",
        "token",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at != 0"),
        postgresql_where=sa.text("expires_at != 0"),
    )
    op.create_index("token_by_hash", "token", ["hash"], unique=True)
    op.create_index("token_by_principal", "token", ["principal_id", "id"], unique=False)


def _link() -> None:
    op.create_table(
        "link",
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("account_id", _integer, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("teams", sa.LargeBinary, nullable=False),
        sa.Column("created_by", _text, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("expires_at", _integer, nullable=False),
        sa.Column("spent_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sqlite_with_rowid=False,
    )
    op.create_index("link_by_expiry", "link", ["expires_at"], unique=False)


def _tag_rule() -> None:
    op.create_table(
        "tag_rule",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("namespace_id", _integer, nullable=False),
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("pattern", _text, nullable=False),
        sa.Column("exceptions", sa.LargeBinary, nullable=False),
        sa.Column("push_rank", _integer, nullable=False),
        sa.Column("move_rank", _integer, nullable=False),
        sa.Column("delete_rank", _integer, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("created_by", _text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "tag_rule_by_place", "tag_rule", ["namespace_id", "repository_id", "id"], unique=False
    )


def _namespace() -> None:
    op.add_column(
        "namespace", sa.Column("visibility", _text, server_default="private", nullable=False)
    )
    op.add_column(
        "namespace", sa.Column("rules_version", _integer, server_default="0", nullable=False)
    )


def _candidates() -> None:
    for visibility, principal in (("public", 0), ("internal", -1)):
        op.execute(
            "INSERT INTO readable (principal_id, name, repository_id) "
            f"SELECT {principal}, name, id FROM repository "
            f"WHERE visibility = '{visibility}' AND trash_until = 0"
        )


def upgrade() -> None:
    """Make the tables, and find what everybody may read already."""
    _principal()
    _account()
    _team_member()
    _team_group()
    _grant()
    _readable()
    _token()
    _link()
    _tag_rule()
    _namespace()
    _candidates()
