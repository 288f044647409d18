"""Counts pulls: each GET of a manifest, by tag or digest. A HEAD is no pull, nor is a blob's.

A pull costs an entry of a dictionary. Every few seconds, and when the process ends, what has come
together is appended to a table. What a killed process had not written is lost: at most those few
seconds.
"""

import asyncio

from moorage.clock import Clock
from moorage.db import pulls
from moorage.db.engine import Database, Tx
from moorage.db.pulls import Delta
from moorage.errors import Unavailable

EVERY_SECONDS = 5.0
_SLICE = 100
# Of so many manifests and tags between two writes, and while the database is away.
_MOST = 50_000


class PullCounts:
    """The pulls of one process that are not written yet."""

    def __init__(self, clock: Clock) -> None:
        """Have counted nothing yet."""
        self._clock = clock
        self._counts: dict[tuple[int, int, str], int] = {}

    def count(self, repository_id: int, manifest_id: int, tag: str) -> None:
        """Count a pull, by digest where the tag is empty."""
        key = (repository_id, manifest_id, tag)
        counts = self._counts
        counts[key] = counts.get(key, 0) + 1

    async def flush(self, db: Database) -> None:
        """Write what was counted; what can't be written now is kept for the next time.

        The time is that of writing, a few seconds after the last pull.
        """
        counts, self._counts = self._counts, {}
        now = self._clock.now()
        left = sorted(counts)
        try:
            while left:
                some = [Delta(*key, counts[key], now) for key in left[:_SLICE]]

                async def write(tx: Tx, some: list[Delta] = some) -> None:
                    await pulls.add_deltas(tx, some)

                await db.write(write)
                del left[:_SLICE]
        except Unavailable:
            for key in left[: max(0, _MOST - len(self._counts))]:
                self._counts[key] = self._counts.get(key, 0) + counts[key]

    async def keep(self, db: Database) -> None:
        """Flush every few seconds, for ever."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await asyncio.shield(self.flush(db))
