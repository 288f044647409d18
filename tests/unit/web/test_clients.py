import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import pytest
from multidict import CIMultiDict

from moorage.web import clients
from moorage.web.clients import Address, Proxies, is_within, parse_address, place_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:8080", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unknown", None),
        ("192.0.2", None),
        ("192.0.2.1:8080:1", None),
        ("_hidden", None),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    found = parse_address(text)
    assert (str(found) if found else None) == address


def test_networks() -> None:
    address = parse_address("10.1.2.3")
    assert address is not None
    assert is_within(address, ["2001:db8::/32", "10.0.0.0/8"])
    assert not is_within(address, ["10.2.0.0/16", "192.0.2.1"])
    assert not is_within(address, [])


class Asked:
    """A request as far as the proxies look at it."""

    def __init__(self, peer: str, *forwarded: str) -> None:
        self.peer = (peer, 5_000) if peer else ""
        self.headers = CIMultiDict(("X-Forwarded-For", text) for text in forwarded)

    def connection(self, name: str) -> Any:
        assert name == "peername"
        return self.peer


class Names:
    """Says what a name stands for: nothing where nobody has it, None where it can't tell."""

    def __init__(self, known: Mapping[str, str | None]) -> None:
        self.known = dict(known)
        self.asked: list[str] = []

    async def __call__(self, name: str) -> frozenset[Address] | None:
        self.asked.append(name)
        text = self.known.get(name, "")
        if text is None:
            return None
        found = map(parse_address, text.split())
        return frozenset(each for each in found if each is not None)


def client(proxies: Proxies, peer: str, *forwarded: str) -> str:
    return str(proxies.client_of(Asked(peer, *forwarded)) or "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.7", ["192.0.2.1"], "198.51.100.7"),
        ("10.1.2.3", ["192.0.2.1"], "192.0.2.1"),
        ("::ffff:10.1.2.3", ["192.0.2.1"], "192.0.2.1"),
        ("10.1.2.3", ["192.0.2.66, 192.0.2.1"], "192.0.2.1"),
        ("10.1.2.3", ["192.0.2.1, 10.9.9.9"], "192.0.2.1"),
        ("10.1.2.3", ["192.0.2.66", "192.0.2.1"], "192.0.2.1"),
        ("10.1.2.3", ["192.0.2.1, 203.0.113.5"], "192.0.2.1"),
        ("10.1.2.3", ["192.0.2.1, unknown"], ""),
        ("10.1.2.3", [], ""),
        ("10.1.2.3", ["10.9.9.9"], "10.9.9.9"),
        ("", ["192.0.2.1"], "192.0.2.1"),
    ],
)
def test_who_is_behind_proxies(peer: str, forwarded: list[str], expected: str) -> None:
    proxies = Proxies(["10.0.0.0/8", "203.0.113.5"])
    assert client(proxies, peer, *forwarded) == expected


def test_without_proxies_nobody_is_believed() -> None:
    assert client(Proxies([]), "10.1.2.3", "192.0.2.1") == "10.1.2.3"
    assert client(Proxies([]), "", "192.0.2.1") == ""


def test_names_are_not_looked_up_by_requests() -> None:
    names = Names({"proxy": "10.0.0.9 2001:db8::9"})
    proxies = Proxies(["proxy"], names)
    assert client(proxies, "10.0.0.9", "192.0.2.1") == "10.0.0.9"
    assert asyncio.run(proxies.resolve()) == []
    for _ in range(100):
        assert client(proxies, "10.0.0.9", "192.0.2.1") == "192.0.2.1"
        assert client(proxies, "2001:db8::9", "192.0.2.1") == "192.0.2.1"
        assert client(proxies, "10.0.0.8", "192.0.2.1") == "10.0.0.8"
    assert names.asked == ["proxy"]


def test_a_name_that_moves_takes_its_trust_along() -> None:
    names = Names({"one": "10.0.0.1", "two": "10.0.0.2"})
    proxies = Proxies(["one", "two"], names)
    asyncio.run(proxies.resolve())
    names.known = {"one": "10.0.0.3", "two": None}
    # What can't be told is as before.
    assert asyncio.run(proxies.resolve()) == []
    trusted = [n for n in range(1, 5) if client(proxies, f"10.0.0.{n}", "192.0.2.1") == "192.0.2.1"]
    assert trusted == [2, 3]
    names.known = {"one": "", "two": ""}
    assert asyncio.run(proxies.resolve()) == ["one", "two"]
    assert client(proxies, "10.0.0.3", "192.0.2.1") == "10.0.0.3"


def test_a_missing_name_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon, as long as it is missing."""
    monkeypatch.setattr(clients, "_AGAIN_SECONDS", 0)
    monkeypatch.setattr(clients, "_RESOLVED_SECONDS", 0)
    names = Names({})
    proxies = Proxies(["proxy"], names)

    async def use() -> None:
        assert await proxies.resolve() == ["proxy"]
        keeping = asyncio.create_task(proxies.keep())
        names.known = {"proxy": "10.0.0.9"}
        async with asyncio.timeout(5):
            while client(proxies, "10.0.0.9", "192.0.2.1") == "10.0.0.9":
                await asyncio.sleep(0.001)
        keeping.cancel()

    asyncio.run(use())


def test_without_names_nothing_goes_on() -> None:
    asyncio.run(asyncio.wait_for(Proxies(["10.0.0.1"]).keep(), 1))


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (socket.gaierror(socket.EAI_NONAME, ""), frozenset()),
        (socket.gaierror(socket.EAI_AGAIN, ""), None),
        (OSError(), None),
        (UnicodeError(), None),
    ],
)
def test_look_ups_that_fail(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, expected: object
) -> None:
    async def look_up() -> object:
        async def fail(*_: object, **__: object) -> None:
            raise failure

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
        return await clients._look_up("proxy")

    assert asyncio.run(look_up()) == expected


def test_a_look_up() -> None:
    found = asyncio.run(clients._look_up("localhost"))
    assert found
    assert all(each.is_loopback for each in found)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::2", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_what_an_address_is_counted_by(text: str, place: str) -> None:
    assert place_of(text) == place
