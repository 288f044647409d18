"""The process that runs jobs: what each name does, how often, and what is told of it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from moorage.clock import new_id
from moorage.db.engine import Database
from moorage.jobs.queue import Runner
from moorage.registry import backups, indexing, jobs, replicas, upkeep
from moorage.registry.services import Services

# How often the metrics are told what only the database knows.
_TOLD_SECONDS = 15
Look = Callable[[], Awaitable[None]]


async def run(s: Services, stop: asyncio.Event) -> None:
    """Run what is due until told to stop; a job under way is finished first."""
    runner = build(s, s.db)
    await runner.schedule(upkeep.schedule(s.config))
    looks = (
        _now_and_then(s, replicas.EVERY_SECONDS, partial(replicas.announce, s, new_id())),
        _now_and_then(s, _TOLD_SECONDS, partial(jobs.tell, s)),
        _now_and_then(s, _TOLD_SECONDS, partial(backups.tell_age, s)),
        indexing.Watch(s).keep,
    )

    async def between() -> None:
        for look in looks:
            await look()

    await runner.run_until(stop, between)


def _now_and_then(s: Services, seconds: int, work: Look) -> Look:
    """Return what does the work when it was last done so long ago; to be called often."""
    done_at = -float(seconds)

    async def look() -> None:
        nonlocal done_at
        now = s.clock.monotonic()
        if now >= done_at + seconds:
            await work()
            done_at = now

    return look


def build(s: Services, db: Database) -> Runner:
    """Return the runner of every job there is."""

    def ended(name: str, outcome: str, error: BaseException | None) -> None:
        s.telemetry.metrics.jobs.ended.labels(name, outcome).inc()
        if error is not None:
            s.telemetry.log.error("job failed", job=name, outcome=outcome, exc_info=error)

    return Runner(db, s.clock, s.telemetry.worker, upkeep.work(s), ended)
