"""The one HTTP client of the program: every connection that the server itself opens is made here.

For now only `doctor` calls out, to the registry's own public address. What users may one day name
(webhooks, upstreams) will be checked here before a connection is made.
"""

import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import msgspec

_SECONDS = 30.0


class Reply(msgspec.Struct, frozen=True):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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


def _is_own(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
