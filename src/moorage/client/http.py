"""Requests to one server, over TCP or through its admin socket; one after the other."""

import http.client
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from moorage import __version__
from moorage.errors import Refused
from moorage.web.private import uid_of

_SECONDS = 30.0
_MAX_ANSWER = 64 << 20


class Place(msgspec.Struct, frozen=True):
    """Where a server is: `url`, with its scheme; its admin socket, if it is asked over that.

    Of a server that is asked over its socket, `url` is where its clients ask.
    """

    url: str = ""
    path: str = ""

    @property
    def name(self) -> str:
        """How people and docker write it."""
        return self.url.partition("://")[2]


class Answer(msgspec.Struct, frozen=True):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """Speaks to one server with one set of credentials; redirects are never followed."""

    def __init__(self, place: Place, credentials: Mapping[str, str] | None = None) -> None:
        """Go there once there is something to ask; `credentials` are headers.

        `seconds` is how long an answer may take, `told` is told of each when it has come.
        """
        self.place = place
        self.credentials = credentials or {}
        self.seconds = _SECONDS
        self.told: Callable[[str], None] | None = None
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request, with a JSON body if there is one, and return the whole answer.

        Raises:
            Refused: with exit code 8, when no answer came.
        """
        agent = {"Accept": "application/json", "User-Agent": f"moorage/{__version__}"}
        headers = {**agent, **self.credentials, **(more or {})}
        if body is not None:
            headers["Content-Type"] = "application/json"
        began = time.monotonic()
        try:
            if self._connection is None:
                self._connection = _connect(self.place, self.seconds)
            self._connection.request(method, path, body=body, headers=headers)
            found = self._connection.getresponse()
            content = found.read(_MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _unreachable(self.place, error) from error
        named = {name.lower(): value for name, value in found.getheaders()}
        if self.told is not None:
            took = 1_000 * (time.monotonic() - began)
            number = named.get("x-request-id", "none")
            where = f"{method} {self.place.url}{path}"
            self.told(f"{where}: {found.status} in {took:.0f} ms, request {number}")
        return Answer(found.status, named, content)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(place: Place, seconds: float) -> http.client.HTTPConnection:
    if place.path:
        return _connect_unix(place.path, seconds)
    parts = urlsplit(place.url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=seconds)
    context = ssl.create_default_context()
    proxy = _proxy_for(host)
    if not proxy:
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=context)
    by = urlsplit(proxy)
    made = http.client.HTTPSConnection(
        by.hostname or "", by.port or 3128, timeout=seconds, context=context
    )
    made.set_tunnel(host, port)
    return made


def _connect_unix(path: str, seconds: float) -> http.client.HTTPConnection:
    """Connect to an admin socket, if it is the directory's owner who listens there."""
    made = http.client.HTTPConnection("moorage", timeout=seconds)
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(seconds)
        connected.connect(path)
        owner = Path(path).parent.lstat().st_uid
        if uid_of(connected) not in (0, os.geteuid(), owner):
            raise PermissionError("another user answers there")
    except BaseException:
        connected.close()
        raise
    made.sock = connected
    return made


def _proxy_for(host: str) -> str:
    """Return the proxy that the environment names for a host, empty if there is none."""
    if not any(name.lower() in ("https_proxy", "all_proxy") for name in os.environ):
        return ""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow to import

    named = getproxies()
    return "" if proxy_bypass(host) else named.get("https", named.get("all", ""))


def _unreachable(place: Place, error: Exception) -> Refused:
    what = "The admin socket does not answer." if place.path else f"{place.url} can't be reached."
    do = "Is the server running there? moorage doctor finds out more on its host."
    if isinstance(error, ssl.SSLCertVerificationError):
        do = "Set SSL_CERT_FILE to the certificate of the authority that made the server's."
    elif isinstance(error, ssl.SSLError):
        do = f"If it has no certificate, write http://{place.name}."
    return Refused(what, why=f"{type(error).__name__}: {error}.", do=do, exit_code=8)
