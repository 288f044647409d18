"""When repositories last changed, for those who see all and for each who reads them.

What is there already is read through by a job (`registry/changes.py`), in slices, and stands behind
all that has been until then: this step reads rows for the indexes alone. What pushes and pulls wait
for, on PostgreSQL, is `repository`, so that the larger table comes before it.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns and the indexes in their order."""
    op.add_column("readable", _changed_at())
    op.create_index(
        "readable_by_change", "readable", ["principal_id", "changed_at", "name"], unique=False
    )
    op.add_column("repository", _changed_at())
    op.add_column("repository", sa.Column("content_kind", _text, server_default="", nullable=False))
    op.create_index(
        "repository_by_change", "repository", ["changed_at", "name", "trash_until"], unique=False
    )


def _changed_at() -> sa.Column[int]:
    return sa.Column("changed_at", _integer, server_default="0", nullable=False)
