"""`web/sendfile.py` on real connections: every byte, in order, and nothing left behind."""

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from moorage.web.sendfile import Outlet

SIZE = (3 << 20) + 4_321
Use = Callable[[asyncio.Transport], Awaitable[None]]


@pytest.fixture
def content() -> bytes:
    """Bytes that differ from place to place."""
    return os.urandom(SIZE)


@pytest.fixture
def descriptor(tmp_path: Path, content: bytes) -> Iterator[int]:
    """The open file that is sent."""
    path = tmp_path / "file"
    path.write_bytes(content)
    number = os.open(path, os.O_RDONLY)
    yield number
    os.close(number)


@pytest.fixture(params=["tcp", "unix"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end of a connection, and the client's."""
    if request.param == "unix":
        ours, theirs = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
    yield ours, theirs
    theirs.close()


class Reader(threading.Thread):
    """A client that reads to the end of the connection."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._socket = sock
        self.received = bytearray()
        self.start()

    def run(self) -> None:
        while data := self._socket.recv(100_000):
            self.received += data


def run(ours: socket.socket, use: Use) -> None:
    """Use our end as a transport of a new event loop, then close it."""

    async def body() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        try:
            await use(transport)
        finally:
            transport.close()

    asyncio.run(body())


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def send_endlessly(transport: asyncio.Transport, descriptor: int) -> None:
    with Outlet(transport) as outlet:
        while True:
            await outlet.send(descriptor, 0, SIZE)


def test_every_byte_arrives_in_order(
    pair: tuple[socket.socket, socket.socket], descriptor: int, content: bytes
) -> None:
    reader = Reader(pair[1])

    async def use(transport: asyncio.Transport) -> None:
        transport.write(b"head")
        with Outlet(transport) as outlet:
            assert await outlet.send(descriptor, 0, 1_000) == 1_000
            assert await outlet.send(descriptor, 1_000, SIZE) == SIZE
        transport.write(b"tail")

    run(pair[0], use)
    reader.join()
    assert reader.received == b"head" + content + b"tail"


def test_a_short_file_is_told(
    pair: tuple[socket.socket, socket.socket], descriptor: int, content: bytes
) -> None:
    reader = Reader(pair[1])

    async def use(transport: asyncio.Transport) -> None:
        with Outlet(transport) as outlet:
            assert await outlet.send(descriptor, 0, SIZE + 10) == SIZE

    run(pair[0], use)
    reader.join()
    assert reader.received == content


def test_a_client_that_goes_away_is_an_error(
    pair: tuple[socket.socket, socket.socket], descriptor: int
) -> None:
    before = descriptors()

    async def use(transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, pair[1].close)
        with pytest.raises(ConnectionError):
            await send_endlessly(transport, descriptor)

    run(pair[0], use)
    assert descriptors() == before - 2  # the two ends


def test_cancelled_it_keeps_nothing_and_the_loop_goes_on(
    pair: tuple[socket.socket, socket.socket], descriptor: int
) -> None:
    async def use(transport: asyncio.Transport) -> None:
        before = descriptors()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(send_endlessly(transport, descriptor), 0.05)
        assert descriptors() == before

    run(pair[0], use)


def test_others_have_their_turn(pair: tuple[socket.socket, socket.socket], descriptor: int) -> None:
    reader = Reader(pair[1])
    turns = 0

    async def use(transport: asyncio.Transport) -> None:
        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(count())
        with Outlet(transport) as outlet:
            for _ in range(10):
                await outlet.send(descriptor, 0, SIZE)
        other.cancel()

    run(pair[0], use)
    reader.join()
    assert turns >= 20  # a turn sends at most 1 MiB of the 30


def test_an_unreadable_file_is_an_error(pair: tuple[socket.socket, socket.socket]) -> None:
    async def use(transport: asyncio.Transport) -> None:
        with Outlet(transport) as outlet, pytest.raises(OSError, match="Bad file descriptor"):
            await outlet.send(9_999, 0, SIZE)

    run(pair[0], use)
