"""HTTP/1.1 by hand on blocking sockets: the cheapest client Python allows, for one peer at a time.

No pool, no redirects, no retries; a connection the server closes is opened again.
"""

import socket
import ssl
import struct
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from bench.tools import BenchError

PATIENCE = 120  # seconds of silence on a socket before a measurement is given up
RECEIVE = 1 << 16


class Endpoint(NamedTuple):
    """Where a server listens, and the certificate to trust if it speaks TLS."""

    port: int
    certificate: str | None = None

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address as other programs want it."""
        return f"{'https' if self.certificate else 'http'}://{self.authority}"

    def connect(self) -> socket.socket:
        """Return a connected socket, after the handshake if there is one."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        # A timeout of the kernel's: Python's own costs one poll() before each call.
        plain.settimeout(None)
        limit = struct.pack("ll", PATIENCE, 0)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.certificate is None:
            return plain
        context = ssl.create_default_context(cafile=self.certificate)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")


def request(
    endpoint: Endpoint,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> bytes:
    """Return a whole request; a Content-Length in `headers` announces a body sent apart."""
    fields = {"Host": endpoint.authority, **(headers or {})}
    if method in {"POST", "PUT", "PATCH"}:
        fields.setdefault("Content-Length", str(len(body)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a head as it came, a body without its framing."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of a header field."""
        start = self.head.lower().find(b"\r\n" + name.lower().encode() + b":")
        if start < 0:
            return None
        line = self.head[start + 2 :].split(b"\r\n", 1)[0]
        return line.split(b":", 1)[1].strip().decode()

    def expect(self, *statuses: int) -> "Answer":
        """Return itself; :raises BenchError: if the status is another."""
        if self.status not in statuses:
            raise BenchError(f"answered {self.status}: {self.body[:300].decode(errors='replace')}")
        return self

    def location(self) -> str:
        """Return the path and query of Location, whether it came absolute or relative."""
        value = self.header("Location")
        if value is None:
            raise BenchError("no Location in the answer")
        if value.startswith("http"):
            value = "/" + value.split("/", 3)[3]
        return value


class Connection:
    """One keep-alive connection, one exchange at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Connect at the first exchange."""
        self.endpoint = endpoint
        self._socket: socket.socket | None = None
        self._buffer = bytearray()

    def exchange(self, message: bytes) -> Answer:
        """Send a whole request and read its answer."""
        sock = self._open()
        sock.sendall(message)
        return self._answer(sock, head_only=message.startswith(b"HEAD "))

    def send_file(self, head: bytes, path: Path, offset: int, count: int) -> Answer:
        """Send a head and a stretch of a file as its body, and read the answer."""
        sock = self._open()
        sock.sendall(head)
        with path.open("rb") as file:
            sock.sendfile(file, offset, count)
        return self._answer(sock, head_only=False)

    def close(self) -> None:
        """Close the socket, if it is open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer.clear()

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = self.endpoint.connect()
        return self._socket

    def _answer(self, sock: socket.socket, *, head_only: bool) -> Answer:
        head = self._until(sock, b"\r\n\r\n")
        status = int(head[9:12])
        fields = Answer(status, head, b"")
        body = b""
        if not head_only and status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            body = self._body(sock, fields)
        if (fields.header("Connection") or "").lower() == "close":
            self.close()
        return Answer(status, head, body)

    def _body(self, sock: socket.socket, answer: Answer) -> bytes:
        length = answer.header("Content-Length")
        if length is not None:
            return self._take(sock, int(length))
        if (answer.header("Transfer-Encoding") or "").lower() != "chunked":
            raise BenchError("an answer without a length")
        parts = []
        while size := int(self._until(sock, b"\r\n").split(b";")[0], 16):
            parts.append(self._take(sock, size))
            self._until(sock, b"\r\n")
        self._until(sock, b"\r\n")
        return b"".join(parts)

    def _until(self, sock: socket.socket, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            self._receive(sock)
        found = bytes(self._buffer[: end + len(mark)])
        del self._buffer[: end + len(mark)]
        return found

    def _take(self, sock: socket.socket, size: int) -> bytes:
        while len(self._buffer) < size:
            self._receive(sock)
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found

    def _receive(self, sock: socket.socket) -> None:
        data = sock.recv(RECEIVE)
        if not data:
            self.close()
            raise BenchError("the server closed the connection in the middle of an answer")
        self._buffer += data
