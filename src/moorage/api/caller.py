"""Who calls the management API: as everywhere else, or by the cookie of a page's session."""

from moorage.api.call import Call
from moorage.model.access import Actor
from moorage.registry import sign_in
from moorage.registry.services import Services
from moorage.web.origin import is_own_page, own_origin
from moorage.web.request import Request


async def authenticate(s: Services, call: Call) -> Actor:
    """Return who calls.

    Raises:
        Unauthorized: there are credentials, and they are wrong or have ended.
        TooManyRequests: too many wrong ones have come from there.
    """
    actor = await s.auth.authenticate(call.request)
    if actor.kind != "anonymous" or actor.refusal or "Authorization" in call.request.headers:
        return actor
    secret = session_of(s, call)
    if not secret:
        return actor
    actor = await sign_in.identify(s, secret)
    call.request.actor, call.request.credential = actor.name, actor.credential
    return actor


def session_of(s: Services, call: Call) -> str:
    """Return the secret in the session's cookie, empty if there is none.

    Where the route changes something, it counts only from a page of ours: browsers add cookies to
    whatever any page sends.
    """
    request = call.request
    if call.route.changes and not is_own_page(request, s.config.url):
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
