"""The job queue's table and the schedule: claims with a lease and a fencing epoch."""

import msgspec
import sqlalchemy as sa

from moorage.db.engine import NO_TEXT, ONE, ZERO, Query, Tx, add_row, insert
from moorage.db.jobs_schema import job, job_schedule
from moorage.db.locks import lock_job

_WAITING: sa.ColumnClause[str] = sa.literal_column("'waiting'")
_RUNNING: sa.ColumnClause[str] = sa.literal_column("'running'")


class Job(msgspec.Struct, frozen=True):
    """A job as its worker or a person sees it; times in milliseconds."""

    id: int
    name: str
    key: str
    payload: bytes
    state: str
    run_at: int
    attempts: int
    max_attempts: int
    lease_until: int
    epoch: int
    error: str
    finished_at: int


_COLUMNS = (
    job.c.id,
    job.c.name,
    job.c.key,
    job.c.payload,
    job.c.state,
    job.c.run_at,
    job.c.attempts,
    job.c.max_attempts,
    job.c.lease_until,
    job.c.epoch,
    job.c.error,
    job.c.finished_at,
)

FIND_WAITING = Query(
    "find_waiting_job",
    sa.select(job.c.id)
    .where(job.c.name == sa.bindparam("name"))
    .where(job.c.key == sa.bindparam("key"))
    .where(job.c.state == _WAITING)
    .limit(ONE),
)
ADD_JOB = Query(
    "add_job",
    sa.insert(job)
    .values(
        name=sa.bindparam("name"),
        key=sa.bindparam("key"),
        payload=sa.bindparam("payload"),
        state=_WAITING,
        priority=sa.bindparam("priority"),
        run_at=sa.bindparam("run_at"),
        attempts=ZERO,
        max_attempts=sa.bindparam("max_attempts"),
        worker=NO_TEXT,
        lease_until=ZERO,
        epoch=ZERO,
        error=NO_TEXT,
        created_at=sa.bindparam("now"),
        finished_at=ZERO,
    )
    .returning(job.c.id),
)
_next = (
    sa.select(job.c.id)
    .where(job.c.state == _WAITING)
    .where(job.c.run_at <= sa.bindparam("now"))
    .order_by(job.c.priority, job.c.run_at, job.c.id)
    .limit(ONE)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
CLAIM_JOB = Query(
    "claim_job",
    sa.update(job)
    .where(job.c.id == _next)
    .values(
        state=_RUNNING,
        worker=sa.bindparam("new_worker"),
        lease_until=sa.bindparam("new_lease"),
        epoch=job.c.epoch + ONE,
        attempts=job.c.attempts + ONE,
    )
    .returning(*_COLUMNS),
)
# What is locked is being released, or written under its lease, by somebody else just now.
_expired = (
    sa.select(job.c.id)
    .where(job.c.state == _RUNNING)
    .where(job.c.lease_until < sa.bindparam("now"))
    .with_for_update(skip_locked=True)
)
RELEASE_EXPIRED = Query(
    "release_expired_jobs",
    sa.update(job)
    .where(job.c.id.in_(_expired))
    .values(
        state=sa.case(
            (job.c.attempts >= job.c.max_attempts, sa.literal_column("'dead'")),
            else_=_WAITING,
        ),
        error=sa.literal_column("'its worker stopped before it was done'"),
    ),
)
FIND_EXPIRED = Query(
    "find_expired_job",
    sa.select(job.c.id)
    .where(job.c.state == _RUNNING)
    .where(job.c.lease_until < sa.bindparam("now"))
    .limit(ONE),
)
_held = (
    sa.and_(
        job.c.id == sa.bindparam("job_id"),
        job.c.epoch == sa.bindparam("held_epoch"),
        job.c.state == _RUNNING,
    ),
)
HOLD_JOB = Query(
    "hold_job",
    sa.update(job).where(*_held).values(lease_until=sa.bindparam("new_lease")),
)
END_JOB = Query(
    "end_job",
    sa.update(job)
    .where(*_held)
    .values(
        state=sa.bindparam("new_state"),
        error=sa.bindparam("new_error"),
        run_at=sa.bindparam("new_run_at"),
        finished_at=sa.bindparam("new_finished_at"),
    ),
)
# It has its tries before it again: a part of its work is done.
REST_JOB = Query(
    "rest_job",
    sa.update(job)
    .where(*_held)
    .values(
        state=_WAITING,
        error=NO_TEXT,
        run_at=sa.bindparam("new_run_at"),
        attempts=ZERO,
    ),
)
LIST_JOBS = Query(
    "list_jobs",
    sa.select(*_COLUMNS)
    .where(job.c.id < sa.bindparam("before"))
    .order_by(job.c.id.desc())
    .limit(sa.bindparam("limit")),
)
LIST_JOBS_IN = Query(
    "list_jobs_in_state",
    sa.select(*_COLUMNS)
    .where(job.c.state == sa.bindparam("state"))
    .where(job.c.id < sa.bindparam("before"))
    .order_by(job.c.id.desc())
    .limit(sa.bindparam("limit")),
)
FIND_JOB = Query("find_job", sa.select(*_COLUMNS).where(job.c.id == sa.bindparam("job_id")))
TAKE_JOB = Query(
    "take_job", sa.select(*_COLUMNS).where(job.c.id == sa.bindparam("job_id")).with_for_update()
)
# A worker that has the job finds that it has not: it writes nothing any more.
SET_JOB = Query(
    "set_job",
    sa.update(job)
    .where(job.c.id == sa.bindparam("job_id"))
    .values(
        state=sa.bindparam("new_state"),
        run_at=sa.bindparam("new_run_at"),
        attempts=ZERO,
        lease_until=ZERO,
        epoch=job.c.epoch + ONE,
        error=sa.bindparam("new_error"),
        finished_at=sa.bindparam("new_finished_at"),
    ),
)
LIST_DEAD = Query(
    "list_dead_jobs",
    sa.select(job.c.id)
    .where(job.c.state == sa.literal_column("'dead'"))
    .limit(sa.bindparam("limit")),
)
FORGET_JOBS = Query(
    "forget_jobs",
    sa.delete(job)
    .where(job.c.state == sa.bindparam("state"))
    .where(job.c.finished_at < sa.bindparam("before")),
)
ADD_SCHEDULE = Query(
    "add_schedule",
    insert(job_schedule)
    .values(
        name=sa.bindparam("name"),
        every=sa.bindparam("every"),
        next_at=sa.bindparam("next_at"),
    )
    .on_conflict_do_update(
        index_elements=[job_schedule.c.name], set_={"every": sa.bindparam("new_every")}
    ),
)
LIST_DUE = Query(
    "list_due_schedules",
    sa.select(job_schedule.c.name, job_schedule.c.every, job_schedule.c.next_at).where(
        job_schedule.c.next_at <= sa.bindparam("now")
    ),
)
ADVANCE_SCHEDULE = Query(
    "advance_schedule",
    sa.update(job_schedule)
    .where(job_schedule.c.name == sa.bindparam("schedule"))
    .where(job_schedule.c.next_at == sa.bindparam("seen"))
    .values(next_at=sa.bindparam("new_next")),
)
FIND_NEXT = Query(
    "find_next_due",
    sa.select(
        sa.select(job.c.run_at)
        .where(job.c.state == _WAITING)
        .order_by(job.c.run_at)
        .limit(ONE)
        .scalar_subquery(),
        sa.select(job_schedule.c.next_at)
        .order_by(job_schedule.c.next_at)
        .limit(ONE)
        .scalar_subquery(),
    ),
)


async def add_job(  # noqa: PLR0913 - one row
    tx: Tx,
    name: str,
    payload: bytes,
    *,
    key: str = "",
    run_at: int,
    now: int,
    priority: int = 100,
    max_attempts: int = 10,
) -> int:
    """Add a job and return its id; with a key, the one that waits already is returned instead."""
    if key:
        await lock_job(tx, name, key)
        waiting = await tx.one(FIND_WAITING, name=name, key=key)
        if waiting is not None:
            found: int = waiting[0]
            return found
    return await add_row(
        tx,
        ADD_JOB,
        name=name,
        key=key,
        payload=payload,
        priority=priority,
        run_at=run_at,
        max_attempts=max_attempts,
        now=now,
    )


async def claim_job(tx: Tx, worker: str, now: int, lease_until: int) -> Job | None:
    """Take the most urgent due job, after giving back what dead workers held."""
    await tx.run(RELEASE_EXPIRED, now=now)
    row = await tx.one(CLAIM_JOB, now=now, new_worker=worker, new_lease=lease_until)
    return Job(*row) if row else None


async def has_expired(tx: Tx, now: int) -> bool:
    """Tell whether a worker has stopped under a job."""
    return await tx.one(FIND_EXPIRED, now=now) is not None


async def hold_job(tx: Tx, held: Job, lease_until: int) -> bool:
    """Extend the lease; False when it was lost, and the transaction must be given up."""
    return bool(
        await tx.run(HOLD_JOB, job_id=held.id, held_epoch=held.epoch, new_lease=lease_until)
    )


async def end_job(tx: Tx, held: Job, *, state: str, error: str, run_at: int, now: int) -> bool:
    """Set the job done, waiting again or dead; False when the lease was lost."""
    ended = await tx.run(
        END_JOB,
        job_id=held.id,
        held_epoch=held.epoch,
        new_state=state,
        new_error=error,
        new_run_at=run_at,
        new_finished_at=0 if state == "waiting" else now,
    )
    return bool(ended)


async def rest_job(tx: Tx, held: Job, *, run_at: int) -> bool:
    """Have the job go on later with the rest of its work; False when the lease was lost."""
    rested = await tx.run(REST_JOB, job_id=held.id, held_epoch=held.epoch, new_run_at=run_at)
    return bool(rested)


async def list_jobs(tx: Tx, before: int, limit: int, *, state: str = "") -> list[Job]:
    """Return up to `limit` jobs with an id below `before`, newest first; of a state if given."""
    if state:
        rows = await tx.many(LIST_JOBS_IN, state=state, before=before, limit=limit)
    else:
        rows = await tx.many(LIST_JOBS, before=before, limit=limit)
    return [Job(*row) for row in rows]


async def find_job(tx: Tx, job_id: int) -> Job | None:
    """Return the job of that id."""
    row = await tx.one(FIND_JOB, job_id=job_id)
    return Job(*row) if row else None


async def take_job(tx: Tx, job_id: int) -> Job | None:
    """Return the job of that id, which stays as it is until the transaction ends."""
    row = await tx.one(TAKE_JOB, job_id=job_id)
    return Job(*row) if row else None


async def find_waiting(tx: Tx, name: str, key: str) -> int | None:
    """Return the job of that name and key that waits; until the end nobody else adds one."""
    await lock_job(tx, name, key)
    row = await tx.one(FIND_WAITING, name=name, key=key)
    return row[0] if row else None


async def wake_job(tx: Tx, job_id: int, now: int) -> None:
    """Have the job, which the caller has taken, run now as if it never had."""
    await tx.run(
        SET_JOB, job_id=job_id, new_state="waiting", new_run_at=now, new_error="", new_finished_at=0
    )


async def cancel_job(tx: Tx, job_id: int, why: str, now: int) -> None:
    """End the job, which the caller has taken; a worker that has it loses it."""
    await tx.run(
        SET_JOB,
        job_id=job_id,
        new_state="cancelled",
        new_run_at=now,
        new_error=why,
        new_finished_at=now,
    )


async def count_dead(tx: Tx, most: int) -> int:
    """Return how many jobs are dead; counts no further than that many."""
    return len(await tx.many(LIST_DEAD, limit=most))


async def forget_jobs(tx: Tx, before: int) -> int:
    """Forget the jobs that were done or cancelled before that time; dead ones stay to be seen."""
    done = await tx.run(FORGET_JOBS, state="done", before=before)
    return done + await tx.run(FORGET_JOBS, state="cancelled", before=before)


async def put_schedule(tx: Tx, name: str, every: int, now: int) -> None:
    """Have the job run every so many milliseconds, from now on if it is new."""
    await tx.run(ADD_SCHEDULE, name=name, every=every, next_at=now, new_every=every)


async def fire_due(tx: Tx, now: int) -> None:
    """Enqueue the jobs whose time has come, each once however many times it was missed."""
    for name, every, next_at in sorted(await tx.many(LIST_DUE, now=now)):
        if await tx.run(ADVANCE_SCHEDULE, schedule=name, seen=next_at, new_next=now + every):
            await add_job(tx, name, b"", key="schedule", run_at=now, now=now)


async def find_next(tx: Tx) -> int | None:
    """Return when the next job or schedule is due, None if nothing is."""
    row = await tx.one(FIND_NEXT)
    times = [time for time in row or () if time is not None]
    return min(times) if times else None
