"""Local mode: before anybody has an account, this machine's own user may push and pull.

All conditions of docs/explanation/architecture.md must hold for every request. They are what tells
a person's `docker push localhost:5000/app` from a web page, a reverse proxy or another user on the
machine, each of which would otherwise be let in through the loopback address.
"""

import ipaddress
import os
import sys
from functools import lru_cache
from urllib.parse import urlsplit

from moorage.auth.peer import peer_uid
from moorage.config import Config
from moorage.web.listen import parse_address
from moorage.web.request import Request

# What a connection's peer is refused for, in `Request.kept`.
_PEER = "local peer"
_PROXY_HEADERS = frozenset({b"forwarded", b"via", b"x-real-ip"})
_FORWARDED = b"x-forwarded-"
_SITES = frozenset({"", "none", "same-origin"})


class LocalMode:
    """Decides for each request whether it comes from this machine's own user."""

    def __init__(self, config: Config) -> None:
        """Note what of the conditions lies in the settings."""
        self._refusal = _refusal_of(config)
        self._trusted = frozenset({0, os.getuid()})

    def refusal(self, request: Request) -> str:
        """Return why the request is not local, empty if it is."""
        return self._refusal or _refusal_of_headers(request) or self._refusal_of_peer(request)

    def _refusal_of_peer(self, request: Request) -> str:
        known: str | None = request.kept.get(_PEER)
        if known is None:
            known = request.kept[_PEER] = self._look_at_peer(request)
        return known

    def _look_at_peer(self, request: Request) -> str:
        peer, own = request.connection("peername"), request.connection("sockname")
        if not isinstance(peer, tuple) or not isinstance(own, tuple):
            return "it did not come over TCP"
        if not ipaddress.ip_address(peer[0]).is_loopback:
            return "it came from another machine"
        if sys.platform == "linux" and peer_uid(peer[:2], own[:2]) not in self._trusted:
            return "it came from another user of this machine"
        return ""


def _refusal_of(config: Config) -> str:
    if config.url:
        return "the setting url says that others use this registry"
    if config.trusted_proxies:
        return "the setting trusted_proxies says that it is behind a proxy"
    if not all(parse_address(text).is_loopback for text in config.listen):
        return "the registry listens on more than the loopback address"
    return ""


def _refusal_of_headers(request: Request) -> str:
    if not request.is_http_1_1 or request.authority:
        return "it came through a proxy"
    for name, _ in request.raw_headers:
        lowered = name.lower()
        if lowered in _PROXY_HEADERS or lowered.startswith(_FORWARDED):
            return "it came through a proxy"
    host = request.headers.get("Host", "")
    if not _is_loopback_host(host):
        return "it asks for a host that is not this machine's loopback name"
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{'https' if request.is_tls else 'http'}://{host}":
        return "it came from a page of another site"
    if request.headers.get("Sec-Fetch-Site", "") not in _SITES:
        return "it came from a page of another site"
    return ""


@lru_cache(maxsize=256)
def _is_loopback_host(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
