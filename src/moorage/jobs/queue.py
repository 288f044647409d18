"""The queue: enqueue in the transaction that needs the work, run it under a lease.

A worker may stop at any moment, be stopped and go on again. Its lease then has run out, another
one has claimed the job under a higher epoch, and every transaction of the old one is refused.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from moorage.clock import DAY, MINUTE, SECOND, Clock
from moorage.db import jobs as rows
from moorage.db.engine import Body, Database, Tx
from moorage.errors import Unavailable

Value = TypeVar("Value")

LEASE = 2 * MINUTE
KEEP_DONE = DAY
_FIRST_BACKOFF = 5 * SECOND
_LAST_BACKOFF = 30 * MINUTE
_LONGEST_SLEEP = 2.0


class LeaseLost(Exception):
    """Another worker has the job by now; nothing of this transaction was written."""


class Again(Exception):
    """The job has done a part of its work, and goes on after others that are due."""


class Queue:
    """The `Jobs` seam."""

    def __init__(self, clock: Clock) -> None:
        """Take times from the clock."""
        self._clock = clock

    async def enqueue(
        self, tx: Tx, name: str, payload: Any = None, *, key: str = "", delay: int = 0
    ) -> int:
        """Add a job to run after `delay` milliseconds, and return its id.

        With a key, a job of that name and key that still waits is left as it is.
        """
        now = self._clock.now()
        encoded = msgspec.json.encode(payload)
        return await rows.add_job(tx, name, encoded, key=key, run_at=now + delay, now=now)


class Running:
    """A claimed job: its payload, and transactions that hold only while the lease does."""

    def __init__(self, db: Database, clock: Clock, job: rows.Job) -> None:
        """Wrap the claim."""
        self._db = db
        self._clock = clock
        self.job = job

    async def write(self, body: Body[Value]) -> Value:
        """Run a body under the lease, which is extended with it.

        Raises:
            LeaseLost: another worker claimed the job.
        """

        async def fenced(tx: Tx) -> Value:
            if not await rows.hold_job(tx, self.job, self._clock.now() + LEASE):
                raise LeaseLost
            return await body(tx)

        return await self._db.write(fenced)


Work = Callable[[Running], Awaitable[None]]


class Runner:
    """Claims jobs one after the other and runs them; several may do so on one database."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        worker: str,
        work: Mapping[str, Work],
        ended: Callable[[str, str, BaseException | None], None],
    ) -> None:
        """Run jobs by name; `ended` is told of each name, outcome and error."""
        self._db = db
        self._clock = clock
        self._worker = worker
        self._work = work
        self._ended = ended

    async def schedule(self, every: Mapping[str, int]) -> None:
        """Have the named jobs run every so many milliseconds."""

        async def put(tx: Tx) -> None:
            for name, interval in every.items():
                await rows.put_schedule(tx, name, interval, self._clock.now())

        await self._db.write(put)

    async def run_until(self, stop: asyncio.Event, between: Callable[[], Awaitable[None]]) -> None:
        """Run what is due until the event is set; a job under way is finished first.

        `between` is called between two looks at the queue. While the database is away, nothing is
        done and nothing ends: it is looked for again every two seconds.
        """
        while not stop.is_set():
            try:
                await between()
                if await self.run_one():
                    continue
                wait = await self._until_due()
            except Unavailable as error:
                self._ended("queue", "unavailable", error)
                wait = _LONGEST_SLEEP
            await _sleep(stop, wait)

    async def run_one(self) -> bool:
        """Fire what is due, claim a job and run it; False if there was none."""
        now = self._clock.now()
        due = await self._db.read(rows.find_next)
        # Looked at first, so that a queue in which nothing is due writes nothing.
        expired = await self._db.read(_find_expired(now))
        if (due is None or due > now) and not expired:
            return False

        async def claim(tx: Tx) -> rows.Job | None:
            await rows.fire_due(tx, now)
            return await rows.claim_job(tx, self._worker, now, now + LEASE)

        job = await self._db.write(claim)
        if job is None:
            return False
        await self._run(job)
        return True

    async def _run(self, job: rows.Job) -> None:
        work = self._work.get(job.name)
        error: BaseException | None = None
        try:
            if work is None:
                raise LookupError(f"no work is named {job.name}")
            await work(Running(self._db, self._clock, job))
        except LeaseLost as lost:
            self._ended(job.name, "lost", lost)
            return
        except Again:
            await self._rest(job)
            return
        except Exception as failure:  # noqa: BLE001 - the worker loop: a job's fault is the job's
            error = failure
        await self._end(job, error)

    async def _rest(self, job: rows.Job) -> None:
        now = self._clock.now()

        async def rest(tx: Tx) -> bool:
            return await rows.rest_job(tx, job, run_at=now)

        self._ended(job.name, "again" if await self._db.write(rest) else "lost", None)

    async def _end(self, job: rows.Job, error: BaseException | None) -> None:
        now = self._clock.now()
        state, run_at = "done", now
        if error is not None:
            dead = job.attempts >= job.max_attempts
            state, run_at = ("dead" if dead else "waiting"), now + _backoff(job.attempts)
        told = f"{type(error).__name__}: {error}"[:500] if error is not None else ""

        async def end(tx: Tx) -> bool:
            return await rows.end_job(tx, job, state=state, error=told, run_at=run_at, now=now)

        kept = await self._db.write(end)
        self._ended(job.name, (state if error else "done") if kept else "lost", error)

    async def _until_due(self) -> float:
        due = await self._db.read(rows.find_next)
        if due is None:
            return _LONGEST_SLEEP
        return min(_LONGEST_SLEEP, max(0.05, (due - self._clock.now()) / SECOND))


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _find_expired(now: int) -> Body[bool]:
    async def find(tx: Tx) -> bool:
        return await rows.has_expired(tx, now)

    return find


def _backoff(attempts: int) -> int:
    longest: int = min(_LAST_BACKOFF, _FIRST_BACKOFF * 2 ** min(attempts - 1, 20))
    return longest // 2 + random.randrange(longest // 2 + 1)  # noqa: S311 - spreads retries
