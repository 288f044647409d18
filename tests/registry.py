"""A raw HTTP client for registries, and the content that tests push.

Nothing here normalises a path, follows a redirect, retries or decodes a body. No header is added
but `Host`, `User-Agent`, the body's framing, and for manifests the `Accept` that clients send.
`Wire` is a connection, `Registry` an address and perhaps credentials, `Repository` a name on it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import secrets
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import pytest
from blake3 import blake3

requirement = pytest.mark.requirement

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"

MANIFEST_TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, OCI_ARTIFACT)

ALGORITHMS = ("sha256", "sha512", "blake3")
EMPTY_JSON = b"{}"

Headers = Mapping[str, str | None] | Iterable[tuple[str, str | None]]
Body = bytes | list[bytes] | None
Json = dict[str, Any]


class Closed(ConnectionError):
    """The server closed the connection before the answer was complete."""


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of `content` as written in the protocol."""
    if algorithm == "blake3":
        return f"blake3:{blake3(content).hexdigest()}"
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def absent_digest(algorithm: str = "sha256") -> str:
    """Return a well-formed digest that no content has."""
    return digest_of(secrets.token_bytes(32), algorithm)


def unique(prefix: str = "t") -> str:
    """Return a name component that no other test uses."""
    return prefix + secrets.token_hex(8)


def encode(document: object) -> bytes:
    """Return `document` as the JSON bytes that a client would push."""
    return json.dumps(document, separators=(",", ":")).encode()


def describe(content: bytes, media_type: str, algorithm: str = "sha256", **more: object) -> Json:
    """Return the descriptor of `content`."""
    digest = digest_of(content, algorithm)
    return {"mediaType": media_type, "digest": digest, "size": len(content), **more}


def image_document(config: Json, layers: list[Json], **more: object) -> Json:
    """Return an OCI image manifest; a key of `more` that is None is left out."""
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
    return {key: value for key, value in {**document, **more}.items() if value is not None}


def index_document(manifests: list[Json], **more: object) -> Json:
    """Return an OCI image index; a key of `more` that is None is left out."""
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    return {key: value for key, value in {**document, **more}.items() if value is not None}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer as it came over the wire."""

    method: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    interim: tuple[int, ...] = ()

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """Return a header that may be absent and must not be repeated."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is repeated: {values}"
        return values[0] if values else None

    def __getitem__(self, name: str) -> str:
        """Return a header that must be there once."""
        value = self.get(name)
        assert value is not None, f"no {name} in {self.status} {dict(self.headers)} {self.body!r}"
        return value

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The error codes of a refusal."""
        return [error["code"] for error in self.json()["errors"]]

    @property
    def message(self) -> str:
        """All that a refusal says."""
        return " ".join(str(error.get("message", "")) for error in self.json()["errors"])

    def expect(self, status: int | tuple[int, ...], *codes: str) -> Self:
        """Check the status and, for a refusal with a body, that its code is one of `codes`."""
        wanted = (status,) if isinstance(status, int) else status
        assert self.status in wanted, f"{self.status} is not in {wanted}: {self.body[:600]!r}"
        if codes and self.method != "HEAD":
            assert self.codes[0] in codes, f"{self.codes} has none of {codes}: {self.body!r}"
        return self


class Wire:
    """One TCP connection: raw bytes out, one answer at a time in."""

    def __init__(self, host: str, port: int, timeout: float = 20) -> None:
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        """Send bytes; a server that has closed already may have answered: that is no error."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(content)

    def finish(self) -> None:
        """Say that nothing more will be sent (FIN)."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection at once (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def answer(self, method: str = "GET") -> Answer:
        """Read the next final answer; statuses of interim ones are in `interim`."""
        interim: tuple[int, ...] = ()
        while True:
            status, headers = self._head()
            if status >= 200:
                break
            interim += (status,)
        answer = Answer(method, status, headers, b"", interim)
        return replace(answer, body=self._body(answer))

    def interim(self) -> int:
        """Read the next head, which must be an interim one, and return its status."""
        status, _ = self._head()
        return status

    def rest(self, seconds: float = 5) -> bytes:
        """Return what the server sends until it closes or is silent for `seconds`."""
        self.socket.settimeout(seconds)
        try:
            while True:
                self._fill()
        except (OSError, Closed):
            return bytes(self._buffer)

    def is_closed(self, seconds: float = 5) -> bool:
        """Return whether the server ends the connection within `seconds`."""
        self.socket.settimeout(seconds)
        try:
            while True:
                self._fill()
        except TimeoutError:
            return False
        except (OSError, Closed):
            return True

    def _fill(self) -> None:
        chunk = self.socket.recv(1 << 18)
        if not chunk:
            raise Closed(f"closed after {bytes(self._buffer[:300])!r}")
        self._buffer += chunk

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._fill()
        return self._take(end + 2)[:-2]

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _head(self) -> tuple[int, tuple[tuple[str, str], ...]]:
        line = self._line().decode("latin-1")
        match = re.fullmatch(r"HTTP/1\.[01] ([1-5]\d\d) .*", line)
        assert match, f"not a status line: {line!r}"
        headers = []
        while line := self._line().decode("latin-1"):
            name, separator, value = line.partition(":")
            assert separator, f"not a header: {line!r}"
            headers.append((name, value.strip(" \t")))
        return int(match[1]), tuple(headers)

    def _body(self, answer: Answer) -> bytes:
        if answer.method == "HEAD" or answer.status in (204, 304):
            return b""
        if answer.get("Transfer-Encoding"):
            return self._chunks()
        length = answer.get("Content-Length")
        if length is not None:
            return self._exactly(int(length))
        with contextlib.suppress(Closed):
            while True:
                self._fill()
        return self._take(len(self._buffer))

    def _chunks(self) -> bytes:
        content = bytearray()
        while size := int(self._line().split(b";")[0], 16):
            content += self._exactly(size)
            assert self._line() == b""
        while self._line():
            pass
        return bytes(content)


class Registry:
    """The registry under test: its address, and the credentials that every request carries."""

    def __init__(
        self,
        url: str,
        credentials: tuple[str, str] | None = None,
        check: Callable[[str, Answer], None] | None = None,
    ) -> None:
        parts = urlsplit(url)
        assert parts.scheme == "http", f"only plain http addresses are tested: {url}"
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.authority = f"{self.host}:{self.port}"
        self.url = f"http://{self.authority}"
        if parts.username and credentials is None:
            credentials = (parts.username, parts.password or "")
        self.authorization = basic(*credentials) if credentials else None
        self._check = check

    def wire(self, timeout: float = 20) -> Wire:
        """Open a connection."""
        return Wire(self.host, self.port, timeout)

    def repository(self, name: str | None = None) -> Repository:
        """Return the repository of that name, else one that no other test knows."""
        return Repository(self, name or f"{unique()}/{unique('r')}")

    def head_of(self, method: str, target: str, headers: Headers = (), body: Body = None) -> bytes:
        """Return the bytes of a request's head; a header given as None is left out."""
        given = list(headers.items() if isinstance(headers, Mapping) else headers)
        names = {name.lower() for name, _ in given}
        lines: list[tuple[str, str | None]] = [("Host", self.authority), ("User-Agent", "tests")]
        if self.authorization:
            lines.append(("Authorization", self.authorization))
        if "/manifests/" in target and method in ("GET", "HEAD"):
            lines.append(("Accept", ", ".join(MANIFEST_TYPES)))
        if isinstance(body, list):
            lines.append(("Transfer-Encoding", "chunked"))
        elif body is not None or method in ("POST", "PUT", "PATCH"):
            lines.append(("Content-Length", str(len(body or b""))))
        lines = [line for line in lines if line[0].lower() not in names] + given
        text = "".join(f"{name}: {value}\r\n" for name, value in lines if value is not None)
        return f"{method} {target} HTTP/1.1\r\n{text}\r\n".encode("latin-1")

    def request(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: Body = None,
        wire: Wire | None = None,
    ) -> Answer:
        """Send one request, on a connection of its own unless `wire` is given."""
        if wire is None:
            with self.wire() as own:
                return self.request(method, target, headers, body, own)
        wire.send(self.head_of(method, target, headers, body) + framed(body))
        answer = wire.answer(method)
        if self._check:
            self._check(target, answer)
        return answer

    def get(self, target: str, headers: Headers = ()) -> Answer:
        """GET."""
        return self.request("GET", target, headers)

    def head(self, target: str, headers: Headers = ()) -> Answer:
        """HEAD."""
        return self.request("HEAD", target, headers)

    def post(self, target: str, body: Body = None, headers: Headers = ()) -> Answer:
        """POST."""
        return self.request("POST", target, headers, body)

    def put(self, target: str, body: Body = None, headers: Headers = ()) -> Answer:
        """PUT."""
        return self.request("PUT", target, headers, body)

    def patch(self, target: str, body: Body = None, headers: Headers = ()) -> Answer:
        """PATCH."""
        return self.request("PATCH", target, headers, body)

    def delete(self, target: str, headers: Headers = ()) -> Answer:
        """DELETE."""
        return self.request("DELETE", target, headers)


@dataclass(frozen=True)
class Manifest:
    """A manifest as pushed."""

    raw: bytes
    media_type: str
    digest: str

    def descriptor(self, **more: object) -> Json:
        """Return the descriptor that an index or a `subject` names it by."""
        size = len(self.raw)
        return {"mediaType": self.media_type, "digest": self.digest, "size": size, **more}


class Repository:
    """A repository of the registry under test; helpers push content and check that it was taken."""

    def __init__(self, registry: Registry, name: str) -> None:
        self.registry = registry
        self.name = name

    def path(self, rest: str) -> str:
        """Return the path of something in this repository."""
        return f"/v2/{self.name}/{rest}"

    def begin(self, **query: str) -> str:
        """Open an upload session and return its address."""
        target = self.path("blobs/uploads/") + ("?" + urlencode(query) if query else "")
        return self.registry.post(target).expect(202)["Location"]

    def push_blob(self, content: bytes | None = None, algorithm: str = "sha256") -> Json:
        """Push a blob (random bytes by default) and return its descriptor."""
        content = secrets.token_bytes(64) if content is None else content
        digest = digest_of(content, algorithm)
        self.registry.put(with_query(self.begin(), digest=digest), content).expect(201)
        return describe(content, OCI_LAYER, algorithm)

    def push_manifest(
        self,
        document: Json | bytes,
        reference: str | None = None,
        media_type: str | None = None,
        algorithm: str = "sha256",
    ) -> Manifest:
        """Push a manifest, by digest when no reference is given."""
        raw = document if isinstance(document, bytes) else encode(document)
        media_type = media_type or json.loads(raw)["mediaType"]
        digest = digest_of(raw, algorithm)
        target = self.path(f"manifests/{reference or digest}")
        self.registry.put(target, raw, {"Content-Type": media_type}).expect(201)
        return Manifest(raw, media_type, digest)

    def new_image(self, **more: object) -> Json:
        """Push a config and a layer and return an image manifest that names them."""
        config = encode({"architecture": "amd64", "os": "linux", "id": unique()})
        self.push_blob(config)
        document = image_document(describe(config, OCI_CONFIG), [self.push_blob()])
        return {key: value for key, value in {**document, **more}.items() if value is not None}

    def push_image(self, reference: str | None = None, **more: object) -> Manifest:
        """Push an image with blobs of its own."""
        return self.push_manifest(self.new_image(**more), reference)

    def push_artifact(self, subject: Json, artifact_type: str, **more: object) -> Manifest:
        """Push an artifact manifest without content that refers to `subject`."""
        self.push_blob(EMPTY_JSON)
        empty = describe(EMPTY_JSON, OCI_EMPTY)
        annotations = {"test.unique": unique(), **more.pop("annotations", {})}
        document = image_document(
            empty, [empty], artifactType=artifact_type, subject=subject, annotations=annotations
        )
        return self.push_manifest({**document, **more})

    def tags(self) -> list[str]:
        """Return the tags as listed."""
        return self.registry.get(self.path("tags/list")).expect(200).json()["tags"]

    def tagged(self, tag: str) -> str | None:
        """Return the digest that a tag answers with, None where there is no such tag."""
        answer = self.registry.head(self.path(f"manifests/{tag}")).expect((200, 404))
        return answer["Docker-Content-Digest"] if answer.status == 200 else None

    def blob(self, digest: str) -> bytes:
        """Return a blob as a client gets it, from another place if it is sent there."""
        answer = self.registry.get(self.path(f"blobs/{digest}")).expect((200, 307))
        if answer.status == 200:
            return answer.body
        with urlopen(answer["Location"], timeout=20) as elsewhere:
            return bytes(elsewhere.read())

    def has_blob(self, digest: str) -> bool:
        """Return whether the repository serves that blob."""
        return self.registry.head(self.path(f"blobs/{digest}")).expect((200, 404)).status == 200


def framed(body: Body) -> bytes:
    """Return a body as it goes over the wire: as it is, or a list of pieces as chunks."""
    if isinstance(body, list):
        return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in body if part) + b"0\r\n\r\n"
    return body or b""


def basic(user: str, password: str) -> str:
    """Return an Authorization value."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def with_query(location: str, **query: str) -> str:
    """Add parameters to an address that may have some, as clients do with a session's Location."""
    return f"{location}{'&' if '?' in location else '?'}{urlencode(query, safe=':')}"


def next_link(answer: Answer) -> str | None:
    """Return the path of the next page, checking that the Link is relative with a quoted rel."""
    link = answer.get("Link")
    if link is None:
        return None
    match = re.fullmatch(r'<(/v2/[^>]+)>; ?rel="next"', link)
    assert match, f"not a relative Link with a quoted rel: {link!r}"
    return match[1]
