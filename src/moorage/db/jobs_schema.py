"""The tables of what no request waits for; the conventions of `db/schema.py` hold here too."""

import sqlalchemy as sa

from moorage.db.columns import (
    AUTOINCREMENT,
    CLUSTERED,
    data,
    identity,
    metadata,
    number,
    text,
)

job = sa.Table(
    "job",
    metadata,
    identity(),
    text("name"),
    text("key"),  # at most one waiting job of a name has a key that is not empty
    data("payload"),
    text("state"),  # waiting, running, done, dead or cancelled
    number("priority"),
    number("run_at"),
    number("attempts"),
    number("max_attempts"),
    text("worker"),
    number("lease_until"),
    number("epoch"),
    text("error"),
    number("created_at"),
    number("finished_at"),
    sa.Index("job_due", "state", "priority", "run_at", "id"),
    sa.Index("job_by_time", "state", "run_at"),
    sa.Index("job_lease", "state", "lease_until"),
    sa.Index("job_by_key", "name", "key", "state"),
    sa.Index("job_finished", "state", "finished_at"),
    sa.Index("job_by_state", "state", "id"),
    **AUTOINCREMENT,
)

job_schedule = sa.Table(
    "job_schedule",
    metadata,
    text("name", primary_key=True),
    number("every"),
    number("next_at"),
    sa.Index("job_schedule_due", "next_at"),
    **CLUSTERED,
)

# Servers that were seen lately; nothing is decided by it.
replica = sa.Table(
    "replica",
    metadata,
    text("id", primary_key=True),
    text("host"),
    text("version"),
    text("settings"),  # a digest of those that all replicas must have alike
    number("seen_at"),
    sa.Index("replica_by_time", "seen_at"),
    **CLUSTERED,
)
