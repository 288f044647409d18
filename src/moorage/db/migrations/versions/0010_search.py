"""What can be searched for, and the pieces of texts by which it is found.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, _integer, autoincrement=False, nullable=False)


def upgrade() -> None:
    """Make the tables; a job fills them with what is there already."""
    op.create_table(
        "search_entry",
        sa.Column("id", _integer, autoincrement=True, nullable=False),
        _number("repository_id"),
        _number("kind"),
        sa.Column("subject", _text, nullable=False),
        _number("manifest_id"),
        _number("scope"),
        sa.Column("folded", _text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "search_entry_by_subject", "search_entry", ["repository_id", "kind", "subject"], unique=True
    )
    op.create_index(
        "search_entry_by_repository", "search_entry", ["repository_id", "id"], unique=False
    )
    op.create_table(
        "search_piece",
        sa.Column("piece", _text, nullable=False),
        _number("kind"),
        _number("scope"),
        _number("entry_id"),
        sa.PrimaryKeyConstraint("piece", "kind", "scope", "entry_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_state",
        sa.Column("name", _text, nullable=False),
        _number("place"),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
