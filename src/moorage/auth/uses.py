"""When tokens were last used: collected in memory, written down in batches, never by a request."""

import asyncio

from moorage.db import tokens
from moorage.db.engine import Database, Tx
from moorage.errors import Unavailable

FLUSH_SECONDS = 60.0
_MAX_COLLECTED = 10_000


class TokenUses:
    """The tokens that were used since the last batch; each is written at most once a minute."""

    def __init__(self) -> None:
        """Start with none."""
        self._used: dict[int, int] = {}

    def note(self, token_id: int, at: int) -> None:
        """Remember that the token was used."""
        if token_id in self._used or len(self._used) < _MAX_COLLECTED:
            self._used[token_id] = at

    async def flush(self, db: Database) -> None:
        """Write down what was collected; what can't be written now is kept for the next time."""
        collected, self._used = self._used, {}
        if not collected:
            return

        async def write(tx: Tx) -> None:
            await tokens.note_uses(tx, collected)

        try:
            await db.write(write)
        except Unavailable:
            self._used = {**collected, **self._used}

    async def keep(self, db: Database) -> None:
        """Flush once a minute, for ever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush(db)
