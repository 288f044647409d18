"""Under which address the registry is asked: what it tells its clients to come back to."""

import re
from functools import lru_cache

import msgspec

from moorage.config import Config
from moorage.web.request import Request

# RFC 9110, 7.2, and nothing that could end a quoted text: a name or an address with a port.
_HOST = re.compile(
    r"(?=.{1,260}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::[1-9][0-9]{0,4})?",
    re.ASCII,
)


class Address(msgspec.Struct, frozen=True):
    """Where the registry is, as its clients name it; `base` is a scheme and a host."""

    base: str

    @property
    def realm(self) -> str:
        """Where tokens are to be had."""
        return f"{self.base}/token"

    @property
    def service(self) -> str:
        """What tokens are for: the host, with its port if the address has one."""
        return self.base.partition("://")[2]


def address_of(config: Config, request: Request) -> Address:
    """Return the setting `url`, else the scheme and the host by which this request came.

    Nothing that proxies add is looked at (docs/decisions/0022-where-tokens-are.md).
    """
    if config.url:
        return Address(config.url)
    host = request.headers.get("Host", "").lower()
    if not _is_host(host):
        host = _own_host(request)
    return Address(f"{'https' if request.is_tls else 'http'}://{host}")


@lru_cache(maxsize=1_024)
def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


def _own_host(request: Request) -> str:
    """Return the address of the connection's own end: HTTP/1.0 need not name a host."""
    own = request.connection("sockname")
    if not isinstance(own, tuple):
        return "localhost"
    name = str(own[0]).partition("%")[0]
    return f"[{name}]:{own[1]}" if ":" in name else f"{name}:{own[1]}"
