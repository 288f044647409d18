"""The work that no request waits for, as administrators see it: look, try again, give up."""

from moorage.clock import SECOND
from moorage.db import jobs as rows
from moorage.db.engine import BEYOND_ALL, Tx
from moorage.db.jobs import Job
from moorage.errors import Conflicting, NotFound
from moorage.events.outbox import Event
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.registry import rights
from moorage.registry.services import Services

STATES = ("waiting", "running", "done", "dead", "cancelled")
_MOST_DEAD = 1_000
_LONGEST = 500


async def list_jobs(s: Services, actor: Actor, state: str, before: int, limit: int) -> list[Job]:
    """Return up to `limit` jobs with ids below `before` (0: the newest), of a state if given.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)
    return await s.db.read(
        lambda tx: rows.list_jobs(tx, before or BEYOND_ALL, limit, state=state), pages=True
    )


async def find_job(s: Services, actor: Actor, job_id: int) -> Job:
    """Return the job of that id.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is none, or it was done so long ago that it is forgotten.
    """
    await rights.require_administrator(s, actor)
    return _present(await s.db.read(lambda tx: rows.find_job(tx, job_id)), job_id)


async def retry_job(s: Services, actor: Actor, job_id: int, by: TagChange) -> Job:
    """Have a job that is dead, cancelled or waiting run now, with all of its tries before it.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is none of that id.
        Conflicting: it is running or done, or another one for the same thing waits already.
    """

    async def write(tx: Tx) -> Job:
        await rights.allow_administrator(tx, actor)
        job = _present(await rows.take_job(tx, job_id), job_id)
        if job.state in ("running", "done"):
            raise Conflicting(f"the job {job_id} is {job.state}")
        if job.key:
            waiting = await rows.find_waiting(tx, job.name, job.key)
            if waiting not in (None, job_id):
                raise Conflicting(f"the job {waiting} for the same thing waits already")
        now = s.clock.now()
        await rows.wake_job(tx, job_id, now)
        await _publish(s, tx, "job.retried", job, by, now)
        return _present(await rows.find_job(tx, job_id), job_id)

    await rights.require_administrator(s, actor)
    return await s.db.write(write)


async def cancel_job(s: Services, actor: Actor, job_id: int, by: TagChange) -> Job:
    """Give up a job; one that runs stops at its next write, and what it has written stays.

    One of the schedule comes again when its time comes.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is none of that id.
        Conflicting: it is done or cancelled.
    """

    async def write(tx: Tx) -> Job:
        await rights.allow_administrator(tx, actor)
        job = _present(await rows.take_job(tx, job_id), job_id)
        if job.state in ("done", "cancelled"):
            raise Conflicting(f"the job {job_id} is {job.state}")
        now = s.clock.now()
        told = f"cancelled by {actor.name}" + (f"; {job.error}" if job.error else "")
        await rows.cancel_job(tx, job_id, told[:_LONGEST], now)
        await _publish(s, tx, "job.cancelled", job, by, now)
        return _present(await rows.find_job(tx, job_id), job_id)

    await rights.require_administrator(s, actor)
    return await s.db.write(write)


async def tell(s: Services) -> None:
    """Tell the metrics how many jobs are dead, and how late the others are."""

    async def read(tx: Tx) -> tuple[int, int | None]:
        return await rows.count_dead(tx, _MOST_DEAD), await rows.find_next(tx)

    dead, due = await s.db.read(read, pages=True)
    late = max(0, s.clock.now() - due) if due is not None else 0
    s.telemetry.metrics.jobs.dead.set(dead)
    s.telemetry.metrics.jobs.late.set(late / SECOND)


def _present(job: Job | None, job_id: int) -> Job:
    if job is None:
        raise NotFound(
            f"there is no job {job_id}", hint="Those that are done are forgotten in a day"
        )
    return job


async def _publish(s: Services, tx: Tx, kind: str, job: Job, by: TagChange, now: int) -> None:
    data = {"job": job.id, "name": job.name, "state": job.state}
    await s.events.publish(tx, Event(kind, 0, now, by, data))
