"""`/sign-in/NAME`: a browser is sent to a provider, and comes back from it signed in."""

from moorage.errors import Invalid
from moorage.registry import outside
from moorage.registry.outside import Answer
from moorage.registry.services import Services
from moorage.registry.sign_in import LIFE
from moorage.ui.page import Page, Visit
from moorage.web.cookies import SESSION, SIGN_IN, cookie_of, new_cookie
from moorage.web.origin import own_origin
from moorage.web.request import Request
from moorage.web.response import Response

PREFIX = "/sign-in/"
_CALLBACK = "/callback"
_LONGEST = 4_096
# The address of these pages has what nobody else is to see.
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


async def go_there(s: Services, visit: Visit) -> Response:
    """Send the browser to the provider."""
    request, name = visit.request, visit.name("provider")
    then = _parameter(request, "then") or "/"
    back = own_origin(request, s.config.url) + _back(name)
    address = await s.guard.address_of(request)
    begun = await outside.begin(s, name, then, back, address)
    cookie = new_cookie(request, s.config.url, SIGN_IN, begun.secret, outside.SECONDS)
    return Response(302, {**_HEADERS, "Location": begun.location, "Set-Cookie": cookie})


async def come_back(s: Services, visit: Visit) -> Response:
    """Take the browser back from the provider, signed in."""
    request, name = visit.request, visit.name("provider")
    answer = Answer(
        code=_parameter(request, "code"),
        state=_parameter(request, "state"),
        issuer=_parameter(request, "iss"),
        problem=_parameter(request, "error"),
        secret=cookie_of(request, s.config.url, SIGN_IN),
        back=own_origin(request, s.config.url) + _back(name),
    )
    address = await s.guard.address_of(request)
    made, then = await outside.complete(s, name, answer, address, request.id)
    request.actor = made.name
    cookie = new_cookie(request, s.config.url, SESSION, made.secret, LIFE // 1_000)
    return Response(303, {**_HEADERS, "Location": then, "Set-Cookie": cookie})


def _back(name: str) -> str:
    return f"{PREFIX}{name}{_CALLBACK}"


def _parameter(request: Request, name: str) -> str:
    values = request.parameters(name)
    if len(values) > 1 or any(len(each) > _LONGEST or "\0" in each for each in values):
        raise Invalid(f"{name} is given more than once, or is too long")
    return values[0] if values else ""


PAGES = (
    Page(
        name="provider-sign-in",
        path="/sign-in/{provider}",
        action=None,
        show=go_there,
        twin=False,
        is_private=True,
    ),
    Page(
        name="provider-callback",
        path="/sign-in/{provider}/callback",
        action=None,
        show=come_back,
        twin=False,
        is_private=True,
    ),
)
