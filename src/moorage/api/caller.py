"""Who calls the management API: as everywhere else, or by the cookie of a page's session."""

from moorage.api.call import Call
from moorage.model.access import Actor
from moorage.registry import sign_in
from moorage.registry.services import Services
from moorage.web.cookies import SESSION, cookie_of
from moorage.web.origin import is_own_page


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
    return cookie_of(request, s.config.url, SESSION)
