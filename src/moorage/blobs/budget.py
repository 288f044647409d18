"""How much memory the uploads of a process may hold together."""

import asyncio
from collections import deque


class Budget:
    """Bytes to be had by those who ask, in the order in which they asked.

    Whoever holds some never waits for more, so that there is always somebody who goes on.
    """

    def __init__(self, size: int) -> None:
        """Have so many bytes to give."""
        self._size = self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, count: int) -> int:
        """Wait for that many bytes, or for all there are if that is less; return how many."""
        count = min(count, self._size)
        if not self.take_now(count):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((count, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.give(count)
                else:
                    self._waiting.remove((count, turn))
                    self.give(0)
                raise
        return count

    def take_now(self, count: int) -> bool:
        """Take that many bytes if they are free and nobody is waiting; tell whether they were."""
        if self._waiting or count > self._free:
            return False
        self._free -= count
        return True

    def give(self, count: int) -> None:
        """Give bytes back, and let those go on for whom there is enough now."""
        self._free += count
        while self._waiting and self._waiting[0][0] <= self._free:
            count, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= count
                turn.set_result(None)
