"""What the job queue promises, on the real database."""

import asyncio
import itertools
from typing import Any

import pytest

from contract.conftest import OpenDatabase
from moorage.clock import HOUR, MINUTE, SECOND
from moorage.db import jobs as rows
from moorage.db.engine import Database, Tx
from moorage.db.settings import ADD_SETTING, GET_SETTING
from moorage.jobs.queue import LEASE, Again, LeaseLost, Queue, Runner, Running

NEWEST = 2**62


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.time = 1_000_000_000_000

    def now(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.time / 1000


async def listed(db: Database) -> list[rows.Job]:
    """Return all jobs, the oldest first."""

    async def read(tx: Tx) -> list[rows.Job]:
        return await rows.list_jobs(tx, NEWEST, 1000)

    return sorted(await db.read(read), key=lambda job: job.id)


async def enqueue(db: Database, clock: Clock, name: str, **options: Any) -> int:
    """Add a job."""
    queue = Queue(clock)
    return await db.write(lambda tx: queue.enqueue(tx, name, **options))


def runner(db: Database, clock: Clock, worker: str, **work: Any) -> Runner:
    """Return a runner of the work."""
    return Runner(db, clock, worker, work, lambda name, outcome, error: None)


def test_a_job_is_run_once(database: OpenDatabase) -> None:
    """Two runners on one queue: each job is run by one of them, in the order of their times.

    Where they claim at the same time, the two that are claimed begin in any order.
    """
    ran: list[int] = []

    async def use(db: Database) -> None:
        clock = Clock()
        for delay in (30, 10, 20):
            await enqueue(db, clock, "work", payload=delay, delay=delay)

        async def work(running: Running) -> None:
            ran.append(int(running.job.payload))
            await asyncio.sleep(0)

        pair = [runner(db, clock, name, work=work) for name in ("a", "b")]
        assert not await pair[0].run_one()
        clock.time += 100
        while any(await asyncio.gather(*(each.run_one() for each in pair))):
            pass
        assert {job.state for job in await listed(db)} == {"done"}

    database.run(use)
    assert ran == [10, 20, 30] or (database.url and sorted(ran) == [10, 20, 30] and ran[2] == 30)


def test_a_key_keeps_one_waiting(database: OpenDatabase) -> None:
    """A job whose name and key still wait is not added again; once it runs, it may be."""

    async def use(db: Database) -> None:
        clock = Clock()
        first = await enqueue(db, clock, "work", key="same")
        assert await enqueue(db, clock, "work", key="same") == first
        assert await enqueue(db, clock, "work", key="other") != first
        assert await enqueue(db, clock, "else", key="same") != first

        async def work(running: Running) -> None:
            if running.job.id == first:
                assert await enqueue(db, clock, "work", key="same") != first

        each = runner(db, clock, "a", work=work)
        await each.run_one()
        assert (await listed(db))[0].state == "done"

    database.run(use)


def test_failures_are_tried_again_then_dead(database: OpenDatabase) -> None:
    """Each failure waits longer; after the last the job is dead and keeps its error."""

    async def use(db: Database) -> None:
        clock = Clock()
        await enqueue(db, clock, "work")

        async def work(running: Running) -> None:
            raise OSError("no luck")

        each = runner(db, clock, "a", work=work)
        waits = []
        while await each.run_one():
            (job,) = await listed(db)
            waits.append(job.run_at - clock.time)
            clock.time = max(clock.time, job.run_at)
            if job.state == "dead":
                break
        assert job.state == "dead"
        assert job.attempts == job.max_attempts == len(waits)
        assert job.error == "OSError: no luck"
        assert waits[3] > waits[0]
        assert 2 * SECOND <= waits[0] <= 5 * SECOND
        assert not await each.run_one()

    database.run(use)


def test_a_job_in_parts_lets_others_have_their_turn(database: OpenDatabase) -> None:
    """It goes on as the same job, with all of its tries before it, after what is due too."""
    ran: list[str] = []

    async def use(db: Database) -> None:
        clock = Clock()
        number = await enqueue(db, clock, "long")
        await enqueue(db, clock, "short", delay=5)

        async def long(running: Running) -> None:
            ran.append("long")
            clock.time += 10
            if len(ran) < 30:
                raise Again

        async def short(running: Running) -> None:
            ran.append("short")

        each = runner(db, clock, "a", long=long, short=short)
        while await each.run_one():
            pass
        found = {job.name: job for job in await listed(db)}
        assert (found["long"].id, found["long"].state) == (number, "done")
        assert found["long"].attempts == 1

    database.run(use)
    assert ran[:3] == ["long", "short", "long"]
    assert len(ran) >= 30


def test_a_stopped_worker_is_fenced(database: OpenDatabase) -> None:
    """When the lease has run out another worker has the job, and the first can't write any more."""

    async def use(db: Database) -> None:
        clock = Clock()
        await enqueue(db, clock, "work")
        told: list[str] = []

        async def second(running: Running) -> None:
            told.append(f"second at epoch {running.job.epoch}")

        async def first(running: Running) -> None:
            clock.time += LEASE + 1
            assert await runner(db, clock, "b", work=second).run_one()

            async def write(tx: Tx) -> None:
                await tx.run(ADD_SETTING, key="stale", value="x")

            with pytest.raises(LeaseLost):
                await running.write(write)
            told.append("first was refused")
            raise LeaseLost

        assert await runner(db, clock, "a", work=first).run_one()
        assert told == ["second at epoch 2", "first was refused"]
        (job,) = await listed(db)
        assert (job.state, job.epoch, job.attempts) == ("done", 2, 2)

        async def read(tx: Tx) -> Any:
            return await tx.one(GET_SETTING, key="stale")

        assert await db.read(read) is None

    database.run(use)


def test_writing_extends_the_lease(database: OpenDatabase) -> None:
    """A long job that writes from time to time keeps its lease."""

    async def use(db: Database) -> None:
        clock = Clock()
        await enqueue(db, clock, "work")

        async def nothing(tx: Tx) -> None:
            return None

        async def work(running: Running) -> None:
            for _ in range(5):
                clock.time += LEASE - MINUTE
                await running.write(nothing)
                assert not await runner(db, clock, "b", work=work).run_one()

        assert await runner(db, clock, "a", work=work).run_one()
        assert (await listed(db))[0].attempts == 1

    database.run(use)


def test_the_schedule_fires_once_however_late(database: OpenDatabase) -> None:
    """A schedule that was missed for days fires once, then keeps its interval."""
    ran: list[int] = []

    async def use(db: Database) -> None:
        clock = Clock()

        async def work(running: Running) -> None:
            ran.append(clock.time)

        each = runner(db, clock, "a", work=work)
        await each.schedule({"work": HOUR})
        for step in (0, 72 * HOUR, 30 * MINUTE, 30 * MINUTE, HOUR):
            clock.time += step
            while await each.run_one():
                pass
        await each.schedule({"work": HOUR})
        assert not await each.run_one()

    database.run(use)
    assert [b - a for a, b in itertools.pairwise(ran)] == [72 * HOUR, HOUR, HOUR]


def test_an_unknown_job_is_tried_later(database: OpenDatabase) -> None:
    """Work of a newer release's name waits for that release, it is not lost."""

    async def use(db: Database) -> None:
        clock = Clock()
        await enqueue(db, clock, "from-the-future")
        assert await runner(db, clock, "a").run_one()
        (job,) = await listed(db)
        assert job.state == "waiting"
        assert "from-the-future" in job.error

    database.run(use)


def test_done_jobs_are_forgotten(database: OpenDatabase) -> None:
    """What was done long ago goes; what died stays for a person to see."""

    async def use(db: Database) -> None:
        clock = Clock()
        await enqueue(db, clock, "work")

        async def work(running: Running) -> None:
            return None

        await runner(db, clock, "a", work=work).run_one()
        assert await db.write(lambda tx: rows.forget_jobs(tx, clock.time)) == 0
        assert await db.write(lambda tx: rows.forget_jobs(tx, clock.time + 1)) == 1
        assert await listed(db) == []

    database.run(use)
