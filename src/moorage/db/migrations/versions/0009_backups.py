"""The registry knows which backups there are.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_NUMBERS = ("started_at", "taken_at", "ended_at", "objects", "bytes")


def upgrade() -> None:
    """Make the table with its indexes."""
    op.create_table(
        "backup",
        sa.Column("id", _text, nullable=False),
        sa.Column("host", _text, nullable=False),
        sa.Column("place", _text, nullable=False),
        sa.Column("state", _text, nullable=False),
        *(sa.Column(name, _integer, nullable=False) for name in _NUMBERS),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("backup_by_state", "backup", ["state", "id"], unique=False)
    op.create_index("backup_by_place", "backup", ["host", "place", "id"], unique=False)
