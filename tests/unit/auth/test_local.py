"""Local mode: each of its conditions alone ends it."""

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from moorage.auth.local import LocalMode
from moorage.config import Config
from moorage.web.request import Request

HOST = ("Host", "localhost:5000")
Header = tuple[str, str]


class Asked:
    """A request as far as local mode looks at it, over a connection that is really there."""

    def __init__(self, own: Any, peer: Any, headers: list[Header], **facts: Any) -> None:
        self._names = {"sockname": own, "peername": peer}
        self.headers = CIMultiDictProxy(CIMultiDict(headers))
        self.raw_headers = tuple((name.encode(), value.encode()) for name, value in headers)
        self.kept: dict[str, Any] = {}
        self.is_http_1_1 = facts.get("is_http_1_1", True)
        self.is_tls = facts.get("is_tls", False)
        self.authority = facts.get("authority", "")

    def connection(self, name: str) -> Any:
        return self._names[name]


@pytest.fixture(scope="module")
def ends() -> Iterator[tuple[Any, Any]]:
    """Return our own and the client's address of a loopback connection."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0],
    ):
        yield listener.getsockname(), client.getsockname()


def refusal(ends: tuple[Any, Any], *headers: Header, config: Config | None = None, **f: Any) -> str:
    """Return why a request with the headers is not local."""
    asked = Asked(*ends, list(headers) or [HOST], **f)
    return LocalMode(config or Config()).refusal(cast("Request", asked))


@pytest.mark.parametrize(
    "headers",
    [
        [HOST],
        [("Host", "localhost")],
        [("Host", "LOCALHOST:5000")],
        [("Host", "127.0.0.1:5000")],
        [("Host", "127.0.0.2")],
        [("Host", "[::1]:5000")],
        [HOST, ("Origin", "http://localhost:5000")],
        [HOST, ("Sec-Fetch-Site", "none")],
        [HOST, ("Sec-Fetch-Site", "same-origin")],
        [HOST, ("User-Agent", "docker/28"), ("Accept", "*/*")],
    ],
)
def test_local(ends: tuple[Any, Any], headers: list[Header]) -> None:
    assert refusal(ends, *headers) == ""


def test_local_over_tls(ends: tuple[Any, Any]) -> None:
    assert refusal(ends, HOST, ("Origin", "https://localhost:5000"), is_tls=True) == ""
    assert refusal(ends, HOST, ("Origin", "http://localhost:5000"), is_tls=True)


@pytest.mark.parametrize(
    "header",
    [
        ("Forwarded", "for=192.0.2.1"),
        ("Via", "1.1 proxy"),
        ("X-Real-IP", "192.0.2.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("x-forwarded-host", "localhost"),
        ("X-FORWARDED-ANYTHING", ""),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", "https://localhost:5000"),
        ("Origin", "http://localhost:5001"),
        ("Origin", "http://localhost"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ],
)
def test_one_header_ends_it(ends: tuple[Any, Any], header: Header) -> None:
    assert refusal(ends, HOST, header)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.1:5000",
        "0.0.0.0:5000",
        "[::2]:5000",
        "[::1",
        "2130706433",
    ],
)
def test_another_host_ends_it(ends: tuple[Any, Any], host: str) -> None:
    """A page elsewhere may have its name resolve to 127.0.0.1, but can not change the name."""
    assert refusal(ends, ("Host", host))


def test_no_host_ends_it(ends: tuple[Any, Any]) -> None:
    assert refusal(ends, ("Accept", "*/*"))


def test_a_proxys_way_of_asking_ends_it(ends: tuple[Any, Any]) -> None:
    assert refusal(ends, is_http_1_1=False)
    assert refusal(ends, authority="localhost:5000")


@pytest.mark.parametrize(
    "config",
    [
        Config(url="https://registry.example"),
        Config(trusted_proxies=("127.0.0.1",)),
        Config(listen=("0.0.0.0:5000",)),
        Config(listen=(":5000",)),
        Config(listen=("127.0.0.1:5000", "10.0.0.1:5000")),
        Config(listen=("unix:/run/moorage.sock",)),
    ],
)
def test_settings_that_end_it(ends: tuple[Any, Any], config: Config) -> None:
    assert refusal(ends, config=config)


@pytest.mark.parametrize("peer", [("192.0.2.1", 4000), ("::ffff:192.0.2.1", 4000, 0, 0), "", None])
def test_other_peers(ends: tuple[Any, Any], peer: Any) -> None:
    assert refusal((ends[0], peer))


def test_a_peer_that_nobody_owns(ends: tuple[Any, Any]) -> None:
    """The kernel says uid 0 of a socket that was closed: it must not pass for root."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert refusal((ends[0], unused.getsockname()))
