"""Follows the feed of events for those who look at it, in one process.

The fan-out comes once a minute. As long as anybody looks, whoever follows the feed fills it: an
event is there within a second, and it costs nothing where nobody looks.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from moorage.db import events
from moorage.db.engine import Database, Tx
from moorage.db.events import FeedEvent
from moorage.errors import TooManyRequests, Unavailable
from moorage.model.access import Actor
from moorage.telemetry import Telemetry
from moorage.web.clients import place_of

_EVERY_SECONDS = 0.5
_AFTER_FAILURE_SECONDS = 5.0
_SLICE = 50
# Who looks holds a connection. So many in a process, and so many events that wait for one of them.
_MOST = 500
_MOST_WAITING = 1_000
# So that nobody takes the places of all others: who is signed in has so many wherever it is, an
# address so many for all who are not, and behind one there may be many people, but not everybody.
_MOST_OF_ONE = 16
_MOST_OF_ADDRESS = 125
_AGAIN_SECONDS = "60"


class Follower:
    """The feed's followers; the first one begins to read it, and with the last one that ends."""

    def __init__(self, db: Database, telemetry: Telemetry) -> None:
        """Have nobody who looks yet."""
        self._db = db
        self._telemetry = telemetry
        self._waiting: set[asyncio.Queue[FeedEvent]] = set()
        self._taken: Counter[str] = Counter()
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._place = 0

    async def follow(
        self, after: int | None, actor: Actor, address: str
    ) -> AsyncGenerator[FeedEvent | None, None]:
        """Yield the events behind the place, None for those from now on, until the caller ends it.

        The first is None: nothing that happens from then on is missed.
        Whoever is too slow to take them misses the oldest. `address` is where the actor asks from.

        Raises:
            TooManyRequests: as many look as may, or as may of the actor or from there.
        """
        with self._place_for(actor, address):
            async with aclosing(self._follow(after)) as events_of_all:
                async for each in events_of_all:
                    yield each

    @contextmanager
    def _place_for(self, actor: Actor, address: str) -> Iterator[None]:
        """Keep one of the places; it is taken at once, so that many together get no more."""
        there = f"at {place_of(address)}"
        own = actor.owner if actor.is_signed_in else f"nobody {there}"
        shares = (
            (own, _MOST_OF_ONE, "too many of your pages follow what is pushed"),
            (there, _MOST_OF_ADDRESS, "too many pages at your address follow what is pushed"),
            ("all", _MOST, "too many pages follow what is pushed"),
        )
        for key, most, told in shares:
            if self._taken[key] >= most:
                raise TooManyRequests(
                    told,
                    hint="Close some of them; this one can be loaded anew at any time",
                    headers={"Retry-After": _AGAIN_SECONDS},
                )
        keys = [key for key, _, _ in shares]
        self._taken.update(keys)
        try:
            yield
        finally:
            self._taken.subtract(keys)
            for key in keys:
                if not self._taken[key]:
                    del self._taken[key]

    async def _follow(self, after: int | None) -> AsyncGenerator[FeedEvent | None, None]:
        queue: asyncio.Queue[FeedEvent] = asyncio.Queue(_MOST_WAITING)
        async with self._starting:  # else two who come at once would both read
            if self._reading is None or self._reading.done():
                await self._fill()
                self._place = await self._last()
                self._reading = asyncio.get_running_loop().create_task(self._read())
            self._waiting.add(queue)
        try:
            seen = self._place if after is None else min(after, self._place)
            yield None
            for each in await self._between(seen, self._place):
                seen = each.place
                yield each
            while True:
                event = await queue.get()
                if event.place > seen:
                    yield event
        finally:
            self._waiting.discard(queue)

    async def close(self) -> None:
        """Stop reading, before the database is closed."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _last(self) -> int:
        return await self._db.read(events.last_place)

    async def _between(self, after: int, last: int) -> list[FeedEvent]:
        if after >= last:
            return []

        async def read(tx: Tx) -> list[FeedEvent]:
            found = await events.list_feed(tx, after, _MOST_WAITING)
            return [each for each in found if each.place <= last]

        return await self._db.read(read, pages=True)

    async def _read(self) -> None:
        while self._waiting:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self._step()
            except Unavailable as error:
                self._telemetry.log.warning("feed not read", reason=error.message)
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)

    async def _fill(self) -> None:
        if not await self._db.read(events.has_outbox):
            return

        async def move(tx: Tx) -> int:
            return await events.fan_out(tx, _SLICE)

        while await self._db.write(move) == _SLICE:
            pass

    async def _step(self) -> None:
        await self._fill()

        async def read(tx: Tx) -> list[FeedEvent]:
            return await events.list_feed(tx, self._place, _SLICE)

        found = await self._db.read(read)
        for event in found:
            self._place = event.place
            for queue in self._waiting:
                if queue.full():
                    queue.get_nowait()
                queue.put_nowait(event)
