"""Sends an answer: headers in one write, files by `sendfile` on plain TCP, own reads over TLS.

Content that is elsewhere goes out as it comes in, whichever the connection.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from concurrent.futures import Executor
from contextlib import aclosing
from io import FileIO
from typing import Protocol, TypeVar, cast

from aiohttp import web

from moorage.errors import RegistryError
from moorage.oci.digest import Digest, Hasher, digest_of
from moorage.web.flow import send_flow
from moorage.web.ranges import Span
from moorage.web.request import Request
from moorage.web.response import FileBody, FlowBody, Response, StreamBody
from moorage.web.sendfile import Outlet

# What a thread reads ahead, so that the disk never stops the event loop.
WINDOW = 8 << 20
READ_BYTES = 256 << 10
WRITE_BYTES = 64 << 10
# Up to here a span is read on the event loop and sent with its headers.
SMALL = 64 << 10
_PROBE_STRIDE = 512 << 10


_Body_contra = TypeVar("_Body_contra", FileBody, StreamBody, contravariant=True)


class Damaged(ConnectionError):
    """The bytes read do not have their digest: the connection is broken, never ended cleanly."""


async def send(
    request: Request,
    response: Response,
    readers: Executor,
    stop: asyncio.Event,
    *,
    last: bool,
) -> tuple[web.StreamResponse, int]:
    """Send the answer; return the server library's response and how many bytes the body had.

    `last` says that the connection ends with it; `readers` are threads that fetch from the disk;
    with `stop`, what has no end comes to it.

    Raises:
        ConnectionError: the client went away, or the content is damaged.
    """
    body = response.body
    if isinstance(body, FileBody) and not body.boundary and body.spans[0].length <= SMALL:
        body = _read_small(body)
    if isinstance(body, bytes):
        return await _send_bytes(request, response, body, last=last)
    if isinstance(body, FlowBody):
        return await send_flow(request, response, body, stop)
    prepared = web.StreamResponse(status=response.status, headers=response.headers)
    if last:
        prepared.force_close()
    prepared.content_length = _length(body)
    await prepared.prepare(request.raw)
    if request.method == "HEAD":
        await prepared.write_eof()
        return prepared, 0
    if isinstance(body, StreamBody):
        await _send_parts(_Streaming(prepared, body), prepared, body)
    else:
        await _send_file(request, prepared, body, readers)
    await prepared.write_eof()
    return prepared, _length(body)


async def _send_file(
    request: Request, prepared: web.StreamResponse, body: FileBody, readers: Executor
) -> None:
    with FileIO(body.descriptor, closefd=False) as file:
        parts = (_Reading if request.is_tls else _Sendfile)(request, prepared, file, readers)
        await _send_parts(parts, prepared, body)


def _read_small(body: FileBody) -> bytes | FileBody:
    """Return a short span's bytes, verified if it is the whole, or the body if they are on disk.

    Headers and bytes then leave in one segment; `sendfile` for 4 KiB takes four times as long.
    """
    span = body.spans[0]
    if not _is_cached(body.descriptor, span.start, span.length):
        return body
    content = os.pread(body.descriptor, span.length, span.start)
    digest = Digest(body.digest)
    whole = span.length == body.size
    if len(content) != span.length or (whole and digest_of(content, digest.algorithm) != digest):
        raise Damaged("the blob is damaged on the disk")
    return content


async def _send_bytes(
    request: Request, response: Response, body: bytes, *, last: bool
) -> tuple[web.StreamResponse, int]:
    empty = request.method == "HEAD" or response.status in (204, 304)
    if response.status not in (204, 304):
        response.headers.setdefault("Content-Length", str(len(body)))
    content = None if empty else body
    prepared = web.Response(status=response.status, headers=response.headers, body=content)
    if last:
        prepared.force_close()
    await prepared.prepare(request.raw)
    await prepared.write_eof()
    return prepared, 0 if empty else len(body)


def _length(body: FileBody | StreamBody) -> int:
    if not body.boundary:
        return body.spans[0].length
    parts = (len(_part_head(body, span)) + span.length for span in body.spans)
    return sum(parts) + len(_part_end(body))


def _part_head(body: FileBody | StreamBody, span: Span) -> bytes:
    return (
        f"\r\n--{body.boundary}\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Range: bytes {span.start}-{span.end - 1}/{body.size}\r\n\r\n"
    ).encode()


def _part_end(body: FileBody | StreamBody) -> bytes:
    return f"\r\n--{body.boundary}--\r\n".encode()


class _Spans(Protocol[_Body_contra]):
    """What sends the spans of one kind of body."""

    async def send(self, span: Span, body: _Body_contra) -> None:
        """Send the span."""
        ...


async def _send_parts(
    parts: _Spans[_Body_contra], prepared: web.StreamResponse, body: _Body_contra
) -> None:
    if not body.boundary:
        await parts.send(body.spans[0], body)
        return
    for span in body.spans:
        await prepared.write(_part_head(body, span))
        await parts.send(span, body)
    await prepared.write(_part_end(body))


class _Streaming:
    """Spans as they are read from elsewhere; a whole blob is verified while it is sent."""

    def __init__(self, prepared: web.StreamResponse, body: StreamBody) -> None:
        self._prepared = prepared
        self._first: StreamBody | None = body

    async def send(self, span: Span, body: StreamBody) -> None:
        """Send the span; the last bytes of a whole blob go out only if its digest holds."""
        digest = Digest(body.digest)
        hasher = Hasher(digest.algorithm) if span.length == body.size else None
        place = span.start
        try:
            async with aclosing(self._read(span, body)) as chunks:
                async for chunk in chunks:
                    place += len(chunk)
                    if hasher is not None:
                        hasher.update(chunk)
                        if place >= span.end and hasher.digest(digest.algorithm) != digest:
                            raise Damaged("the blob is damaged in the object store")
                    await self._prepared.write(chunk)
        except EOFError as error:
            raise Damaged("the object is shorter than its record says") from error
        except RegistryError as error:
            # The answer has been begun: all that can be done is to break it off.
            raise OSError("the object store stopped answering") from error

    async def _read(self, span: Span, body: StreamBody) -> AsyncGenerator[bytes, None]:
        rest = body.rest if self._first is not None else body.read(span.start, span.end)
        async with aclosing(cast("AsyncGenerator[bytes, None]", rest)) as chunks:
            if self._first is not None:
                self._first = None
                yield body.head
            async for chunk in chunks:
                yield chunk


class _Sendfile:
    """Spans of a file by `sendfile`, a window at a time, so that no copy passes through Python."""

    def __init__(
        self,
        request: Request,
        prepared: web.StreamResponse,
        file: FileIO,
        readers: Executor,
    ) -> None:
        self._request = request
        self._prepared = prepared
        self._file = file
        self._readers = readers

    async def send(self, span: Span, body: FileBody) -> None:  # noqa: ARG002 - _Reading needs it
        """Send the span; the kernel reads the file, so nothing can be verified here."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client went away")
        place = span.start
        await self._fetch(place, min(WINDOW, span.length))
        if transport.get_write_buffer_size():
            # The headers have not left yet. The event loop's own sendfile waits for that.
            count = min(SMALL, span.length)
            loop = asyncio.get_running_loop()
            place += await loop.sendfile(transport, self._file, place, count, fallback=False)
        with Outlet(transport) as outlet:
            end = min(span.start + WINDOW, span.end)
            while place < span.end:
                if await outlet.send(self._file.fileno(), place, end) != end:
                    raise Damaged("the file is shorter than its record says")
                place, end = end, min(end + WINDOW, span.end)
                await self._fetch(place, end - place)

    async def _fetch(self, place: int, length: int) -> None:
        # A page that is not in memory would stop the event loop until the disk has brought it.
        if not _is_cached(self._file.fileno(), place, length):
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._readers, _read_ahead, self._file, place, length)


class _Reading(_Sendfile):
    """Spans of a file read here, for TLS; a whole blob is verified while it is sent."""

    async def send(self, span: Span, body: FileBody) -> None:
        """Send the span; the last bytes of a whole blob go out only if its digest holds."""
        digest = Digest(body.digest)
        whole = span.length == body.size
        hasher = Hasher(digest.algorithm) if whole else None
        place = span.start
        while place < span.end:
            if (place - span.start) % WINDOW == 0:
                await self._fetch(place, min(WINDOW, span.end - place))
            wanted = min(READ_BYTES, span.end - place)
            chunk = os.pread(self._file.fileno(), wanted, place)
            place += len(chunk)
            if hasher is not None:
                hasher.update(chunk)
            if len(chunk) != wanted or (
                hasher is not None
                and place == span.end
                and hasher.digest(digest.algorithm) != digest
            ):
                raise Damaged("the blob is damaged on the disk")
            # The event loop encrypts at once what it is given, and keeps what the socket does not
            # take both as it was and encrypted: small slices keep that small for a slow client.
            view = memoryview(chunk)
            for start in range(0, len(chunk), WRITE_BYTES):
                await self._prepared.write(view[start : start + WRITE_BYTES])


def _is_cached(descriptor: int, place: int, length: int) -> bool:
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    probe = bytearray(1)
    try:
        for offset in range(place, place + length, _PROBE_STRIDE):
            os.preadv(descriptor, [probe], offset, os.RWF_NOWAIT)
    except OSError:  # not in memory, or a file system that can't tell
        return False
    return True


def _read_ahead(file: FileIO, place: int, length: int) -> None:
    buffer = bytearray(1 << 20)
    for offset in range(place, place + length, len(buffer)):
        os.preadv(file.fileno(), [buffer], offset)
