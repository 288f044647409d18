"""Which job is next, whatever else waits, and what becomes of those whose worker stopped."""

from contract.conftest import OpenDatabase
from contract.test_jobs import Clock, enqueue, listed, runner
from moorage.clock import HOUR
from moorage.db import jobs as rows
from moorage.db.engine import Database, Tx
from moorage.jobs.queue import LEASE, Running


async def add(db: Database, clock: Clock, name: str, *, priority: int, delay: int) -> None:
    """Add a job with a priority: a lower number is more urgent."""

    async def body(tx: Tx) -> None:
        now = clock.now()
        await rows.add_job(tx, name, b"", run_at=now + delay, now=now, priority=priority)

    await db.write(body)


def order(database: OpenDatabase, added: list[tuple[str, int, int]], after: int) -> list[str]:
    """Return the names of the jobs that run, in order; each is (name, priority, delay)."""
    ran: list[str] = []

    async def work(running: Running) -> None:
        ran.append(running.job.name)

    async def use(db: Database) -> None:
        clock = Clock()
        for name, priority, delay in added:
            await add(db, clock, name, priority=priority, delay=delay)
        clock.time += after
        each = runner(db, clock, "a", **{name: work for name, _, _ in added})
        while await each.run_one():
            pass

    database.run(use)
    return ran


def test_the_most_urgent_is_first_then_the_earliest(database: OpenDatabase) -> None:
    added = [("late", 100, 20), ("early", 100, 10), ("urgent", 1, 30), ("future", 1, HOUR)]
    assert order(database, added, 50) == ["urgent", "early", "late"]


def test_an_urgent_job_of_later_hides_none_that_is_due(database: OpenDatabase) -> None:
    assert order(database, [("urgent", 1, HOUR), ("plain", 100, 0)], 0) == ["plain"]


def test_a_job_that_ends_its_worker_each_time_dies(database: OpenDatabase) -> None:
    """Not tried for ever: what kills a process would kill every one of them."""

    async def use(db: Database) -> None:
        clock = Clock()
        await enqueue(db, clock, "fatal")
        claims = 0
        while True:
            clock.time += LEASE + 1

            async def claim(tx: Tx) -> rows.Job | None:
                return await rows.claim_job(tx, "a", clock.now(), clock.now() + LEASE)

            if await db.write(claim) is None:
                break
            claims += 1
        (job,) = await listed(db)
        assert (job.state, job.attempts) == ("dead", job.max_attempts)
        assert claims == job.max_attempts
        assert job.error

    database.run(use)


def test_a_job_is_not_there_before_its_transaction_is(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        clock = Clock()

        async def body(tx: Tx) -> None:
            await rows.add_job(tx, "work", b"", run_at=0, now=0)
            raise ValueError

        try:
            await db.write(body)
        except ValueError:
            assert await listed(db) == []
        assert not await runner(db, clock, "a").run_one()

    database.run(use)


def test_an_idle_queue_writes_nothing(database: OpenDatabase) -> None:
    commits: list[int] = []

    class Observer:
        def committed(self, requests: int, seconds: float) -> None:
            commits.append(requests)

    async def use(_: Database) -> None:
        db = database.make(Observer())
        await db.open()
        clock = Clock()
        each = runner(db, clock, "a")
        await each.schedule({"work": HOUR})
        while await each.run_one():
            pass
        before = len(commits)
        for _ in range(20):
            assert not await each.run_one()
        await db.close()
        assert len(commits) == before

    database.run(use)
