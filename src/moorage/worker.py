"""The process that runs jobs: what each name does, how often, and what is told of it."""

import asyncio

from moorage.db.engine import Database
from moorage.jobs.queue import Runner
from moorage.registry import backups, indexing, jobs, replicas, upkeep
from moorage.registry.services import Services


async def run(s: Services, stop: asyncio.Event) -> None:
    """Run what is due until told to stop; a job under way is finished first."""
    runner = build(s, s.db)
    await runner.schedule(upkeep.schedule(s.config))
    presence, watch, age = replicas.Presence(s), jobs.Watch(s), backups.Watch(s)
    searched = indexing.Watch(s)

    async def between() -> None:
        await presence.keep()
        await watch.keep()
        await age.keep()
        await searched.keep()

    await runner.run_until(stop, between)


def build(s: Services, db: Database) -> Runner:
    """Return the runner of every job there is."""

    def ended(name: str, outcome: str, error: BaseException | None) -> None:
        s.telemetry.metrics.jobs.ended.labels(name, outcome).inc()
        if error is not None:
            s.telemetry.log.error("job failed", job=name, outcome=outcome, exc_info=error)

    return Runner(db, s.clock, s.telemetry.worker, upkeep.work(s), ended)
