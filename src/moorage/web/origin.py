"""Which pages a request may come from: our own, and those of nobody else.

There are no CORS headers anywhere, so that another site's page can't read an answer; what is here
keeps it from changing anything. https://owasp.org/www-community/attacks/csrf
"""

import re

from moorage.web.request import Request

# A path of this registry, as it goes into an address: nothing that a browser takes for a host.
_PLACE = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)
_LONGEST_PLACE = 1_024
_SITES = frozenset({"", "none", "same-origin"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_own_place(text: str) -> bool:
    """Tell whether a browser that is sent there stays on this registry."""
    return len(text) <= _LONGEST_PLACE and _PLACE.fullmatch(text) is not None


def own_origin(request: Request, url: str) -> str:
    """Return the origin of our own pages as a browser writes it.

    `url` is the registry's address where the settings name one; otherwise it is what was asked.
    """
    host = request.headers.get("Host", "")
    text = url or f"{'https' if request.is_tls else 'http'}://{host}"
    scheme, _, authority = text.lower().partition("://")
    return f"{scheme}://{authority.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


def is_own_page(request: Request, url: str) -> bool:
    """Tell whether a page of ours sent the request."""
    return request.headers.getall("Origin", []) == [own_origin(request, url)] and _is_own(request)


def is_foreign_page(request: Request, url: str) -> bool:
    """Tell whether a page of another site sent the request; programs send none of the headers."""
    origins = request.headers.getall("Origin", [])
    return not _is_own(request) or any(each != own_origin(request, url) for each in origins)


def _is_own(request: Request) -> bool:
    return all(each in _SITES for each in request.headers.getall("Sec-Fetch-Site", []))
