"""The root of every request: its id, its errors, its access line, and the state of its connection.

One of the three places that catch any exception: what is not a `RegistryError` is a fault of ours,
told in full to the log and not at all to the client.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, cast

from aiohttp import web
from aiohttp.http import HttpRequestParser
from aiohttp.http_parser import HttpRequestParserPy
from aiohttp.web_protocol import RequestHandler

from moorage.config import Limits
from moorage.errors import BlobUploadInvalid, Refused, RegistryError, Unknown
from moorage.telemetry import Telemetry, request_id
from moorage.web.errors import render
from moorage.web.request import Disconnected, Request
from moorage.web.response import Response
from moorage.web.send import Damaged, send

Handler = Callable[[Request], Awaitable[Response]]
# Returns None where it is a program that reads it.
RefusedPage = Callable[[Request, RegistryError], Response | None]

_MAX_LINE = 16_384
_MAX_FIELD = 65_536
_READ_BUFFER = 1 << 20
_LINGER_SECONDS = 3.0
_TLS_BUFFER = 64 << 10
_READERS = 8


def require_c_parser() -> None:
    """Refuse to start on the server library's slow parser, which is where its CVEs were.

    Raises:
        Refused: the C parser is not loaded.
    """
    if HttpRequestParser is HttpRequestParserPy:
        raise Refused(
            "The HTTP server's C parser is not loaded.",
            why="The pure Python one is lax in what it accepts.",
            do="Unset AIOHTTP_NO_EXTENSIONS, or install aiohttp from a wheel.",
        )


class Front:
    """Answers every request of one process by a handler of `Request` to `Response`."""

    def __init__(
        self,
        handler: Handler,
        telemetry: Telemetry,
        limits: Limits,
        refused_page: RefusedPage | None = None,
    ) -> None:
        """Serve the handler; `refused_page` shows a refusal where a person reads it."""
        self._handler = handler
        self._refused_page = refused_page
        self._telemetry = telemetry
        self._limits = limits
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="send")
        self._winding_down = asyncio.Event()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def server(self) -> web.Server:
        """Return the server library's own server, with every setting that we rely on."""
        return _Server(
            self.answer,
            auto_decompress=False,  # a decompressed body would not have its digest
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_FIELD,
            keepalive_timeout=self._limits.keepalive_seconds,
            lingering_time=_LINGER_SECONDS,
            read_bufsize=_READ_BUFFER,
            access_log=None,
        )

    async def answer(self, raw: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens."""
        began = time.perf_counter()
        request = Request(
            raw, request_id(raw.headers.get("X-Request-Id")), self._limits.body_idle_seconds
        )
        self._enter()
        response = Response(500, {})
        sent = 0
        try:
            response = await self._respond(request)
            last = self._winding_down.is_set() or "Connection" in response.headers
            last = (request.has_body and not await request.drain()) or last
            prepared, sent = await send(
                request, response, self._readers, self._winding_down, last=last
            )
        except OSError as error:
            # Of the connection, or of a file that is being sent: the answer has been begun.
            response.status = 499  # as access logs write what no client saw
            try:
                # Noted before the client sees it: what it asks next must be told of the damage.
                await self._lost(request, response, error)
            finally:
                if raw.transport is not None:
                    raw.transport.abort()
            raise ConnectionResetError(str(error)) from error
        finally:
            response.close()
            self._leave()
            self._record(request, response.status, sent, time.perf_counter() - began)
        return prepared

    async def _lost(self, request: Request, response: Response, error: OSError) -> None:
        tell = self._telemetry.log
        is_theirs = isinstance(error, ConnectionError | TimeoutError)
        tell = tell.info if is_theirs and not isinstance(error, Damaged) else tell.error
        tell("connection lost", request=request.id, path=request.path, reason=str(error))
        if isinstance(error, Damaged) and response.on_damage is not None:
            await response.on_damage()

    def wind_down(self) -> None:
        """From now on close each connection with its answer."""
        self._winding_down.set()

    async def drain(self, server: web.Server, seconds: float) -> None:
        """Let what is under way come to its end, for at most so long; nothing new is begun.

        Bodies go on arriving meanwhile: the server library's own shutdown drops them.
        """
        self.wind_down()
        for connection in server.connections:
            if isinstance(connection, _Connection) and connection.is_idle:
                connection.close()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            self._telemetry.log.warning("cut off", requests=self._in_flight, seconds=seconds)

    def _enter(self) -> None:
        self._in_flight += 1
        self._idle.clear()
        self._telemetry.metrics.in_flight.inc()

    def _leave(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()
        self._telemetry.metrics.in_flight.dec()

    async def _respond(self, request: Request) -> Response:
        try:
            if request.transport is None:
                raise ConnectionResetError("the client went away")
            if not is_host(request.headers.get("Host", "")) and request.is_http_1_1:
                raise BlobUploadInvalid(
                    "the Host header is not a host and port", headers={"Connection": "close"}
                )
            response = await self._handler(request)
        except RegistryError as error:
            if error.status >= 500:
                self._telemetry.log.error("refused", request=request.id, exc_info=error)
            response = self._refused(request, error)
        except Disconnected as error:
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the body ended early") from error
            response = render(BlobUploadInvalid("the body is malformed"), request.path, request.id)
        except ConnectionError:
            raise
        except Exception as error:
            self._telemetry.log.error("fault", request=request.id, exc_info=error)
            response = self._refused(request, Unknown())
        headers = response.headers
        headers["Docker-Distribution-API-Version"] = "registry/2.0"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Request-Id"] = request.id
        headers["Server"] = "Moorage"
        return response

    def _refused(self, request: Request, error: RegistryError) -> Response:
        page = self._refused_page(request, error) if self._refused_page is not None else None
        return page or render(error, request.path, request.id)

    def _record(self, request: Request, status: int, sent: int, seconds: float) -> None:
        self._telemetry.metrics.answered(
            request.method if request.method in _METHODS else "other",
            request.action or "other",
            status,
            seconds,
            received=request.body_read,
            sent=sent,
        )
        peer = request.connection("peername")
        self._telemetry.access(
            {
                "time": time.time(),
                "event": "request",
                "request": request.id,
                "worker": self._telemetry.worker,
                "actor": request.actor,
                "action": request.action,
                "repository": request.repository,
                "peer": peer[0] if isinstance(peer, tuple) else "",
                "method": request.method,
                "path": request.path,
                "status": status,
                "received": request.body_read,
                "bytes": sent,
                "seconds": round(seconds, 6),
                "agent": request.headers.get("User-Agent", ""),
            }
        )


@lru_cache(maxsize=1_024)
def is_host(text: str) -> bool:
    """Tell whether a `Host` header is a name or address with an optional port (RFC 9110 7.2)."""
    return _HOST.fullmatch(text) is not None


_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Server(web.Server):
    """Makes connections whose protocol errors are told in the same shape as all others."""

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)


class _Connection(RequestHandler):
    """One connection; what the parser refuses is answered here, and the connection ends."""

    __slots__ = ("_body_seen", "_idle_bytes", "gone", "kept")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._body_seen = 0
        self._idle_bytes = 0
        self.kept: dict[str, Any] = {}
        self.gone = asyncio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way or waiting on the connection."""
        return self._current_request is None and not self._messages

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; bound what an encrypted connection buffers when its client reads slowly."""
        super().connection_made(transport)
        if transport.get_extra_info("ssl_object") is not None:
            # asyncio's own bound is 512 KiB in front of the encryption and as much behind it.
            cast("asyncio.Transport", transport).set_write_buffer_limits(high=_TLS_BUFFER)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Say so to what has no end of its own."""
        super().connection_lost(exc)
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        """Take in bytes; those of a body must bring it forward.

        A chunk's extension may be endless as far as the parser is concerned, and no time-out sees
        it, because bytes do arrive.
        """
        super().data_received(data)
        request = self._current_request
        if request is None:
            return
        seen = request.content.total_bytes
        self._idle_bytes = self._idle_bytes + len(data) if seen == self._body_seen else 0
        self._body_seen = seen
        if self._idle_bytes > _MAX_FIELD and not request.content.is_eof():
            self.force_close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that has closed its own side behind a complete request."""
        self.gone.set()
        waiting = [payload for _, payload in self._messages]
        if self._current_request is not None:
            waiting.append(self._current_request.content)
        if not waiting or not all(payload.is_eof() for payload in waiting):
            return False
        self.close()
        return True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - may quote the request's bytes
    ) -> web.StreamResponse:
        """Return the answer to a message that is not HTTP as we take it."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had been begun")
        error = Unknown() if status >= 500 else BlobUploadInvalid("the request is not valid HTTP")
        rendered = render(error, "/v2/", "")
        if status >= 500:
            self.logger.error("fault in the server library", exc_info=exc)
        body = rendered.body if isinstance(rendered.body, bytes) else b""
        response = web.Response(status=status, body=body, headers=rendered.headers)
        response.headers["Docker-Distribution-API-Version"] = "registry/2.0"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Request-Id"] = request_id(None)
        response.headers["Server"] = "Moorage"
        response.force_close()
        return response
