"""Sends a file on a plain connection by `sendfile`, from the event loop.

To a reader on the same machine it goes in whole segments. Asked for more, the kernel moves 64 KiB
at a time, which no segment holds exactly; the reader is woken for every fragment, and that costs
more than the bytes.
"""

import asyncio
import os
import socket

# What one turn of the event loop may take, 0.3 to 0.5 ms of it: others are waiting.
_TURN = 1 << 20
# What the kernel hands to a network device at once, without its headers.
_SEGMENTS = 65_200
# How much may wait behind what TCP has in flight. What the reader acknowledges then brings the next
# bytes out, and neither side is woken for each segment: 4.2 GB/s instead of 1.8. Only for a reader
# on this machine: to one across a network it is slower than what the kernel does by itself.
_UNSENT = 16 << 10


class Outlet:
    """A connection as `sendfile` sees it; a context manager around the sending of one body."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Take a second descriptor of the connection: the event loop guards its own.

        Raises:
            ConnectionResetError: the connection is closed.
        """
        if transport.is_closing():
            raise ConnectionResetError("the client went away")
        self._transport = transport
        sock: socket.socket = transport.get_extra_info("socket")
        self._call = _TURN
        if _is_within_this_machine(transport):
            self._call = _whole_segments(sock)
        self._descriptor = os.dup(sock.fileno())
        self._file = self._place = self._end = 0
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> "Outlet":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the second descriptor; the connection stays open."""
        os.close(self._descriptor)

    async def send(self, file: int, place: int, end: int) -> int:
        """Send the bytes of an open file from `place` to `end`; return where they ended.

        Whatever the transport has been given before must have left it, or it would come after.

        Raises:
            ConnectionError, TimeoutError: the client went away.
            OSError: the file can't be read.
        """
        self._file, self._place, self._end = file, place, end
        if not self._take_turn():
            loop = asyncio.get_running_loop()
            self._ended = loop.create_future()
            loop.add_writer(self._descriptor, self._go_on)
            try:
                await self._ended
            finally:
                loop.remove_writer(self._descriptor)
        return self._place

    def _go_on(self) -> None:
        if self._ended.done():
            return
        try:
            if self._take_turn():
                self._ended.set_result(None)
        except OSError as error:
            self._ended.set_exception(error)

    def _take_turn(self) -> bool:
        """Send what the connection takes now; tell whether that was all there is."""
        if self._transport.is_closing():
            raise ConnectionResetError("the client went away")
        limit = min(self._place + _TURN, self._end)
        while self._place < limit:
            count = min(self._call, self._end - self._place)
            try:
                sent = os.sendfile(self._descriptor, self._file, self._place, count)
            except BlockingIOError:
                return False
            if not sent:
                return True
            self._place += sent
        return self._place == self._end


def _is_within_this_machine(transport: asyncio.Transport) -> bool:
    ours, theirs = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    return isinstance(ours, tuple) and isinstance(theirs, tuple) and ours[0] == theirs[0]


def _whole_segments(sock: socket.socket) -> int:
    """Return how much one call is to send, and bound what waits behind it."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
    segment = max(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 1)
    return max(_SEGMENTS // segment, 1) * segment
