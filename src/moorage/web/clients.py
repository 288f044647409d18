"""Which client is at the other end of a request, where proxies that are trusted stand between."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from functools import lru_cache

from moorage.web.request import Request

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_RESOLVED_SECONDS = 60.0
_LOOK_UP_SECONDS = 2.0
# An address may come with a port, one of version 6 then in brackets.
_FORWARDED = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+)(?::\d+)?|([0-9A-Fa-f:.]+)", re.ASCII
)


class Proxies:
    """The proxies whose word on who their client is counts."""

    def __init__(self, trusted: Sequence[str]) -> None:
        """Trust addresses, networks and names; names are looked up once a minute."""
        self._networks = [text for text in trusted if _is_network(text)]
        self._names = [text for text in trusted if not _is_network(text)]
        self._resolved: list[str] = []
        self._until = 0.0
        self._looking = asyncio.Lock()

    async def client_of(self, request: Request) -> Address | None:
        """Return the client's address: the peer's, or the nearest one that is no trusted proxy.

        None if that can't be known: it came over a socket of this machine, or a trusted proxy
        does not say.
        """
        peer = request.connection("peername")
        address = parse_address(peer[0]) if isinstance(peer, tuple) else None
        # A Unix socket lets in only who runs as our own user: that is the proxy in front.
        if isinstance(peer, tuple) and (address is None or not await self._trusts(address)):
            return address
        if not self._networks and not self._names:
            return address
        listed = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        for text in reversed(listed):
            address = parse_address(text.strip())
            if address is None or not await self._trusts(address):
                return address
        return address

    async def name_of(self, request: Request) -> str:
        """Return the address of `client_of` as text, empty if it can't be known."""
        if self._networks or self._names:
            return str(await self.client_of(request) or "")
        peer = request.connection("peername")
        return _text_of(peer[0]) if isinstance(peer, tuple) else ""

    async def _trusts(self, address: Address) -> bool:
        if is_within(address, self._networks):
            return True
        if not self._names:
            return False
        loop = asyncio.get_running_loop()
        # One look-up for all who wait: each takes a thread, and of those there are few.
        async with self._looking:
            if loop.time() >= self._until:
                found = await asyncio.gather(*(_look_up(name) for name in self._names))
                self._resolved = [text for texts in found for text in texts]
                self._until = loop.time() + _RESOLVED_SECONDS
        return is_within(address, self._resolved)


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


async def _look_up(name: str) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:  # a name that nobody has, or can be told: nobody is trusted by it
        return []
    return [str(each[4][0]).partition("%")[0] for each in found]


def _is_network(text: str) -> bool:
    try:
        return bool(_network(text))
    except ValueError:
        return False
