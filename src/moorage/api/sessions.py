"""`/api/v1/session`: signing in by a page, whose cookie is then its credential."""

from moorage.registry.services import Services
from moorage.web.origin import is_own_page, own_origin
from moorage.web.request import Request


def secret_of(s: Services, request: Request, *, changes: bool) -> str:
    """Return the secret in the cookie, empty if there is none.

    Where the request changes something, it counts only from a page of ours: browsers add cookies
    to whatever any page sends.
    """
    if changes and not is_own_page(request, s.config.url):
        return ""
    name = cookie_name(s, request)
    parts = ";".join(request.headers.getall("Cookie", [])).split(";")
    pairs = [part.strip().partition("=") for part in parts]
    values = [value for key, _, value in pairs if key == name]
    # Two of one name: another site on the same host may have set one of them.
    return values[0] if len(values) == 1 else ""


def cookie_name(s: Services, request: Request) -> str:
    """Return the cookie's name; the browser itself keeps the longer one to encrypted addresses."""
    return "__Host-moorage" if is_encrypted(s, request) else "moorage"


def is_encrypted(s: Services, request: Request) -> bool:
    """Tell whether the browser speaks to the registry by HTTPS."""
    return own_origin(request, s.config.url).startswith("https://")
