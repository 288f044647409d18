"""The files of pages: named by what is in them, compressed at the start, and kept for ever.

Beside them is what tells crawlers that they have nothing to look for here.

A name changes with its content, so browsers never ask for the same file twice, and a page that was
loaded before an upgrade still has the files that it was made for, or none.
"""

import gzip
from functools import cache
from importlib.resources import files

import msgspec

from moorage.errors import RouteUnknown, Unsupported
from moorage.oci.digest import digest_of
from moorage.web.request import Request
from moorage.web.response import Response

PREFIX = "/static/"
# What is public is for people, and each page of it is made when it is asked for (RFC 9309).
CRAWLERS = "/robots.txt"
_NONE_TO_GATHER = b"User-agent: *\nDisallow: /\n"
NAMES = (
    "choose.js",
    "icon.svg",
    "link.js",
    "live.js",
    "moorage.css",
    "moorage.js",
    "palette.js",
)
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_MARK = 12
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_A_DAY = "public, max-age=86400"
# Nothing in them may load or run anything where somebody opens one by itself.
_POLICY = "default-src 'none'; sandbox"


class File(msgspec.Struct, frozen=True):
    """A file as it is sent, plain and compressed."""

    address: str
    kind: str
    plain: bytes
    packed: bytes


@cache
def all_files() -> dict[str, File]:
    """Return the files by their own names; read and compressed once."""
    return {name: _read(name) for name in NAMES}


@cache
def _by_address() -> dict[str, File]:
    packed = gzip.compress(_NONE_TO_GATHER, mtime=0)
    crawlers = File(CRAWLERS, "text/plain; charset=utf-8", _NONE_TO_GATHER, packed)
    return {each.address: each for each in (*all_files().values(), crawlers)}


def address_of(name: str) -> str:
    """Return where a file is, for the pages that use it."""
    return all_files()[name].address


def is_one(path: str) -> bool:
    """Tell whether a file may be at the path, and nothing else is."""
    return path.startswith(PREFIX) or path == CRAWLERS


async def respond(request: Request) -> Response:
    """Answer with the file of that address.

    Raises:
        RouteUnknown: there is none, or no longer.
        Unsupported: it is asked for in another way than to be read.
    """
    request.action = "file"
    found = _by_address().get(request.path)
    if found is None:
        raise RouteUnknown
    if request.method not in ("GET", "HEAD"):
        raise Unsupported(headers={"Allow": "GET, HEAD"})
    headers = {
        "Content-Type": found.kind,
        "Cache-Control": _FOR_A_DAY if found.address == CRAWLERS else _FOR_EVER,
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Accept-Encoding",
    }
    if takes_gzip(request):
        return Response(200, {**headers, "Content-Encoding": "gzip"}, found.packed)
    return Response(200, headers, found.plain)


def takes_gzip(request: Request) -> bool:
    """Tell whether the client reads what is compressed by gzip (RFC 9110, 12.5.3)."""
    for part in request.headers.get("Accept-Encoding", "").split(","):
        name, _, rest = part.partition(";")
        if name.strip().lower() == "gzip":
            return rest.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _read(name: str) -> File:
    plain = files("moorage.ui").joinpath("static", name).read_bytes()
    stem, _, ending = name.rpartition(".")
    mark = digest_of(plain).partition(":")[2][:_MARK]
    packed = gzip.compress(plain, mtime=0)
    return File(f"{PREFIX}{stem}.{mark}.{ending}", _TYPES[ending], plain, packed)
