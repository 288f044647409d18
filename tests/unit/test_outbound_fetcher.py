"""What users may make the server connect to: every address is looked at, and pinned."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from moorage.outbound import AddressRefused, Fetcher, FetchFailed

LOOPBACK = ("127.0.0.0/8", "::1/128")

Answer = Callable[[str], bytes]


@asynccontextmanager
async def serving(answer: Answer, seen: list[str]) -> AsyncIterator[int]:
    """Answer every request with what the function says; yield the port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        seen.append(head.partition("\r\n")[0])
        writer.write(answer(head))
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def said(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Return a whole answer."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def run(answer: Answer, use: Callable[[str], Awaitable[Any]]) -> tuple[Any, list[str]]:
    """Return what a use of the server's address came to, and the requests that it made."""

    async def body() -> tuple[Any, list[str]]:
        seen: list[str] = []
        async with serving(answer, seen) as port:
            return await use(f"http://127.0.0.1:{port}/keys"), seen

    return asyncio.run(body())


@pytest.mark.requirement("S-62")
@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://0x7f.1/x",
        "https://0x7f000001/x",
        "https://2130706433/x",
        "https://017700000001/x",
        "https://0.0.0.0/x",
        "https://10.0.0.1/x",
        "https://172.16.0.1/x",
        "https://192.168.1.1/x",
        "https://100.64.0.1/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://192.0.0.192/x",
        "https://198.18.0.1/x",
        "https://192.88.99.1/x",
        "https://224.0.0.1/x",
        "https://240.0.0.1/x",
        "https://255.255.255.255/x",
        "https://[::]/x",
        "https://[::1]/x",
        "https://[::127.0.0.1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[::ffff:7f00:1]/x",
        "https://[64:ff9b::127.0.0.1]/x",
        "https://[64:ff9b:1::1]/x",
        "https://[2002:7f00:1::]/x",
        "https://[2001:0:7f00:1::]/x",
        "https://[2001:db8::1]/x",
        "https://[3fff::1]/x",
        "https://[fc00::1]/x",
        "https://[fd00::1]/x",
        "https://[fe80::1]/x",
        "https://[fe80::1%25lo]/x",
        "https://[fec0::1]/x",
        "https://[ff02::1]/x",
        "https://localhost./x",
        "https://\uff4c\uff4f\uff43\uff41\uff4chost/x",
        "https://example.com\\@127.0.0.1/x",
        "https://user@example.com/x",
        "https://user:word@example.com/x",
        "https://example.com:0x50/x",
        "https://example.com:99999/x",
        "https://example.com/x#fragment",
        "https://exa mple.com/x",
        "https://example.com/\r\nHost: evil",
        "https:///x",
        "https://",
        "http://example.com/x",
        "http://8.8.8.8/x",
        "file:///etc/passwd",
        "gopher://example.com/x",
        "unix:/run/docker.sock",
        "//example.com/x",
        "",
        "https://" + "a" * 3_000,
    ],
)
def test_refused_without_asking_anybody(url: str) -> None:
    with pytest.raises(AddressRefused):
        Fetcher().read(url)


@pytest.mark.parametrize("host", ["localhost", "ip6-localhost"])
def test_names_of_this_machine(host: str) -> None:
    with pytest.raises((AddressRefused, FetchFailed)):
        asyncio.run(Fetcher().fetch(f"https://{host}/x"))


@pytest.mark.parametrize(
    "url", ["https://example.com", "https://8.8.8.8/x", "https://[2606:4700::1111]:8443/x?y=z"]
)
def test_public_ones_are_let_through(url: str) -> None:
    assert Fetcher().read(url).scheme == "https"


@pytest.mark.parametrize(
    ("url", "allow"),
    [
        ("https://10.1.2.3/x", ("10.1.0.0/16",)),
        ("https://[::ffff:10.1.2.3]/x", ("10.1.0.0/16",)),
        ("https://[fd12::1]/x", ("fd12::/16",)),
        ("http://127.0.0.1:8080/x", ("127.0.0.0/8",)),
        ("http://[::1]/x", ("::1/128",)),
    ],
)
def test_what_the_administrator_names_is_let_through(url: str, allow: tuple[str, ...]) -> None:
    with pytest.raises(AddressRefused):
        Fetcher().read(url)
    Fetcher(allow).read(url)


def test_plain_http_is_for_this_machine_alone() -> None:
    with pytest.raises(AddressRefused, match="https"):
        Fetcher((*LOOPBACK, "10.0.0.0/8")).read("http://10.0.0.1/x")


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Have every name stand for those addresses; return the names that are asked for."""
    asked: list[str] = []

    async def getaddrinfo(_loop: object, host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            (family[":" in text], socket.SOCK_STREAM, 6, "", (text, port)) for text in addresses
        ]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.requirement("S-64")
@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
        ["2606:4700::1111", "::1"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%lo"],
    ],
)
def test_one_answer_inside_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    asked = answers(monkeypatch, *addresses)
    with pytest.raises(AddressRefused):
        asyncio.run(Fetcher().fetch("https://rebound.example/x"))
    assert asked == ["rebound.example"]


@pytest.mark.requirement("S-64")
def test_what_was_looked_at_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up once: whatever a second answer would be, nobody asks for it."""
    real = asyncio.base_events.BaseEventLoop.getaddrinfo
    asked: list[str] = []

    async def getaddrinfo(loop: Any, host: str, port: int, **options: Any) -> Any:
        asked.append(host)
        return await real(loop, "127.0.0.1", port, **options)

    async def use(url: str) -> bytes:
        monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)
        return await Fetcher(LOOPBACK).fetch(url.replace("127.0.0.1", "keys.example"))

    body, seen = run(lambda _: said("200 OK", b"{}"), use)
    assert (body, seen, asked) == (b"{}", ["GET /keys HTTP/1.1"], ["keys.example"])


def test_authorities_are_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    read = ssl.create_default_context

    def watched(*, cafile: str | None) -> ssl.SSLContext:
        threads.append(threading.current_thread())
        return read(cafile=cafile)

    monkeypatch.setattr(ssl, "create_default_context", watched)
    run(lambda _: said("200 OK", b"{}"), Fetcher(LOOPBACK).fetch)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


def test_fetching(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment gets to see it, and no credentials go with it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    heads: list[str] = []

    def answer(head: str) -> bytes:
        heads.append(head.lower())
        return said("200 OK", b'{"keys":[]}', "Set-Cookie: a=b")

    body, _ = run(answer, Fetcher(LOOPBACK).fetch)
    assert body == b'{"keys":[]}'
    assert "authorization" not in heads[0]
    assert "cookie" not in heads[0]


@pytest.mark.requirement("S-61")
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(status: str) -> None:
    async def use(url: str) -> None:
        with pytest.raises(FetchFailed, match=status[:3]):
            await Fetcher(LOOPBACK).fetch(url)

    _, seen = run(lambda _: said(status, b"", "Location: /elsewhere"), use)
    assert seen == ["GET /keys HTTP/1.1"]


@pytest.mark.parametrize(
    "answer",
    [
        said("404 Not Found", b"{}"),
        said("500 Broken", b"{}"),
        said("200 OK", b"x" * 2_000),
        said("200 OK", b"\x1f\x8b", "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"100\r\n" + b"x" * 256,
        b"garbage\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_answer(answer: bytes) -> None:
    async def use(url: str) -> None:
        with pytest.raises(FetchFailed):
            await Fetcher(LOOPBACK).fetch(url, most=1_000)

    run(lambda _: answer, use)


def test_a_server_that_is_slow_or_gone() -> None:
    async def body() -> None:
        ended = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()  # until the other side has had enough
            writer.close()
            ended.set()

        async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            with pytest.raises(FetchFailed, match="in time"):
                await Fetcher(LOOPBACK, seconds=0.2).fetch(url)
            await ended.wait()
        with pytest.raises(FetchFailed):
            await Fetcher(LOOPBACK, seconds=5).fetch(url)

    asyncio.run(body())
