"""What collection looks for is found by an index, and each run leaves a row.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_COUNTS = ("looked", "kept", "repositories", "manifests", "links", "blobs", "objects", "bytes")


def _partial(name: str, table: str, rule: str, *columns: str) -> None:
    op.create_index(
        name,
        table,
        list(columns),
        unique=False,
        sqlite_where=sa.text(rule),
        postgresql_where=sa.text(rule),
    )


def _runs() -> None:
    op.create_table(
        "collection_run",
        sa.Column("id", _integer, autoincrement=True, nullable=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("state", _text, nullable=False),
        sa.Column("reason", _text, nullable=False),
        sa.Column("started_at", _integer, nullable=False),
        sa.Column("ended_at", _integer, nullable=False),
        *(sa.Column(name, _integer, nullable=False) for name in _COUNTS),
        sa.Column("missed", _integer, nullable=False),
        sa.Column("orphans", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("collection_run_by_state", "collection_run", ["state", "id"], unique=False)
    op.create_index("collection_run_by_time", "collection_run", ["started_at"], unique=False)


def _waiting() -> None:
    """Have collection find what is in the trash already: nothing was queued when it went there."""
    op.execute(
        "UPDATE repository_blob SET lease_until = trash_until"
        " WHERE trash_until != 0 AND lease_until < trash_until"
    )
    op.execute(
        "INSERT INTO review_queue"
        " (kind, repository_id, subject_id, review_after, tries, event)"
        " SELECT 'manifest', repository_id, id, trash_until, 0, 'trashed'"
        " FROM manifest WHERE trash_until != 0"
    )


def _made_at() -> None:
    """Note since when this database has known of what comes into the store."""
    now = "CAST(strftime('%s', 'now') AS INTEGER) * 1000"
    text = "CAST({} AS TEXT)"
    if op.get_context().dialect.name == "postgresql":
        now = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
    since = f"COALESCE((SELECT min(created_at) FROM blob), {now})"
    op.execute(f"INSERT INTO setting (key, value) SELECT 'schema.made_at', {text.format(since)}")


def upgrade() -> None:
    """Make the table, the column and the indexes."""
    _runs()
    op.add_column("delete_queue", sa.Column("size", _integer, server_default="0", nullable=False))
    op.drop_index("review_queue_by_time", "review_queue")
    op.create_index(
        "review_queue_due",
        "review_queue",
        ["review_after", "kind", "repository_id", "subject_id"],
        unique=False,
    )
    _partial("repository_in_trash", "repository", "trash_until != 0", "trash_until", "id")
    _partial(
        "repository_blob_by_lease",
        "repository_blob",
        "lease_until != 0",
        "lease_until",
        "repository_id",
        "blob_id",
    )
    op.drop_index("manifest_reference_absent", "manifest_reference")
    op.drop_index("manifest_reference_by_child", "manifest_reference")
    _partial(
        "manifest_reference_by_child",
        "manifest_reference",
        "child_id != 0",
        "repository_id",
        "child_id",
        "kind",
    )
    _partial(
        "manifest_reference_missing",
        "manifest_reference",
        "child_id = 0",
        "repository_id",
        "child_digest",
    )
    _waiting()
    _made_at()
