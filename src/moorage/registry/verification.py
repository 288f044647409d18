"""Checks as administrators see them: begin one, and see how far it is and what it found."""

import msgspec

from moorage.db import damage as kept
from moorage.db import jobs, verifying
from moorage.db import verifications as rows
from moorage.db.engine import BEYOND_ALL, Tx
from moorage.db.verifications import Finding, Run
from moorage.errors import Conflicting, NotFound
from moorage.events.outbox import Event
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.registry import rights
from moorage.registry.fsck import JOB, Asked, steps_of
from moorage.registry.services import Services

_MOST_LOST = 1_000


class State(msgspec.Struct, frozen=True):
    """How much is lost, and since when the bytes of some blob were not read (or 0)."""

    lost: int
    oldest_at: int
    last: Run | None
    last_scrub: Run | None


async def find_state(s: Services, actor: Actor) -> State:
    """Return how verification stands.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)

    async def read(tx: Tx) -> State:
        runs = [await _real(tx, run) for run in await rows.list_runs(tx, BEYOND_ALL, 50)]
        scrubs = [run for run in runs if run.kind == rows.SCRUB]
        asked = [run for run in runs if run.kind != rows.SCRUB]
        return State(
            await kept.count_open(tx, _MOST_LOST),
            await verifying.find_oldest(tx) or 0,
            asked[0] if asked else None,
            scrubs[0] if scrubs else None,
        )

    return await s.db.read(read, pages=True)


async def start(s: Services, actor: Actor, kind: str, by: TagChange, *, repairs: bool) -> Run:
    """Begin a check, `fast` or `full`, and return it.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        Invalid: there is no such kind.
        Conflicting: one is under way.
    """
    await rights.require_administrator(s, actor)
    steps_of(kind)

    async def write(tx: Tx) -> Run:
        await rights.hold_administration(tx, actor)
        now = s.clock.now()
        for each in await rows.list_running(tx):
            await _end_broken(tx, each, now)
        number = await rows.add_run(tx, kind, now, repairs=repairs)
        job = await s.jobs.enqueue(tx, JOB, Asked(number), key=str(number))
        await rows.set_job(tx, number, job)
        data = {"run": number, "kind": kind, "repairs": repairs}
        await s.events.publish(tx, Event("verification.started", 0, now, by, data))
        return _present(await rows.find_run(tx, number), number)

    return await s.db.write(write)


async def _end_broken(tx: Tx, run: Run, now: int) -> None:
    """End a run of which there is no job any more.

    Raises:
        Conflicting: there is.
    """
    if run.kind == rows.SCRUB:
        return
    if (await _real(tx, run)).state == "running":
        raise Conflicting(
            f"the check {run.id} is under way", hint=f"See `moorage fsck show {run.id}`"
        )
    await rows.end_run(tx, run.id, "broken off", "its job has ended", now)


async def list_runs(s: Services, actor: Actor, before: int, limit: int) -> list[Run]:
    """Return up to `limit` runs, scrubs too, with ids below `before` (0: the newest).

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)

    async def read(tx: Tx) -> list[Run]:
        return [
            await _real(tx, run) for run in await rows.list_runs(tx, before or BEYOND_ALL, limit)
        ]

    return await s.db.read(read, pages=True)


async def find_run(s: Services, actor: Actor, run_id: int) -> Run:
    """Return a run.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is none of that id.
    """
    await rights.require_administrator(s, actor)

    async def read(tx: Tx) -> Run:
        return await _real(tx, _present(await rows.find_run(tx, run_id), run_id))

    return await s.db.read(read)


async def list_findings(
    s: Services, actor: Actor, run_id: int, after: int, limit: int
) -> list[tuple[int, Finding]]:
    """Return up to `limit` findings of a run behind a place, each with its own.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is no such run.
    """
    await rights.require_administrator(s, actor)

    async def read(tx: Tx) -> list[tuple[int, Finding]]:
        _present(await rows.find_run(tx, run_id), run_id)
        return await rows.list_findings(tx, run_id, after, limit)

    return await s.db.read(read, pages=True)


async def _real(tx: Tx, run: Run) -> Run:
    """Return the run as it is: one whose job was cancelled or given up runs no more."""
    if run.state != "running" or run.kind == rows.SCRUB:
        return run
    job = await jobs.find_job(tx, run.job_id)
    if job is not None and job.state in ("waiting", "running"):
        return run
    reason = (job.error if job is not None else "") or "its job has ended"
    return msgspec.structs.replace(run, state="broken off", reason=reason)


def _present(run: Run | None, run_id: int) -> Run:
    if run is None:
        raise NotFound(f"there is no check {run_id}", hint="They are forgotten after 90 days")
    return run
