"""Splits a raw path into a route. From the right, since names may contain any of our own words.

`/v2/a/manifests/b/manifests/latest` is the tag `latest` of `a/manifests/b`. Nothing is decoded in
a name: `%2F` there is refused, never taken for a slash.
"""

import re
from typing import NamedTuple

from moorage.errors import NameInvalid, RouteUnknown

# Clients may escape the colon of a digest; no other escaped character can be part of a reference.
_ESCAPED = re.compile(r"%3[aA]")


class Route(NamedTuple):
    """What a path asks for: the kind of thing, the repository, and the last part."""

    kind: str
    name: str = ""
    reference: str = ""


BASE = Route("base")
CATALOG = Route("catalog")
DISCOVER = Route("discover")
_FIXED = {
    "/v2": BASE,
    "/v2/": BASE,
    "/v2/_catalog": CATALOG,
    "/v2/_oci/ext/discover": DISCOVER,
    "/v1/search": Route("search"),
}
_REFERENCED = {"manifests": "manifest", "blobs": "blob", "referrers": "referrers"}


def split(path: str) -> Route:
    """Return the route of a raw path without its query.

    Raises:
        NameInvalid: an escaped character stands where none may.
        RouteUnknown: there is no such address.
    """
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed
    if not path.startswith("/v2/"):
        raise RouteUnknown
    head, _, last = path[4:].rpartition("/")
    name, _, kind = head.rpartition("/")
    route = _route(head, name, kind, last)
    if route is None:
        raise RouteUnknown(hint="Names have no leading, trailing or double slash")
    if "%" in route.name or "%" in route.reference:
        raise NameInvalid("the address has an escaped character that no name or tag may have")
    return route


def _route(head: str, name: str, kind: str, last: str) -> Route | None:
    if kind == "uploads" and name.endswith("/blobs"):
        found = Route("upload" if last else "uploads", name.removesuffix("/blobs"), last)
    elif kind == "blobs" and last == "uploads":
        found = Route("uploads", name)
    elif kind in _REFERENCED:
        found = Route(_REFERENCED[kind], name, _ESCAPED.sub(":", last))
    elif kind == "tags" and last == "list":
        found = Route("tags", name)
    elif last == "discover" and head.endswith("/_oci/ext"):
        found = Route("discover", head.removesuffix("/_oci/ext"))
    else:
        return None
    return found if found.name else None
