"""Queues, events, the audit trail, usage, and what collection needs.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _store_epoch() -> None:
    op.create_table(
        "store_epoch",
        sa.Column("epoch", _integer, nullable=False, autoincrement=False),
        sa.Column("at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("epoch"),
    )


def _delete_queue() -> None:
    op.create_table(
        "delete_queue",
        sa.Column("location", _text, nullable=False),
        sa.Column("not_before", _integer, nullable=False),
        sa.Column("reason", _text, nullable=False),
        sa.PrimaryKeyConstraint("location"),
        sqlite_with_rowid=False,
    )
    op.create_index("delete_queue_by_time", "delete_queue", ["not_before"], unique=False)


def _review_queue() -> None:
    op.create_table(
        "review_queue",
        sa.Column("kind", _text, nullable=False),
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("subject_id", _integer, nullable=False),
        sa.Column("review_after", _integer, nullable=False),
        sa.Column("tries", _integer, nullable=False),
        sa.Column("event", _text, nullable=False),
        sa.PrimaryKeyConstraint("kind", "repository_id", "subject_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("review_queue_by_time", "review_queue", ["review_after"], unique=False)


def _hold() -> None:
    op.create_table(
        "hold",
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("source", _text, nullable=False),
        sa.Column("reason", _text, nullable=False),
        sa.Column("until", _integer, nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "digest", "source"),
        sqlite_with_rowid=False,
    )
    op.create_index("hold_by_time", "hold", ["until"], unique=False)


def _event_outbox() -> None:
    op.create_table(
        "event_outbox",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("kind", _text, nullable=False),
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )


def _event_feed() -> None:
    op.create_table(
        "event_feed",
        sa.Column("place", _integer, nullable=False, autoincrement=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_index("event_feed_by_time", "event_feed", ["at"], unique=False)


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("at", _integer, nullable=False),
        sa.Column("actor", _text, nullable=False),
        sa.Column("credential", _text, nullable=False),
        sa.Column("request_id", _text, nullable=False),
        sa.Column("action", _text, nullable=False),
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("detail", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )


def _usage() -> None:
    op.create_table(
        "usage",
        sa.Column("namespace_id", _integer, nullable=False, autoincrement=False),
        sa.Column("bytes", _integer, nullable=False),
        sa.PrimaryKeyConstraint("namespace_id"),
        sqlite_with_rowid=False,
    )


def _usage_delta() -> None:
    op.create_table(
        "usage_delta",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("namespace_id", _integer, nullable=False),
        sa.Column("bytes", _integer, nullable=False),
        sa.Column("at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("usage_delta_by_namespace", "usage_delta", ["namespace_id"], unique=False)


def _pull_delta() -> None:
    op.create_table(
        "pull_delta",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("manifest_id", _integer, nullable=False),
        sa.Column("tag", _text, nullable=False),
        sa.Column("pulls", _integer, nullable=False),
        sa.Column("last_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )


def _pull_stat() -> None:
    op.create_table(
        "pull_stat",
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("manifest_id", _integer, nullable=False),
        sa.Column("tag", _text, nullable=False),
        sa.Column("pulls", _integer, nullable=False),
        sa.Column("last_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "manifest_id", "tag"),
        sqlite_with_rowid=False,
    )


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("name", _text, nullable=False),
        sa.Column("key", _text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("state", _text, nullable=False),
        sa.Column("priority", _integer, nullable=False),
        sa.Column("run_at", _integer, nullable=False),
        sa.Column("attempts", _integer, nullable=False),
        sa.Column("max_attempts", _integer, nullable=False),
        sa.Column("worker", _text, nullable=False),
        sa.Column("lease_until", _integer, nullable=False),
        sa.Column("epoch", _integer, nullable=False),
        sa.Column("error", _text, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("finished_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("job_by_key", "job", ["name", "key", "state"], unique=False)
    op.create_index("job_by_time", "job", ["state", "run_at"], unique=False)
    op.create_index("job_due", "job", ["state", "priority", "run_at", "id"], unique=False)
    op.create_index("job_finished", "job", ["state", "finished_at"], unique=False)
    op.create_index("job_lease", "job", ["state", "lease_until"], unique=False)


def _job_schedule() -> None:
    op.create_table(
        "job_schedule",
        sa.Column("name", _text, nullable=False),
        sa.Column("every", _integer, nullable=False),
        sa.Column("next_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_index("job_schedule_due", "job_schedule", ["next_at"], unique=False)


def upgrade() -> None:
    """Make the tables with their indexes."""
    _store_epoch()
    _delete_queue()
    _review_queue()
    _hold()
    _event_outbox()
    _event_feed()
    _audit()
    _usage()
    _usage_delta()
    _pull_delta()
    _pull_stat()
    _job()
    _job_schedule()
