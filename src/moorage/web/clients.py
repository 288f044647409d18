"""Which client is at the other end of a request, where proxies that are trusted stand between.

Requests only look: the addresses behind names are kept fresh beside them.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

from moorage.web.request import Request

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LookUp = Callable[[str], Awaitable[frozenset[Address] | None]]

# How long what a name stands for is gone by, and how soon one is looked up again that failed.
_RESOLVED_SECONDS = 60.0
_AGAIN_SECONDS = 5.0
_LOOK_UP_SECONDS = 2.0
# What a provider gives to one customer, at least: whoever has one address of it has all.
_PREFIX = 64
# An address may come with a port, one of version 6 then in brackets.
_FORWARDED = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+)(?::\d+)?|([0-9A-Fa-f:.]+)", re.ASCII
)


class Proxies:
    """The proxies whose word on who their client is counts."""

    def __init__(self, trusted: Sequence[str], look_up: LookUp | None = None) -> None:
        """Trust addresses and networks, and, once `resolve` has found them, names."""
        self._networks = [_network(text) for text in trusted if _is_network(text)]
        self._names = [text for text in trusted if not _is_network(text)]
        self._look_up = look_up or _look_up
        self._found: dict[str, frozenset[Address]] = {}
        self._resolved: frozenset[Address] = frozenset()

    async def resolve(self) -> list[str]:
        """Look all names up; return those that nobody is trusted by.

        What a name stood for is trusted on while nobody can tell what it stands for.
        """
        found = await asyncio.gather(*(self._look_up(name) for name in self._names))
        for name, addresses in zip(self._names, found, strict=True):
            if addresses is not None:
                self._found[name] = addresses
        self._resolved = frozenset().union(*self._found.values())
        return [name for name in self._names if not self._found.get(name)]

    async def keep(self) -> None:
        """Go on looking the names up, if there are any, until it is cancelled."""
        missing: list[str] = []
        while self._names:
            await asyncio.sleep(_AGAIN_SECONDS if missing else _RESOLVED_SECONDS)
            missing = await self.resolve()

    def client_of(self, request: Request) -> Address | None:
        """Return the client's address: the peer's, or the nearest one that is no trusted proxy.

        None if that can't be known: it came over a socket of this machine, or a trusted proxy
        does not say.
        """
        peer = request.connection("peername")
        address = parse_address(peer[0]) if isinstance(peer, tuple) else None
        # A Unix socket lets in only who runs as our own user: that is the proxy in front.
        if isinstance(peer, tuple) and (address is None or not self._trusts(address)):
            return address
        if not self._networks and not self._names:
            return address
        listed = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        for text in reversed(listed):
            address = parse_address(text.strip())
            if address is None or not self._trusts(address):
                return address
        return address

    def name_of(self, request: Request) -> str:
        """Return the address of `client_of` as text, empty if it can't be known."""
        if self._networks or self._names:
            return str(self.client_of(request) or "")
        peer = request.connection("peername")
        return _text_of(peer[0]) if isinstance(peer, tuple) else ""

    def _trusts(self, address: Address) -> bool:
        if any(address in each for each in self._networks):
            return True
        return bool(self._resolved) and address in self._resolved


def is_within(address: Address, networks: Sequence[str]) -> bool:
    """Tell whether the address is in one of the networks."""
    return any(address in _network(text) for text in networks)


@lru_cache(maxsize=4_096)
def parse_address(text: str) -> Address | None:
    """Return the address that a text is, with or without a port; None if it is none."""
    match = _FORWARDED.fullmatch(text.partition("%")[0])
    if match is None:
        return None
    try:
        address = ipaddress.ip_address(next(filter(None, match.groups())))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4_096)
def _text_of(peer: str) -> str:
    return str(parse_address(peer) or "")


@lru_cache(maxsize=1_024)
def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


@lru_cache(maxsize=4_096)
def place_of(text: str) -> str:
    """Return what an address is counted by: all that its owner has along with it."""
    address = parse_address(text)
    if address is None:
        return text
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, _PREFIX), strict=False))


async def _look_up(name: str) -> frozenset[Address] | None:
    """Return what a name stands for, nothing if nobody has it, None if that can't be told now."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return frozenset() if error.errno == socket.EAI_NONAME else None
    except (OSError, UnicodeError):
        return None
    addresses = (parse_address(str(each[4][0])) for each in found)
    return frozenset(filter(None, addresses))


def _is_network(text: str) -> bool:
    try:
        return bool(_network(text))
    except ValueError:
        return False
