"""Runs of collection in one process, at whatever time a test says that it is."""

from __future__ import annotations

from typing import Any

import msgspec

from moorage.clock import DAY, HOUR, Clock, uptime
from moorage.db import collection_runs, jobs
from moorage.db.collection_runs import Run
from moorage.db.engine import Query, Tx
from moorage.jobs.queue import LEASE, Running
from moorage.registry import collect, deleting, sweep
from moorage.registry.collecting import Watch
from moorage.registry.services import Services

# After this, leases have ended; and after this, what was deleted is no longer in the trash.
LEASED, TRASHED = 25 * HOUR, 15 * DAY


class Ahead:
    """A clock that a test puts forward; the machine has been up as long as that says."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead = 0

    def now(self) -> int:
        """Return the time as the test has it."""
        return self._clock.now() + self.ahead

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._clock.monotonic()

    def uptime(self) -> int:
        """Return how long the machine has been up, as if the test's time had gone by."""
        return uptime() + self.ahead


class Collector:
    """The jobs of collection, run one by one as the process of jobs does."""

    def __init__(self, services: Services, **settings: Any) -> None:
        self.clock = Ahead(services.clock)
        changed = msgspec.structs.replace(services.config.collection, **settings)
        config = msgspec.structs.replace(services.config, collection=changed)
        self.s = msgspec.structs.replace(services, clock=self.clock, config=config)
        self.watch = Watch(self.clock, self.clock.uptime)

    async def running(self, name: str) -> Running:
        """Return a claimed job of that name."""

        async def claim(tx: Tx) -> jobs.Job | None:
            now = self.clock.now()
            await jobs.add_job(tx, name, b"", run_at=0, now=now, priority=0)
            return await jobs.claim_job(tx, "test", now, now + LEASE)

        job = await self.s.db.write(claim)
        assert job is not None
        assert job.name == name
        return Running(self.s.db, self.clock, job)

    async def wait(self, time: int) -> None:
        """Let that much time go by, in which the server is on and looks now and then."""
        self.clock.ahead += time
        now = self.clock.now()

        async def look(tx: Tx) -> None:
            if time and await collection_runs.find_seen(tx):
                await collection_runs.put_times(tx, {"seen": now})

        await self.s.db.write(look)

    async def review(self, after: int = 0) -> None:
        """Let that much time go by, and run a review."""
        await self.wait(after)
        await self._run("collection.review", collect.review)

    async def delete(self, after: int = 0) -> None:
        """Let that much time go by, and delete what is due."""
        await self.wait(after)
        await self._run("objects.delete", deleting.delete)

    async def sweep(self, after: int = 0) -> None:
        """Let that much time go by, and sweep."""
        await self.wait(after)
        await self._run("collection.sweep", sweep.sweep)

    async def _run(self, name: str, work: Any) -> None:
        running = await self.running(name)
        await work(self.s, self.watch, running)
        now = self.clock.now()

        async def end(tx: Tx) -> bool:
            return await jobs.end_job(tx, running.job, state="done", error="", run_at=now, now=now)

        assert await self.s.db.write(end)

    async def runs(self) -> list[Run]:
        """Return what the runs did, the newest first."""
        return await self.s.db.read(lambda tx: collection_runs.list_runs(tx, 2**62, 100))

    async def rows(self, query: Query, **values: Any) -> list[Any]:
        """Return what a statement finds."""

        async def read(tx: Tx) -> list[Any]:
            return await tx.many(query, **values)

        return await self.s.db.read(read, pages=True)

    async def objects(self) -> set[str]:
        """Return the locations in the store."""
        return {each.location async for each in self.s.blobs.list("")}
