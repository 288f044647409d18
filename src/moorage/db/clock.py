"""The database's time, by which all replicas agree on leases and expiries."""

import time

import sqlalchemy as sa

from moorage.db.engine import Database, Query, Tx

_TRIALS = 3

READ_CLOCK = Query(
    "read_clock",
    sa.select(
        sa.cast(
            sa.extract("epoch", sa.func.clock_timestamp()) * sa.literal_column("1000"),
            sa.BigInteger,
        )
    ),
    only="postgresql",
)


class DatabaseClock:
    """A `Clock` that goes as the database's does, and asks it only now and then.

    Before it was measured it shows the machine's own time.
    """

    def __init__(self) -> None:
        """Begin with the machine's own time."""
        self._ahead = time.time() - time.monotonic()

    def now(self) -> int:
        """Return the database's time in milliseconds since 1970, UTC."""
        return int((time.monotonic() + self._ahead) * 1000)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.perf_counter()

    async def measure(self, db: Database) -> None:
        """Ask the database for its time; the quickest of three answers counts.

        Raises:
            StoreUnavailable: it did not answer; the last measurement stands.
        """
        found = [await db.read(_ask) for _ in range(_TRIALS)]
        _, self._ahead = min(found)


async def _ask(tx: Tx) -> tuple[float, float]:
    """Return how long the answer took, and how far ahead of ours its clock then was."""
    sent = time.monotonic()
    row = await tx.one(READ_CLOCK)
    received = time.monotonic()
    shown = row[0] / 1000 if row else time.time()
    return received - sent, shown - (sent + received) / 2
