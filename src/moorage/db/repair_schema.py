"""The tables of verification: what is damaged, what looked for it, and what it found."""

import sqlalchemy as sa

from moorage.db.columns import (
    AUTOINCREMENT,
    CLUSTERED,
    data,
    identity,
    metadata,
    number,
    partial,
    text,
)

# Objects whose bytes are not what their blob's digest says, or that are gone. What is here nobody
# deletes: neither collection nor a sweep, only an administrator, or a purge of the digest.
damage = sa.Table(
    "damage",
    metadata,
    identity(),
    text("location", unique=True),
    number("blob_id"),
    data("digest"),  # the identity that the bytes should have
    number("size"),
    text("why"),  # missing, size, content or unreadable
    text("found_by"),  # pull, scrub or fsck
    number("found_at"),
    # Why the blob is no longer lost while the object is kept: healed or collected.
    text("ending"),
    number("ended_at"),  # 0 while the blob is lost
    sa.Index("damage_by_digest", "digest"),
    partial("damage_open", "ended_at = 0", "id"),
    **AUTOINCREMENT,
)

# One look at everything; `step` and `place` say how far it is, so that another process goes on.
verification_run = sa.Table(
    "verification_run",
    metadata,
    identity(),
    text("kind"),  # scrub, fast or full
    number("repairs"),  # 1 if it may repair
    text("state"),  # running, done, stopped or broken off
    text("reason"),  # why it stopped
    number("job_id"),  # 0 for a scrub
    number("started_at"),
    number("ended_at"),
    number("step"),
    data("place"),
    number("looked"),  # rows and objects
    number("objects"),  # whose bytes were read to the end
    number("bytes"),
    number("found"),
    number("repaired"),
    sa.Index("verification_run_by_state", "state", "id"),
    sa.Index("verification_run_by_time", "started_at"),
    **AUTOINCREMENT,
)

verification_finding = sa.Table(
    "verification_finding",
    metadata,
    number("run_id", primary_key=True),
    number("place", primary_key=True),
    text("rule"),  # I1 to I14
    text("subject"),
    text("problem"),
    text("repair"),  # what was done about it; empty if nothing
    **CLUSTERED,
)
