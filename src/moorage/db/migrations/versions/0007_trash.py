"""What is in the trash is found by an index; what waits for its deletion, by its digest; dead jobs.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the column and the indexes."""
    op.add_column(
        "delete_queue", sa.Column("digest", sa.LargeBinary, server_default="", nullable=False)
    )
    op.create_index(
        "delete_queue_by_digest",
        "delete_queue",
        ["digest"],
        unique=False,
        sqlite_where=sa.text("digest != x''"),
        postgresql_where=sa.text("digest != ''::bytea"),
    )
    rule = sa.text("trash_until != 0")
    for name, table, columns in (
        ("repository_trashed", "repository", ["namespace_id", "id"]),
        ("repository_blob_trashed", "repository_blob", ["repository_id", "blob_id"]),
        ("manifest_trashed", "manifest", ["repository_id", "id"]),
    ):
        op.create_index(
            name, table, columns, unique=False, sqlite_where=rule, postgresql_where=rule
        )
    op.create_index("job_by_state", "job", ["state", "id"], unique=False)
