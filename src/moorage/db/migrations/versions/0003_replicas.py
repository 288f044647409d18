"""Servers that share a database see one another.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table with its index."""
    op.create_table(
        "replica",
        sa.Column("id", _text, nullable=False),
        sa.Column("host", _text, nullable=False),
        sa.Column("version", _text, nullable=False),
        sa.Column("settings", _text, nullable=False),
        sa.Column("seen_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("replica_by_time", "replica", ["seen_at"], unique=False)
