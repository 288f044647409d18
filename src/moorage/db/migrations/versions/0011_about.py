"""What repositories are about: a line and a README.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "about",
        sa.Column("repository_id", _integer, autoincrement=False, nullable=False),
        sa.Column("description", _text, nullable=False),
        sa.Column("readme", _text, nullable=False),
        sa.Column("version", _integer, autoincrement=False, nullable=False),
        sa.Column("changed_at", _integer, autoincrement=False, nullable=False),
        sa.Column("found", _text, nullable=False),
        sa.Column("found_in", _integer, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("repository_id"),
        sqlite_with_rowid=False,
    )
