"""Raw bytes on the wire: what is framed in two ways, or not at all, is refused or cut off."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from process import Server
from registry import OCI_MANIFEST, Registry, Repository, digest_of, requirement, unique, with_query

QUICK = {"MOORAGE_LIMITS__BODY_IDLE_SECONDS": "2", "MOORAGE_LIMITS__KEEPALIVE_SECONDS": "2"}
SMUGGLED = "GET /v2/_catalog HTTP/1.1\r\nHost: {host}\r\n\r\n"
GET = "GET /v2/ HTTP/1.1\r\n"
HOST = "Host: {host}\r\n"

# Each is sent as it is, and is refused with 400 (or what is said beside it) or cut off.
REFUSED: dict[str, tuple[str, tuple[int, ...]]] = {
    "two-lengths": (
        f"PUT {{target}} HTTP/1.1\r\n{HOST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        (),
    ),
    "same-length-twice": (
        f"PUT {{target}} HTTP/1.1\r\n{HOST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        (),
    ),
    "list-of-lengths": (f"PUT {{target}} HTTP/1.1\r\n{HOST}Content-Length: 3, 3\r\n\r\nabc", ()),
    "plus-length": (f"PUT {{target}} HTTP/1.1\r\n{HOST}Content-Length: +3\r\n\r\nabc", ()),
    "negative-length": (f"PUT {{target}} HTTP/1.1\r\n{HOST}Content-Length: -1\r\n\r\nabc", ()),
    "underscore-length": (f"PUT {{target}} HTTP/1.1\r\n{HOST}Content-Length: 0_3\r\n\r\nabc", ()),
    "hex-length": (f"PUT {{target}} HTTP/1.1\r\n{HOST}Content-Length: 0x3\r\n\r\nabc", ()),
    "empty-length": (f"PUT {{target}} HTTP/1.1\r\n{HOST}Content-Length:\r\n\r\nabc", ()),
    "huge-length": (
        f"PUT {{target}} HTTP/1.1\r\n{HOST}Content-Length: {'9' * 30}\r\n\r\nabc",
        (413,),
    ),
    "unknown-coding": (
        f"PUT {{target}} HTTP/1.1\r\n{HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        (501,),
    ),
    "coding-after-chunked": (
        f"PUT {{target}} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        (501,),
    ),
    "two-codings": (
        (
            f"PUT {{target}} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n"
            "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"
        ),
        (501,),
    ),
    "chunked-twice": (
        f"PUT {{target}} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        (501,),
    ),
    "coding-with-vertical-tab": (
        f"PUT {{target}} HTTP/1.1\r\n{HOST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        (501,),
    ),
    "coding-in-http-1.0": (
        f"PUT {{target}} HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        (403, 505),
    ),
    "bare-lf": ("GET /v2/ HTTP/1.1\nHost: {host}\n\n", ()),
    "bare-lf-in-headers": (f"{GET}{HOST}X: a\nY: b\r\n\r\n", ()),
    "bare-cr-in-a-header": (f"{GET}{HOST}X: a\rY: b\r\n\r\n", ()),
    "folded-header": (f"{GET}{HOST}X: a\r\n b\r\n\r\n", ()),
    "folded-with-a-tab": (f"{GET}{HOST}X: a\r\n\tb\r\n\r\n", ()),
    "folded-first-header": (f"{GET} X: a\r\n{HOST}\r\n", ()),
    "space-before-colon": (f"{GET}{HOST}Content-Length : 0\r\n\r\n", ()),
    "header-without-colon": (f"{GET}{HOST}nonsense\r\n\r\n", ()),
    "header-without-name": (f"{GET}{HOST}: x\r\n\r\n", ()),
    "nul-in-a-header": (f"{GET}{HOST}X: a\0b\r\n\r\n", ()),
    "nul-in-a-name": (f"{GET}{HOST}X\0: a\r\n\r\n", ()),
    "nul-in-the-path": (f"GET /v2/\0 HTTP/1.1\r\n{HOST}\r\n", (404,)),
    "no-host": (f"{GET}\r\n", (403,)),
    "two-hosts": (f"{GET}{HOST}{HOST}\r\n", (403,)),
    "two-different-hosts": (f"{GET}{HOST}Host: evil.example\r\n\r\n", (403,)),
    "host-list": (f"{GET}Host: {{host}}, evil.example\r\n\r\n", (403,)),
    "host-with-a-user": (f"{GET}Host: evil.example@{{host}}\r\n\r\n", (403,)),
    "host-with-a-path": (f"{GET}Host: {{host}}/evil\r\n\r\n", (403,)),
    "host-with-a-query": (f"{GET}Host: 127.0.0.1?.evil.example\r\n\r\n", (403,)),
    "host-with-a-fragment": (f"{GET}Host: 127.0.0.1#.evil.example\r\n\r\n", (403,)),
    "host-with-a-word-as-port": (f"{GET}Host: 127.0.0.1:evil\r\n\r\n", (403,)),
    "host-with-a-space": (f"{GET}Host: 127.0.0.1 evil.example\r\n\r\n", (403,)),
    "empty-host": (f"{GET}Host:\r\n\r\n", (403,)),
    "no-version": ("GET /v2/\r\n\r\n", (403, 505)),
    "other-version": (f"GET /v2/ HTTP/3.7\r\n{HOST}\r\n", (505,)),
    "http-2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (403, 404, 405, 505)),
    "tab": (f"GET\t/v2/ HTTP/1.1\r\n{HOST}\r\n", ()),
    "no-method": (f" /v2/ HTTP/1.1\r\n{HOST}\r\n", ()),
    "unknown-method": (f"BREW /v2/ HTTP/1.1\r\n{HOST}\r\n", (405, 501)),
    "connect": (f"CONNECT {{host}} HTTP/1.1\r\n{HOST}\r\n", (403, 404, 405)),
    "asterisk": (f"GET * HTTP/1.1\r\n{HOST}\r\n", (403, 404, 405)),
    "no-slash": (f"GET v2/ HTTP/1.1\r\n{HOST}\r\n", (404,)),
    "long-header": (f"{GET}{HOST}X: {'x' * 70_000}\r\n\r\n", (431,)),
    "long-name": (f"{GET}{HOST}{'X' * 70_000}: x\r\n\r\n", (431,)),
    "long-path": (f"GET /v2/{'x' * 100_000} HTTP/1.1\r\n{HOST}\r\n", (404, 414, 431)),
}
BAD_CHUNKS = {
    "size-word": "zz\r\nabc\r\n0\r\n\r\n",
    "size-negative": "-1\r\nabc\r\n0\r\n\r\n",
    "size-plus": "+3\r\nabc\r\n0\r\n\r\n",
    "size-0x": "0x3\r\nabc\r\n0\r\n\r\n",
    "size-empty": "\r\nabc\r\n0\r\n\r\n",
    "size-space": " 3\r\nabc\r\n0\r\n\r\n",
    "size-underscore": "0_3\r\nabc\r\n0\r\n\r\n",
    "size-overflow": "fffffffffffffffff3\r\nabc\r\n0\r\n\r\n",
    "line-feed-only": "3\nabc\n0\n\n",
    "no-terminator": "3\r\nabc0\r\n\r\n",
    "wrong-terminator": "3\r\nabcXX0\r\n\r\n",
    "too-long": "3\r\nabcdef\r\n0\r\n\r\n",
    "extension-line-feed": "3;a\nbc\r\nabc\r\n0\r\n\r\n",
    "extension-carriage-return": "3;a\rb\r\nabc\r\n0\r\n\r\n",
}


def exchange(registry: Registry, raw: str | bytes, seconds: float = 0.7) -> tuple[list[int], bytes]:
    """Send bytes as they are and return the statuses that come back, with all that came."""
    content = raw.encode("latin-1") if isinstance(raw, str) else raw
    with registry.wire() as wire:
        wire.send(content)
        received = wire.rest(seconds)
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)], received


@requirement("S-2.0")
@pytest.mark.parametrize("case", REFUSED)
def test_refused(repository: Repository, case: str) -> None:
    """What can be read in two ways is 400 or cut off, and nothing behind it is answered."""
    registry = repository.registry
    raw, also = REFUSED[case]
    values = {"host": registry.authority, "target": repository.path("manifests/latest")}
    statuses, received = exchange(registry, (raw + SMUGGLED).format(**values))
    assert set(statuses[:1]) <= {400, *also}, received
    # A refusal of what is framed beyond doubt may leave the connection to the next request.
    if statuses[:1] not in [[status] for status in also]:
        assert len(statuses) <= 1, received
        assert b"repositories" not in received
    assert repository.tagged("latest") is None


@requirement("S-2.0")
@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Content-Length: 999\r\ntransfer-encoding: Chunked",
    ],
)
def test_length_and_chunks(repository: Repository, framing: str) -> None:
    """A body with a length and chunks is refused or the connection closed; never smuggled."""
    registry = repository.registry
    raw = f"PATCH {repository.begin()} HTTP/1.1\r\n{HOST}{framing}\r\n\r\n0\r\n\r\n{SMUGGLED}"
    statuses, received = exchange(registry, raw.format(host=registry.authority))
    assert statuses in ([], [400]), received


@requirement("S-2.0")
@pytest.mark.parametrize("case", BAD_CHUNKS)
def test_bad_chunks(repository: Repository, case: str) -> None:
    """A body in broken chunks is refused or cut off, is never the blob, and smuggles nothing."""
    registry, target = repository.registry, with_query(repository.begin(), digest=digest_of(b"abc"))
    head = f"PUT {target} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"
    raw = (head + BAD_CHUNKS[case] + SMUGGLED).format(host=registry.authority)
    statuses, received = exchange(registry, raw)
    assert statuses in ([], [400]), received
    assert not repository.has_blob(digest_of(b"abc"))


@requirement("S-2.0")
def test_valid_chunks(repository: Repository) -> None:
    """Chunk extensions, upper-case sizes and trailers are legal."""
    registry, content = repository.registry, b"x" * 26
    target = with_query(repository.begin(), digest=digest_of(content))
    raw = f"PUT {target} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"
    raw += f"001A;name=value\r\n{content.decode()}\r\n0\r\nX-Trailer: x\r\n\r\n"
    statuses, received = exchange(registry, raw.format(host=registry.authority))
    assert statuses == [201], received
    assert repository.has_blob(digest_of(content))


@requirement("S-2.0", "S-10")
def test_absolute_form(registry: Registry) -> None:
    """An absolute request target does not make its host ours."""
    target = f"http://evil.example/v2/{unique()}/blobs/uploads/"
    raw = f"POST {target} HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n"
    statuses, received = exchange(registry, raw.format(host=registry.authority))
    assert statuses[0] in (202, 400, 403, 404), received
    assert b"evil" not in received.lower()


@requirement("S-2.0")
def test_upgrade_is_not_taken(registry: Registry) -> None:
    """No upgrade to another protocol."""
    upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n"
    statuses, _ = exchange(registry, f"{GET}{HOST}{upgrade}\r\n".format(host=registry.authority))
    assert statuses in ([200], [400], [403])


@requirement("S-101")
@pytest.mark.parametrize("cookie", ["c=" + "x" * 66_000, "; ".join(["a=b"] * 20_000)])
def test_huge_cookie(registry: Registry, cookie: str) -> None:
    """A huge cookie is 400 or 431."""
    raw = f"{GET}{HOST}Cookie: {cookie}\r\n\r\n".format(host=registry.authority)
    assert exchange(registry, raw)[0] in ([], [400], [431])


def endless(part: bytes) -> Iterator[bytes]:
    """Return 16 MiB of repetitions of `part`, 64 KiB at a time."""
    block = part * (65_536 // len(part) + 1)
    for _ in range(256):
        yield block


@requirement("S-101", "S-2.0")
@pytest.mark.parametrize(
    "where", ["headers", "names", "request-line", "trailers", "chunk-extension"]
)
def test_endless(repository: Repository, where: str) -> None:
    """A head that does not end is cut off long before 16 MiB."""
    registry = repository.registry
    head = f"PUT {repository.begin()} HTTP/1.1\r\n{HOST}".format(host=registry.authority)
    starts = {
        "headers": (head, b"X-Header: 0123456789\r\n"),
        "names": (head, b"x"),
        "request-line": ("GET /v2/", b"x"),
        "trailers": (f"{head}Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Header: 0123456789\r\n"),
        "chunk-extension": (f"{head}Transfer-Encoding: chunked\r\n\r\n3;", b"x"),
    }
    start, part = starts[where]
    sent = 0
    with registry.wire(10) as wire:
        with suppress(BrokenPipeError, ConnectionResetError):
            wire.socket.sendall(start.encode())
            for block in endless(part):
                wire.socket.sendall(block)
                sent += len(block)
        statuses = re.findall(rb"HTTP/1\.1 (\d{3})", wire.rest(0.5))
    assert sent < 12 * 1024 * 1024
    assert set(statuses) <= {b"400", b"414", b"431"}


@requirement("S-2.0", "Q-30")
@pytest.mark.parametrize("cut", ["FIN", "RST"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_truncated_manifest_is_never_stored(repository: Repository, framing: str, cut: str) -> None:
    """A manifest whose body ends early is not stored, not even when what came is a manifest."""
    registry, raw = repository.registry, repository.push_image().raw
    headers = {"Content-Type": OCI_MANIFEST}
    body = raw + b" " if framing == "length" else []
    sent = raw if framing == "length" else b"%x\r\n%b\r\n" % (len(raw), raw)
    with registry.wire() as wire:
        path = repository.path("manifests/latest")
        wire.send(registry.head_of("PUT", path, headers, body) + sent)
        time.sleep(0.2)
        if cut == "RST":
            wire.reset()
        else:
            wire.finish()
            assert b" 201 " not in wire.rest(2)
    time.sleep(0.2)
    assert repository.tagged("latest") is None


@requirement("S-2.0", "Q-30")
def test_truncated_post_is_never_stored(repository: Repository) -> None:
    """A monolithic POST whose body ends early stores nothing."""
    registry, part = repository.registry, unique().encode()
    target = repository.path(f"blobs/uploads/?digest={digest_of(part)}")
    with registry.wire() as wire:
        wire.send(registry.head_of("POST", target, (), part + b"more") + part)
        wire.finish()
        assert b" 201 " not in wire.rest(2)
    repository.push_blob()
    assert not repository.has_blob(digest_of(part))


@pytest.fixture(scope="module")
def quick(shared_server: Callable[..., Server]) -> Registry:
    """Return a registry that waits two seconds for a client, not a minute."""
    return Registry(shared_server(**QUICK).url)


@requirement("S-2.0")
@pytest.mark.parametrize("sent", [b"", b"G", b"GET /v2/ HTTP/1.1\r\nHost: "])
def test_silent_client(quick: Registry, sent: bytes) -> None:
    """A connection on which no head is completed is closed."""
    with quick.wire() as wire:
        wire.send(sent)
        assert wire.is_closed(12)


@requirement("S-2.0")
def test_idle_connection(quick: Registry) -> None:
    """A connection on which nothing more is asked is closed."""
    with quick.wire() as wire:
        quick.request("GET", "/v2/", wire=wire).expect(200)
        assert wire.is_closed(12)


@requirement("S-2.0")
def test_slow_header(quick: Registry) -> None:
    """A head that comes byte by byte is cut off."""
    with quick.wire() as wire:
        started = time.monotonic()
        with suppress(OSError):
            wire.socket.sendall(b"GET /v2/ HTTP/1.1\r\nX: ")
            while time.monotonic() - started < 12:
                wire.socket.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - started < 11


def give_up(quick: Registry, method: str, framing: str) -> tuple[str, bytes, bool]:
    """Send a tenth of a body; return the session, what came back, and whether it was closed."""
    repository = quick.repository()
    location, verb = repository.begin(), method.partition("-")[0]
    target = location
    if method == "PUT":
        target = with_query(location, digest=digest_of(b"x" * 100))
    elif method == "PUT-manifest":
        target = repository.path("manifests/latest")
    body, sent = (b"x" * 100, b"x" * 10) if framing == "length" else ([], b"a\r\nxxxxxxxxxx\r\n")
    headers = {"Content-Type": OCI_MANIFEST}
    with quick.wire() as wire:
        wire.send(quick.head_of(verb, target, headers, body) + sent)
        return location, wire.rest(15), wire.is_closed(1)


@requirement("S-2.0")
def test_slow_body(quick: Registry) -> None:
    """A body that stops coming is given up with 408 or without an answer; what came is not lost."""
    cases = [
        (method, framing)
        for method in ("PATCH", "PUT", "PUT-manifest")
        for framing in ("length", "chunks")
    ]
    with ThreadPoolExecutor(len(cases)) as pool:
        results = list(pool.map(lambda case: give_up(quick, *case), cases))
    for (method, framing), (location, received, is_closed) in zip(cases, results, strict=True):
        assert is_closed, (method, framing)
        assert not received or received.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ")), received
        if method == "PATCH":
            assert quick.get(location).expect(204)["Range"] == "0-9", framing
