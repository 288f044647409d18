"""The page behind a one-time link, and the files that it is made of.

The secret of a link stands behind the `#` of its address, so it never reaches this server but in
the request that spends it: the page is the same for every link.
"""

from importlib.resources import files

from moorage.errors import Unsupported
from moorage.oci.digest import digest_of
from moorage.web.conditions import is_unmodified
from moorage.web.request import Request
from moorage.web.response import Response

PAGES = {"/setup": "link.html", "/link": "link.html"}
_STATIC = "/static/"
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}
_FILES = {"link.html", "link.js", "moorage.css"}
# Nothing but our own files; no page of another site may show this one in a frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)


def file_of(path: str) -> str | None:
    """Return the file that the address shows, None if it is none of a page."""
    name = PAGES.get(path) or path.removeprefix(_STATIC)
    return name if name in _FILES and (path in PAGES or path.startswith(_STATIC)) else None


async def respond(request: Request, name: str) -> Response:
    """Answer with the file, which `file_of` has named.

    Raises:
        Unsupported: it is asked for in another way than to be read.
    """
    request.action = "page"
    if request.method not in ("GET", "HEAD"):
        raise Unsupported(headers={"Allow": "GET, HEAD"})
    body = files("moorage.ui").joinpath("static", name).read_bytes()
    tag = digest_of(body)
    headers = {
        "Content-Type": _TYPES[name.rpartition(".")[2]],
        "Cache-Control": "no-cache",
        "ETag": f'"{tag}"',
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }
    if is_unmodified(request.headers.get("If-None-Match"), tag):
        return Response(304, headers)
    return Response(200, headers, body)
