"""A run of collection: its transactions, its row, and what stops it.

Reviews (`collect.py`), deletions of objects (`deleting.py`) and sweeps (`sweep.py`) are such runs.
Nothing is removed but in a transaction that finds no pause, by a clock that nobody has just set.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from moorage.clock import DAY, MINUTE, Clock
from moorage.db import collection_runs as runs
from moorage.db.collection_runs import Counts, Pause
from moorage.db.engine import Tx
from moorage.errors import Unavailable
from moorage.events.outbox import Event
from moorage.jobs.queue import Running
from moorage.model.artifacts import TagChange
from moorage.registry.services import Services

# By more than this a clock does not go wrong by itself: somebody or something has set it.
STEP = 10 * MINUTE
_OLDER = "the database is older than the store: it was restored, or is another one"
_SYSTEM = TagChange("system", "", "", cause="collection")

Value = TypeVar("Value")
Uptime = Callable[[], int]
Part = Callable[[Tx, int], Awaitable[tuple[Counts, Value]]]


class Stopped(Exception):
    """Nothing may be removed; nothing of this transaction was."""

    def __init__(self, pause: Pause, *, is_new: bool = False) -> None:
        """Say why, and whether it was found out just now."""
        super().__init__(pause.reason)
        self.pause = pause
        self.is_new = is_new


class Watch:
    """One process's eye on its clock: leases and trash must not end because somebody set it."""

    def __init__(self, clock: Clock, uptime: Uptime) -> None:
        """Begin to watch now."""
        self._clock = clock
        self._uptime = uptime
        self._ahead = clock.now() - uptime()

    def now(self) -> int:
        """Return the time.

        Raises:
            Stopped: the clock was set since the last look.
        """
        now = self._clock.now()
        ahead = now - self._uptime()
        stepped, self._ahead = ahead - self._ahead, ahead
        if abs(stepped) > STEP:
            raise Stopped(stepped_pause(now, stepped), is_new=True)
        return now


class Collecting:
    """One run of one job. Its row comes with the first thing that it does."""

    def __init__(self, s: Services, watch: Watch, running: Running, kind: str) -> None:
        """Have done nothing yet."""
        self.s = s
        self._watch = watch
        self._running = running
        self._kind = kind
        self._id = 0

    def now(self) -> int:
        """Return the time, as `Watch.now`."""
        return self._watch.now()

    async def attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work of the run; where something stops it, note what, and have it wait."""
        gauge = self.s.telemetry.metrics.collection.paused
        try:
            await self._look_back()
            await work()
        except Stopped as stopped:
            gauge.set(1)
            await self._stop(stopped)
            return
        gauge.set(0)
        if self._id:
            await self._end("done", "")

    async def write(self, part: Part[Value]) -> Value:
        """Run a part in one transaction, with what it counts.

        Raises:
            Stopped: a pause began meanwhile, or the clock was set.
            LeaseLost: another worker does this now.
        """
        now = self._watch.now()

        async def body(tx: Tx) -> tuple[int, Counts, Value]:
            pause = await runs.find_pause(tx, now)
            if pause is not None:
                raise Stopped(pause)
            counts, value = await part(tx, now)
            number = self._id
            if counts != Counts():
                number = number or await runs.add_run(tx, self._kind, now)
                await runs.count_run(tx, number, counts)
            return number, counts, value

        self._id, counts, value = await self._running.write(body)
        self._tell(counts)
        return value

    async def _look_back(self) -> None:
        """Stop if the clock shows a time long before or long after that of the run before.

        Or if the store remembers a later one: a database that knows of none so late was put back by
        other means than ours, and objects that it knows nothing of may be wanted yet.
        """
        mark = await self.s.blobs.read_mark()
        now = self._watch.now()

        async def body(tx: Tx) -> None:
            pause = await runs.find_pause(tx, now)
            last = await runs.find_last_pause(tx)
            seen = await runs.find_seen(tx)
            await runs.put_times(tx, {"seen": now})
            if pause is not None:
                raise Stopped(pause)
            if seen - now > STEP:
                raise Stopped(stepped_pause(now, now - seen), is_new=True)
            if mark - seen > STEP:
                raise Stopped(Pause(_OLDER, now, 0), is_new=True)
            # One such pause is enough: what is seldom on must come to collect as well.
            if seen and now - seen > self._usual and (last is None or last.since < seen):
                raise Stopped(absent_pause(now, now - seen), is_new=True)

        await self._running.write(body)
        if not mark <= now < mark + MINUTE:
            await keep_mark(self.s, now)

    @property
    def _usual(self) -> int:
        """How long it may be since the last run where the server was on all the time."""
        return max(DAY, 3 * int(self.s.config.collection.every_minutes * MINUTE))

    async def _stop(self, stopped: Stopped) -> None:
        pause = stopped.pause
        now = self.s.clock.now()

        async def body(tx: Tx) -> None:
            if stopped.is_new:
                number = self._id or await runs.add_run(tx, self._kind, now)
                await runs.end_run(tx, number, "stopped", pause.reason, now)
                await pause_now(self.s, tx, pause, _SYSTEM)
                await runs.put_times(tx, {"seen": pause.since})
            elif self._id:
                await runs.end_run(tx, self._id, "stopped", pause.reason, now)

        await self._running.write(body)
        if stopped.is_new:
            await keep_mark(self.s, now)
            self.s.telemetry.log.error("collection stopped", reason=pause.reason)

    async def _end(self, state: str, reason: str) -> None:
        await self._running.write(
            lambda tx: runs.end_run(tx, self._id, state, reason, self.s.clock.now())
        )

    def _tell(self, counts: Counts) -> None:
        metrics = self.s.telemetry.metrics.collection
        for kind, count in msgspec.structs.asdict(counts.freed).items():
            if count and kind != "bytes":
                metrics.removed.labels(kind).inc(count)
        if counts.objects:
            metrics.removed.labels("objects").inc(counts.objects)
            metrics.freed.inc(counts.bytes)
        if counts.missed:
            metrics.missed.inc(counts.missed)


async def keep_mark(s: Services, now: int) -> None:
    """Have the store keep the time; one that takes nothing more is no reason to collect nothing."""
    try:
        await s.blobs.write_mark(now)
    except Unavailable as error:
        s.telemetry.log.warning("the store did not keep its mark", why=error.message)


def stepped_pause(now: int, by: int) -> Pause:
    """Return the pause after a clock was set, by so many milliseconds."""
    way = "forward" if by > 0 else "back"
    reason = f"the clock was set {way} by {abs(by) // MINUTE} minutes"
    return Pause(reason, now, now + DAY)


def absent_pause(now: int, by: int) -> Pause:
    """Return the pause after a time in which nothing ran, or the clock was set while nothing did.

    Nobody can tell one from the other; if it was the clock, somebody has a day to see it.
    """
    reason = f"nothing was collected for {by // DAY} days: the server was off, or the clock was set"
    return Pause(reason, now, now + DAY)


async def pause_now(s: Services, tx: Tx, pause: Pause, by: TagChange) -> None:
    """Have nothing removed until the pause is over, unless a longer one is on already."""
    known = await runs.find_pause(tx, pause.since)
    is_longer = known is not None and (not known.until or 0 < pause.until <= known.until)
    if not is_longer:
        await runs.put_pause(tx, pause)
    data = {"reason": pause.reason, "until": pause.until}
    await s.events.publish(tx, Event("collection.stopped", 0, pause.since, by, data))
