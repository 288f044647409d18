"""How often repositories are pulled from, day by day.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    names = ("repository_id", "day", "pulls", "last_at")
    op.create_table(
        "pull_day",
        *(sa.Column(name, _integer, autoincrement=False, nullable=False) for name in names),
        sa.PrimaryKeyConstraint("repository_id", "day"),
        sqlite_with_rowid=False,
    )
