"""When repositories last changed, for those who see all and for each who reads them.

What is there already is read through by a job (`registry/changes.py`), in slices, and stands behind
all that has been until then: this step reads no row.

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
    for table in ("repository", "readable"):
        op.add_column(table, sa.Column("changed_at", _integer, server_default="0", nullable=False))
    op.add_column("repository", sa.Column("content_kind", _text, server_default="", nullable=False))
    op.create_index(
        "repository_by_change", "repository", ["changed_at", "name", "trash_until"], unique=False
    )
    op.create_index(
        "readable_by_change", "readable", ["principal_id", "changed_at", "name"], unique=False
    )
