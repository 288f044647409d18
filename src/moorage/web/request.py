"""A request as the handlers see it: raw path, lazy query, a body with limits and time-outs."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import ClientError, HttpVersion11, web
from aiohttp.web_protocol import PayloadAccessError, RequestPayloadError

from moorage.errors import (
    BodyEncoded,
    BodyTimeout,
    ExpectationFailed,
    ManifestTooLarge,
    QueryTooLong,
)

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

# A body left unread is drained up to here so that the connection can be used again.
DRAIN_BYTES = 65_536
_DRAIN_SECONDS = 1.0
_MAX_PARAMETERS = 1_000


class Disconnected(Exception):
    """The client went away, or broke the framing, before its body was complete."""


class Request:
    """One request; made by `web/server.py` for every message that the parser accepted."""

    __slots__ = (
        "_continued",
        "_query",
        "_raw",
        "action",
        "actor",
        "authority",
        "body_read",
        "body_timeout",
        "client",
        "credential",
        "id",
        "method",
        "path",
        "query_text",
        "repository",
    )

    def __init__(self, raw: web.BaseRequest, request_id: str, body_timeout: float) -> None:
        """Split the raw target; nothing is decoded or normalised here.

        `action`, `actor`, `credential` and `repository` are filled in by the handler for the access
        log and the trail, `client` with the address of whoever sent it, empty where that can't be
        known.
        """
        self._raw = raw
        self._query: list[tuple[str, str]] | None = None
        self._continued = False
        self.id = request_id
        self.method = raw.method
        self.body_timeout = body_timeout
        self.body_read = 0
        self.action = ""
        self.actor = ""
        self.client = ""
        self.credential = ""
        self.repository = ""
        target, _, self.query_text = raw.raw_path.partition("?")
        self.authority = ""
        if target[:7].lower() == "http://" or target[:8].lower() == "https://":
            # Absolute form (RFC 9112 section 3.2.2): what it says of the host is ignored.
            self.authority, _, path = target.partition("://")[2].partition("/")
            target = "/" + path
        self.path = target

    @property
    def headers(self) -> "CIMultiDictProxy[str]":
        """The header fields, looked up without regard to case."""
        return self._raw.headers

    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The header fields as they came."""
        return self._raw._message.raw_headers

    @property
    def is_http_1_1(self) -> bool:
        """Whether the client speaks HTTP/1.1."""
        return self._raw.version == HttpVersion11

    @property
    def transport(self) -> asyncio.Transport | None:
        """The connection, None when the client is gone."""
        return self._raw.transport

    @property
    def is_tls(self) -> bool:
        """Whether this very connection is encrypted."""
        return isinstance(self.connection("ssl_object"), ssl.SSLObject)

    def connection(self, name: str) -> object:
        """Return what asyncio knows of the connection under that name."""
        transport = self._raw.transport
        return transport.get_extra_info(name) if transport is not None else None

    @property
    def kept(self) -> dict[str, Any]:
        """What has been found out about the connection, for as long as it lasts."""
        kept: dict[str, Any] = self._raw.protocol.kept  # type: ignore[attr-defined]
        return kept

    @property
    def gone(self) -> asyncio.Event:
        """What is set once the client sends no more, or the connection is lost."""
        gone: asyncio.Event = self._raw.protocol.gone  # type: ignore[attr-defined]
        return gone

    @property
    def raw(self) -> web.BaseRequest:
        """The server library's own request, for the sending side."""
        return self._raw

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query's names and values in their order, decoded.

        Raises:
            QueryTooLong: it has too many.
        """
        if self._query is None:
            try:
                self._query = parse_qsl(
                    self.query_text, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS
                )
            except ValueError as error:
                raise QueryTooLong from error
        return self._query

    def parameter(self, name: str) -> str | None:
        """Return the first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)

    def parameters(self, name: str) -> list[str]:
        """Return all values of a query parameter."""
        return [value for key, value in self.query if key == name]

    @property
    def content_length(self) -> int | None:
        """The declared length of the body, None when it is chunked or absent."""
        value = self._raw.headers.get("Content-Length")
        return int(value) if value is not None else None

    @property
    def has_body(self) -> bool:
        """Whether anything follows the headers."""
        return self._raw.can_read_body

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; asks a waiting client to go on first.

        Raises:
            BodyEncoded: the body is under a content coding.
            BodyTimeout: no byte came for the time-out.
            Disconnected: the client went away or broke the framing.
        """
        self._ask_to_continue()
        content = self._raw.content
        while not content.at_eof():
            try:
                async with asyncio.timeout(self.body_timeout):
                    chunk = await content.readany()
            except TimeoutError as error:
                raise BodyTimeout from error
            except (ClientError, ConnectionError, RequestPayloadError, PayloadAccessError) as error:
                raise Disconnected from error
            if chunk:
                self.body_read += len(chunk)
                yield chunk

    async def body(self, limit: int, what: str = "a manifest") -> bytes:
        """Return the whole body; `what` names it in a refusal.

        Raises:
            ManifestTooLarge: it has more bytes than the limit, told before they are read.
        """
        if (self.content_length or 0) > limit:
            raise ManifestTooLarge(f"{what} has at most {limit} bytes")
        parts: list[bytes] = []
        async for chunk in self.chunks():
            if self.body_read > limit:
                raise ManifestTooLarge(f"{what} has at most {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    async def drain(self) -> bool:
        """Read away what little is left of the body; False if it is too much or too slow."""
        content = self._raw.content
        if not self.has_body or content.at_eof():
            return True
        length = self.content_length
        if self._expects_continue() or (
            length is not None and length - self.body_read > DRAIN_BYTES
        ):
            return False
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                left = DRAIN_BYTES
                while not content.at_eof() and left >= 0:
                    left -= len(await content.readany())
        except (TimeoutError, ClientError, ConnectionError, RequestPayloadError):
            return False
        return content.at_eof()

    def _expects_continue(self) -> bool:
        return not self._continued and "Expect" in self._raw.headers

    def _ask_to_continue(self) -> None:
        coding = self._raw.headers.get("Content-Encoding", "identity")
        if coding.strip().lower() not in ("identity", ""):
            raise BodyEncoded
        expected = self._raw.headers.get("Expect")
        if expected is None or self._continued or not self.is_http_1_1:
            return
        if expected.strip().lower() != "100-continue":
            raise ExpectationFailed
        self._continued = True
        transport = self._raw.transport
        if transport is not None:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
