"""The one HTTP client of the program: every connection that the server itself opens is made here.

`open_client` is for addresses that whoever runs the server has named. What users may name (issuers
of identity tokens, and whatever else is called one day) is fetched by `fetch`, which looks at every
address that the name stands for, and connects to what it has looked at and to nothing else.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import SplitResult, urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

_SECONDS = 30.0
_FETCH_SECONDS = 5.0
_FETCH_BYTES = 512 << 10
_LONGEST = 2_048

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
# What resolvers take for an IPv4 address though it is not written as one: 127.1, 0x7f.1, 2130706433
_ODD_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.ASCII)
_PRINTED = re.compile(r"[\x21-\x7e]+", re.ASCII)

# Where nothing public is, whatever the version of `ipaddress` says of it.
_V4_SPECIAL = tuple(
    ipaddress.IPv4Network(text)
    for text in ("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15")
)
# All of IPv6 that is public is in the first; the others are in it, and are not.
_V6_PUBLIC = ipaddress.IPv6Network("2000::/3")
_V6_SPECIAL = tuple(
    ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# How networks without IPv4 reach it: the last 32 bits are the address (RFC 6052).
_V6_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """An address that the server does not connect to, with the reason for a person."""


class FetchFailed(Exception):
    """There was no usable answer; the reason tells no more of the other side than its status.

    `status` is that of an answer that was refused for it, 0 if there was none.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        """Say why."""
        super().__init__(reason)
        self.status = status


class Reply(msgspec.Struct, frozen=True):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Asking(msgspec.Struct, frozen=True):
    """What is fetched, and how; GET without a form."""

    url: str
    ca_file: str
    most: int
    form: Mapping[str, str] | None = None
    authorization: str = ""

    def __repr__(self) -> str:
        """Show no more than where."""
        return f"_Asking({self.url!r})"


class Client:
    """Requests to one server, with one set of credentials; redirects are never followed."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, headers: Mapping[str, str]
    ) -> None:
        """Use the session; `open_client` makes one."""
        self._session = session
        self._base = base
        self._headers = headers

    async def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = ""
    ) -> Reply:
        """Send a request and return the whole answer.

        Raises:
            aiohttp.ClientError, TimeoutError: no answer came.
        """
        headers = dict(self._headers)
        if content_type:
            headers["Content-Type"] = content_type
        url = path if path.startswith("http") else self._base + path
        async with self._session.request(
            method, url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, found, await answer.read())


@asynccontextmanager
async def open_client(
    base: str, headers: Mapping[str, str] | None = None, *, verify: bool = True
) -> AsyncIterator[Client]:
    """Yield a client for the server at `base`, an address without a trailing slash.

    It goes through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name, but never to
    this machine itself; certificates are checked against `SSL_CERT_FILE`, else the system's.
    """
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    connector = aiohttp.TCPConnector(ssl=verify)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, trust_env=not _is_own(base)
    ) as session:
        yield Client(session, base, headers or {})


class Fetcher:
    """Looks at addresses that users name, and fetches from those that are let through.

    Let through is what is public and spoken to by https, and what is in a network that the
    administrator allows; by http only this machine itself, if it is in one of those.
    """

    def __init__(self, allow: Sequence[str] = (), seconds: float = _FETCH_SECONDS) -> None:
        """Allow those networks besides what is public, and give a fetch that long in all."""
        self._allow: tuple[Network, ...] = tuple(ipaddress.ip_network(text) for text in allow)
        self._allows_http = any(each.network_address.is_loopback for each in self._allow)
        self._seconds = seconds

    def read(self, url: str) -> SplitResult:
        """Return the parts of an address that may be one to connect to; asks nobody.

        Raises:
            AddressRefused: it is none, or none that is let through.
        """
        if len(url) > _LONGEST or not _PRINTED.fullmatch(url) or "\\" in url:
            raise AddressRefused("an address has up to 2048 printable characters of ASCII")
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
            if not _is_alike(host, URL(url).host or ""):
                raise ValueError
        except ValueError:
            raise AddressRefused("the address is malformed") from None
        if parts.scheme != "https" and (parts.scheme != "http" or not self._allows_http):
            raise AddressRefused("the address must begin with https://")
        if "@" in parts.netloc or "#" in url:
            raise AddressRefused("an address has neither a user nor a fragment")
        written = _written(host)
        if written is None and (not _HOST.fullmatch(host) or _ODD_NUMBER.fullmatch(host)):
            raise AddressRefused("the host of the address is malformed")
        if written is not None:
            self._check(parts.scheme, host, [written])
        return parts

    async def find(self, parts: SplitResult) -> list[Address]:
        """Return the addresses to connect to, each of them looked at.

        Raises:
            AddressRefused: the host stands for one that is not let through, besides whatever else.
            FetchFailed: it stands for none.
        """
        host = parts.hostname or ""
        written = _written(host)
        if written is not None:
            found: list[Address] = [written]
        else:
            loop = asyncio.get_running_loop()
            try:
                answers = await loop.getaddrinfo(
                    host, port_of(parts), type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
                )
            except OSError:
                raise FetchFailed(f"the name {host} was not found") from None
            texts = dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers)
            found = [ipaddress.ip_address(text) for text in texts]
        if not found:
            raise FetchFailed(f"the name {host} was not found")
        self._check(parts.scheme, host, found)
        return found

    async def fetch(self, url: str, *, ca_file: str = "", most: int = _FETCH_BYTES) -> bytes:
        """Return the body of a 200 answer to GET: no redirect, no proxy, `most` bytes at most.

        Raises:
            AddressRefused: the address is not let through; nothing was connected to.
            FetchFailed: there was no such answer in time.
        """
        return await self._ask(_Asking(url, ca_file, most))

    async def post(self, url: str, form: Mapping[str, str], authorization: str) -> bytes:
        """Return the body of a 200 answer to POST of a form; else as `fetch`."""
        return await self._ask(_Asking(url, "", _FETCH_BYTES, form, authorization))

    async def _ask(self, asking: _Asking) -> bytes:
        parts = self.read(asking.url)
        try:
            async with asyncio.timeout(self._seconds):
                found = await self.find(parts)
                return await self._send(asking, found)
        except TimeoutError:
            raise FetchFailed("no answer came in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The class says what went wrong; its text may quote what the other side sent.
            raise FetchFailed(f"no answer came ({type(error).__name__})") from None

    async def _send(self, asking: _Asking, found: list[Address]) -> bytes:
        # Reading all authorities takes 40 ms, which nobody else must wait for.
        cafile = asking.ca_file or None
        context = await asyncio.to_thread(ssl.create_default_context, cafile=cafile)
        connector = aiohttp.TCPConnector(
            ssl=context, resolver=_Pinned(found), use_dns_cache=False, force_close=True
        )
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if asking.authorization:
            headers["Authorization"] = asking.authorization
        async with (
            aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=16_384,
                max_field_size=16_384,
            ) as session,
            session.request(
                "GET" if asking.form is None else "POST",
                asking.url,
                data=asking.form,
                headers=headers,
                allow_redirects=False,
            ) as answer,
        ):
            if answer.status != 200:
                raise FetchFailed(f"the answer was {answer.status}", answer.status)
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise FetchFailed("the answer was encoded, which was not asked for")
            body = bytearray()
            async for some in answer.content.iter_any():
                body += some
                if len(body) > asking.most:
                    raise FetchFailed(f"the answer has more than {asking.most} bytes")
            return bytes(body)

    def _check(self, scheme: str, host: str, found: Sequence[Address]) -> None:
        for each in map(_meant, found):
            is_allowed = any(each in network for network in self._allow)
            if not is_allowed and not _is_public(each):
                raise AddressRefused(
                    f"{host} is inside: the setting outbound.allow has to name its network"
                )
            if scheme == "http" and not (is_allowed and each.is_loopback):
                raise AddressRefused("the address must begin with https://")


class _Pinned(AbstractResolver):
    """Answers with addresses that were looked at, whatever the name stands for by now."""

    def __init__(self, found: Sequence[Address]) -> None:
        self._found = found

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(
                hostname=host,
                host=str(each),
                port=port,
                family=socket.AF_INET if each.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each in self._found
        ]

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


def port_of(parts: SplitResult) -> int:
    """Return the port that an address names, or its scheme's."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def _is_alike(one: str, other: str) -> bool:
    """Tell whether two parsers found the same host; what is looked at is what is connected to."""
    return one == other or (_written(one) is not None and _written(one) == _written(other))


def _written(host: str) -> Address | None:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    # A zone names an interface of this machine.
    return None if "%" in host else found


def _meant(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one carries, where that is what is connected to."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _V6_TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if address.is_private or address.is_multicast or address.is_reserved or not address.is_global:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _V4_SPECIAL)
    return address in _V6_PUBLIC and not any(address in network for network in _V6_SPECIAL)


def _is_own(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
