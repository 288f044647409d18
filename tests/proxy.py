"""A TCP proxy with faults, for what is between the registry and an object store.

    with FaultyProxy(server.port) as proxy:
        proxy.on("POST", "uploadId=", Fault.LOSE_ANSWER)
        ...
        assert proxy.seen == 1

It reads each request's head and body, so that a fault strikes exactly one kind of request, and so
many times; all others pass. Connections are not kept alive: every request comes with its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import threading
from typing import Self

CHUNK = 64 << 10


class Fault(enum.Enum):
    """What becomes of a request that is meant."""

    REFUSE = "the connection is closed before anything is passed on"
    CUT_REQUEST = "half of the body is passed on, then both ends are closed"
    LOSE_ANSWER = "the request is passed on whole, and the answer never comes back"
    SWALLOW_ANSWER = "the request is passed on whole, and the client waits for ever"
    ERROR = "500, and nothing is passed on"
    ERROR_AFTER = "the request is passed on whole, and 500 comes back"
    SLOW_DOWN = "503 SlowDown, and nothing is passed on"
    CUT_ANSWER = "the head and half of the body of the answer, then the end"
    NOT_FOUND = "404 of something that is no object store, and nothing is passed on"
    HANG = "a little of the body is taken, and the client waits for ever"
    STALL = "nothing for two seconds, then the request is passed on"
    STALL_ANSWER = "the request is passed on whole, and the answer comes two seconds later"


REFUSALS = {
    Fault.ERROR: ("500 Internal Server Error", "InternalError"),
    Fault.ERROR_AFTER: ("500 Internal Server Error", "InternalError"),
    Fault.SLOW_DOWN: ("503 Service Unavailable", "SlowDown"),
    Fault.NOT_FOUND: ("404 Not Found", ""),
}


class FaultyProxy:
    """Listens on a loopback port of its own, in a thread of its own."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), name="proxy")
        self._ready = threading.Event()
        self._end = asyncio.Event()
        self._rules: list[tuple[str, str, Fault, int]] = []
        self._tasks: set[asyncio.Task[None] | None] = set()
        self.port = 0
        self.seen = 0
        self.requests: list[str] = []
        self.read = 0  # bytes of the answers to GET

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """The address to give to the registry."""
        return f"http://127.0.0.1:{self.port}"

    def on(self, method: str, part: str, fault: Fault, times: int = 1) -> None:
        """Strike requests of that method whose target contains the text, so many times."""
        self._rules.append((method, part, fault, times))

    def heal(self) -> None:
        """Let everything pass from now on."""
        self._rules.clear()
        self.seen = 0

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        for _ in range(3):  # one that has been accepted may not have its task yet
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.01)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)  # the event loop itself holds it only weakly
        writer.transport.set_write_buffer_limits(0)  # `drain` then waits until all has left
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            await self._request(head, reader, writer)
            await writer.drain()
        writer.transport.abort()
        self._tasks.discard(task)

    def _fault_of(self, line: str) -> Fault | None:
        method, target, _ = line.split(" ", 2)
        self.requests.append(f"{method} {target}")
        for place, (wanted, part, fault, left) in enumerate(self._rules):
            if left and method == wanted and part in target:
                self._rules[place] = (wanted, part, fault, left - 1)
                self.seen += 1
                return fault
        return None

    async def _request(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines = head.decode("latin-1").split("\r\n")
        fault = self._fault_of(lines[0])
        if fault is Fault.REFUSE:
            return
        if fault in (Fault.STALL, Fault.HANG):
            await asyncio.sleep(2 if fault is Fault.STALL else 600)
        length = int(_header(lines, "content-length") or 0)
        if _header(lines, "expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if fault in (Fault.ERROR, Fault.SLOW_DOWN, Fault.NOT_FOUND):
            await _copy(reader, None, length)
            await self._refuse(fault, writer)
            return
        kept = [line for line in lines if not line.lower().startswith(("connection:", "expect:"))]
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        back.transport.set_write_buffer_limits(0)
        try:
            head = "\r\n".join([kept[0], "Connection: close", *kept[1:]]).encode("latin-1")
            back.write(head)
            await _copy(reader, back, length // 2 if fault is Fault.CUT_REQUEST else length)
            if fault is Fault.CUT_REQUEST:
                return
            if fault in (Fault.LOSE_ANSWER, Fault.SWALLOW_ANSWER, Fault.ERROR_AFTER):
                while await there.read(CHUNK):
                    pass
                if fault is Fault.SWALLOW_ANSWER:
                    await asyncio.sleep(600)
                if fault is Fault.ERROR_AFTER:
                    await self._refuse(fault, writer)
                return
            count = await self._answer(there, writer, fault)
            self.read += count if lines[0].startswith("GET ") else 0
        finally:
            with contextlib.suppress(OSError):
                await back.drain()
            back.transport.abort()

    async def _answer(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault | None
    ) -> int:
        """Pass the answer on, and return how long its body was."""
        count = 0
        head = await there.readuntil(b"\r\n\r\n")
        if fault is Fault.STALL_ANSWER:
            await asyncio.sleep(2)
        writer.write(head)
        length = _header(head.decode("latin-1").split("\r\n"), "content-length")
        if fault is Fault.CUT_ANSWER:
            await _copy(there, writer, int(length or 0) // 2)
            return int(length or 0) // 2
        while chunk := await there.read(CHUNK):
            count += len(chunk)
            writer.write(chunk)
            await writer.drain()
        return count

    async def _refuse(self, fault: Fault, writer: asyncio.StreamWriter) -> None:
        status, code = REFUSALS[fault]
        told = f"<Error><Code>{code}</Code><Message>fault</Message></Error>"
        body = (told if code else "404 page not found\n").encode()
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()


def _header(lines: list[str], name: str) -> str:
    for line in lines[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None, length: int
) -> None:
    while length:
        chunk = await reader.read(min(CHUNK, length))
        if not chunk:
            raise asyncio.IncompleteReadError(b"", length)
        length -= len(chunk)
        if writer is not None:
            writer.write(chunk)
            await writer.drain()
