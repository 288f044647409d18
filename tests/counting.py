"""A proxy on a loopback port that counts how often a client sends and then waits."""

from __future__ import annotations

import asyncio
from typing import Self


class CountingProxy:
    """Passes bytes to a port; `bursts` counts what was sent without an answer in between.

    `sent` and `received` are the bytes that passed to the port and back.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self.bursts = 0
        self.sent = 0
        self.received = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answers, to = await asyncio.open_connection("127.0.0.1", self._target)
        answered = asyncio.Event()
        answered.set()
        for task in (
            asyncio.create_task(self._ask(client, to, answered)),
            asyncio.create_task(self._answer(answers, back, answered)),
        ):
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _ask(
        self, client: asyncio.StreamReader, to: asyncio.StreamWriter, answered: asyncio.Event
    ) -> None:
        try:
            while sent := await client.read(1 << 16):
                if answered.is_set():
                    self.bursts += 1
                    answered.clear()
                self.sent += len(sent)
                to.write(sent)
        finally:
            to.close()

    async def _answer(
        self, answers: asyncio.StreamReader, back: asyncio.StreamWriter, answered: asyncio.Event
    ) -> None:
        try:
            while received := await answers.read(1 << 16):
                answered.set()
                self.received += len(received)
                back.write(received)
        finally:
            back.close()
