"""No event is lost to the feed or comes twice, whatever commits late and whoever numbers them."""

import asyncio
import itertools
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase
from moorage.db import events
from moorage.db.engine import Database, Query, Tx
from moorage.db.schema import event_feed, event_outbox
from moorage.jobs.queue import LEASE, Queue, Runner, Running

LIST_FEED = Query(
    "list_whole_feed", sa.select(event_feed.c.place, event_feed.c.payload).order_by("place")
)
COUNT_OUTBOX = Query("count_outbox", sa.select(sa.func.count()).select_from(event_outbox))
JOB = "events.fan-out"
WORKER_SECONDS = 30

# Runs the job, and adds the events that it moves, until it is stopped.
MOVING = """
import asyncio, sys
from moorage.app import database
from moorage.clock import SystemClock
from moorage.config import load
from moorage.db import events
from moorage.jobs.queue import Runner

async def body():
    db, _ = database(load(None, {}, {"data": sys.argv[1], "database": sys.argv[2]}).config)
    await db.open()

    async def work(running):
        while True:
            await running.write(lambda tx: events.fan_out(tx, 5))

    def ended(name, outcome, error):
        print(outcome, flush=True)

    runner = Runner(db, SystemClock(), "stopped", {"events.fan-out": work}, ended)
    print("ready", flush=True)
    await runner.run_one()
    await db.close()

asyncio.run(body())
"""


class Clock:
    """The system's clock, or one that is ahead of it."""

    def __init__(self, ahead: int = 0) -> None:
        self.ahead = ahead

    def now(self) -> int:
        return int(time.time() * 1000) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic()


def row_of(number: int) -> dict[str, Any]:
    """Return the columns of the event of that number."""
    return {"kind": "test", "repository_id": 1, "payload": str(number).encode(), "now": number}


async def publish(db: Database, numbers: range) -> None:
    """Publish events in a transaction of their own."""

    async def write(tx: Tx) -> None:
        for number in numbers:
            await events.add_event(tx, **row_of(number))

    await db.write(write)


async def fan_out(db: Database, limit: int = 50) -> int:
    """Move events once, as the job does."""
    return await db.write(lambda tx: events.fan_out(tx, limit))


async def fed(db: Database) -> list[int]:
    """Return the numbers of the events in the feed, after checking that its places have no gap."""

    async def read(tx: Tx) -> list[tuple[int, bytes]]:
        return [(place, raw) for place, raw in await tx.many(LIST_FEED)]

    found = await db.read(read, pages=True)
    assert [place for place, _ in found] == list(range(1, len(found) + 1))
    return [int(raw) for _, raw in found]


class Late:
    """A transaction of a server that may commit at any time: its event has its id already."""

    def __init__(self, url: str, number: int) -> None:
        self._connection = psycopg.connect(url)
        text = events.ADD_EVENT.text("postgresql")
        self._connection.execute(text, events.ADD_EVENT.bind(row_of(number)))

    def end(self, *, commits: bool = True) -> None:
        """Commit or roll back."""
        with closing(self._connection):
            if commits:
                self._connection.commit()


def test_first_written_last_committed(shared: OpenDatabase) -> None:
    """An event with a smaller id that appears after the fan-out is not passed over."""

    async def use(db: Database) -> None:
        late = Late(shared.url, 1)
        await publish(db, range(2, 4))
        assert await fan_out(db) == 2
        assert await fed(db) == [2, 3]
        late.end()
        assert await fan_out(db) == 1
        assert await fed(db) == [2, 3, 1]

    shared.run(use)


@pytest.mark.parametrize("seed", range(3))
def test_commits_in_any_order(shared: OpenDatabase, seed: int) -> None:
    """Transactions that overlap, commit in any order or not at all, and fan-outs between them."""
    chance = random.Random(seed)

    async def use(db: Database) -> None:
        numbers = itertools.count(1)
        pending: list[tuple[int, Late]] = []
        committed: list[int] = []
        for _ in range(120):
            step = chance.choice(("begin", "end", "fan out"))
            if step == "begin" and len(pending) < 8:
                number = next(numbers)
                pending.append((number, Late(shared.url, number)))
            elif step == "end" and pending:
                number, late = pending.pop(chance.randrange(len(pending)))
                commits = chance.random() < 0.8
                late.end(commits=commits)
                committed += [number] if commits else []
            elif step == "fan out":
                await fan_out(db, chance.choice((1, 2, 50)))
                assert set(await fed(db)) <= set(committed)
        for number, late in pending:
            late.end()
            committed.append(number)
        while await fan_out(db):
            pass
        assert sorted(await fed(db)) == sorted(committed)

    shared.run(use)


def test_two_fan_outs_at_once(database: OpenDatabase) -> None:
    """Two replicas move events while both publish: each comes once, and those of one in order."""

    async def use(one: Database) -> None:
        two = database.make()
        await two.open()
        try:
            publishing = [True]

            async def publish_all(db: Database, first: int) -> None:
                for number in range(first, first + 60, 3):
                    await publish(db, range(number, number + 3))

            async def move(db: Database) -> None:
                while await fan_out(db, 4) or publishing[0]:
                    await asyncio.sleep(0)

            moving = [asyncio.create_task(move(db)) for db in (one, two, one, two)]
            await asyncio.gather(publish_all(one, 1_000), publish_all(two, 2_000))
            publishing[0] = False
            await asyncio.gather(*moving)
        finally:
            await two.close()
        found = await fed(one)
        for first in (1_000, 2_000):
            mine = [number for number in found if first <= number < first + 1_000]
            assert mine == list(range(first, first + 60))
        assert len(found) == 120

    database.run(use)


def test_places_go_on_behind_what_was_trimmed(database: OpenDatabase) -> None:
    """A feed that has been trimmed to its newest event numbers the next one behind it."""

    async def use(db: Database) -> None:
        await publish(db, range(1, 4))
        await fan_out(db)
        assert await db.write(lambda tx: events.trim_feed(tx, 1_000, 50)) == 2
        await publish(db, range(4, 5))
        await fan_out(db)
        found = await db.read(lambda tx: tx.many(LIST_FEED), pages=True)
        assert [(place, int(raw)) for place, raw in found] == [(3, 3), (4, 4)]

    database.run(use)


def test_a_job_between_two_steps_whose_lease_ran_out(database: OpenDatabase) -> None:
    """One is paused between two transactions, another does the work, and the first goes on."""

    async def use(db: Database) -> None:
        clock = Clock()
        await publish(db, range(30))
        await db.write(lambda tx: Queue(clock).enqueue(tx, JOB))
        outcomes: list[str] = []

        async def paused(running: Running) -> None:
            await running.write(lambda tx: events.fan_out(tx, 5))
            clock.ahead = LEASE + 1
            assert await runner_of(db, clock, outcomes).run_one()
            await publish(db, range(30, 35))
            await running.write(lambda tx: events.fan_out(tx, 5))

        def ended(_name: str, outcome: str, _error: BaseException | None) -> None:
            outcomes.append(outcome)

        assert await Runner(db, clock, "paused", {JOB: paused}, ended).run_one()
        assert outcomes == ["done", "lost"]
        assert await fed(db) == list(range(30))
        await fan_out(db)
        assert await fed(db) == list(range(35))

    database.run(use)


def runner_of(db: Database, clock: Clock, outcomes: list[str]) -> Runner:
    """Return a runner of the job, which tells how each job ended."""

    async def work(running: Running) -> None:
        while await running.write(lambda tx: events.fan_out(tx, 50)):
            pass

    def ended(_name: str, outcome: str, _error: BaseException | None) -> None:
        outcomes.append(outcome)

    return Runner(db, clock, "other", {JOB: work}, ended)


@contextmanager
def moving(database: OpenDatabase) -> Iterator[subprocess.Popen[bytes]]:
    """Run the job in a process of its own, and wait until it has begun."""
    command = [sys.executable, "-c", MOVING, str(database.directory), database.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def stop_in_a_transaction(process: subprocess.Popen[bytes], url: str) -> None:
    """Stop the process at a moment at which it holds the right to number events."""
    deadline = time.monotonic() + WORKER_SECONDS
    holds = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    here = " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.02)  # what it has sent has been done by then
            row = connection.execute((holds + here).encode()).fetchone()
            if row and row[0]:
                return
            process.send_signal(signal.SIGCONT)
            time.sleep(random.random() * 0.01)
    raise AssertionError("it never was in the middle of a transaction")


def test_a_process_stopped_in_the_middle_of_a_transaction(shared: OpenDatabase) -> None:
    """It holds the locks until the server ends its session; then another one does the work."""
    outcomes: list[str] = []

    async def prepare(db: Database) -> None:
        await publish(db, range(400))
        await db.write(lambda tx: Queue(Clock()).enqueue(tx, JOB))

    async def take_over(db: Database) -> None:
        clock = Clock(LEASE + 1)
        deadline = time.monotonic() + WORKER_SECONDS
        while "done" not in outcomes:
            await runner_of(db, clock, outcomes).run_one()
            assert time.monotonic() < deadline, outcomes
            await asyncio.sleep(0.1)
        assert await fed(db) == list(range(400))
        await publish(db, range(400, 410))

    async def check(db: Database) -> None:
        assert await fed(db) == list(range(400))
        assert await fan_out(db) == 10
        assert await fed(db) == list(range(410))

    shared.run(prepare)
    with moving(shared) as process:
        stop_in_a_transaction(process, shared.url)
        shared.run(take_over)
        process.send_signal(signal.SIGCONT)
        told, _ = process.communicate(timeout=WORKER_SECONDS)
        assert told.split() == [b"lost"]
    shared.run(check)
