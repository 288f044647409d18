"""Answers as the handlers give them: a status, headers, and one kind of body."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from moorage.web.ranges import Span

JSON = "application/json"
IMMUTABLE = "private, max-age=31536000, immutable"


class FileBody(msgspec.Struct, frozen=True):
    """Content of an open file: the whole of it, or one or several spans.

    Whoever sends the answer closes `descriptor`, sent or not.
    """

    descriptor: int
    size: int
    digest: str
    spans: tuple[Span, ...]
    boundary: str = ""


class StreamBody(msgspec.Struct, frozen=True):
    """Content that is read from elsewhere while it is sent; the beginning has been read already."""

    head: bytes
    rest: AsyncIterator[bytes]
    read: Callable[[int, int], AsyncIterator[bytes]]
    size: int
    digest: str
    spans: tuple[Span, ...]
    boundary: str = ""


class FlowBody(msgspec.Struct, frozen=True):
    """Parts that come when there are any, for as long as both sides want; none has a length."""

    parts: AsyncGenerator[bytes, None]


async def open_stream(
    read: Callable[[int, int], AsyncIterator[bytes]],
    size: int,
    digest: str,
    spans: tuple[Span, ...],
    boundary: str = "",
) -> StreamBody:
    """Return a body whose first span has begun to come.

    Raises:
        FileNotFoundError, EOFError: the content is not there, or not all of it.
    """
    rest = read(spans[0].start, spans[0].end)
    head = await anext(rest, b"")
    return StreamBody(head, rest, read, size, digest, spans, boundary)


def open_body(
    path: str, size: int, digest: str, spans: tuple[Span, ...], boundary: str = ""
) -> FileBody | None:
    """Return a body of the file, None if it is not there or has not the size that it should."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    if os.fstat(descriptor).st_size != size:
        os.close(descriptor)
        return None
    return FileBody(descriptor, size, digest, spans, boundary)


class Response(msgspec.Struct):
    """An answer; `body` is bytes, or a file or stream that `web/send.py` sends."""

    status: int
    headers: dict[str, str]
    body: bytes | FileBody | StreamBody | FlowBody = b""
    # Called when the body turns out to be damaged while it is sent.
    on_damage: Callable[[], Awaitable[None]] | None = None

    def close(self) -> None:
        """Close the file of the body, if it has one."""
        if isinstance(self.body, FileBody):
            os.close(self.body.descriptor)
            self.body = b""


def answer(status: int, body: bytes = b"", content_type: str = "", **headers: str) -> Response:
    """Return an answer with bytes; header names are given with underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type:
        named["Content-Type"] = content_type
    return Response(status, named, body)


def json_answer(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a JSON document; names and digests in it are texts."""
    body = msgspec.json.encode(document, enc_hook=str)
    return Response(status, {"Content-Type": JSON, **(headers or {})}, body)


def next_link(path: str, parameters: Sequence[tuple[str, str]]) -> str:
    """Return a relative `Link` to the next page (RFC 8288, distribution-spec "Listing Tags").

    Relative, because clients refuse a link whose host is not the one that they asked.
    """
    return f'<{path}?{urlencode(parameters)}>; rel="next"'
