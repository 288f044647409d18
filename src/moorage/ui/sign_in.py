"""`/sign-in/NAME`: a browser is sent to a provider, and comes back from it signed in."""

from html import escape
from importlib.resources import files
from string import Template

from moorage.auth.challenge import PLAIN
from moorage.errors import Invalid, NotFound, RegistryError, Unauthorized, Unsupported
from moorage.oci.names import is_component
from moorage.registry import outside
from moorage.registry.outside import Answer
from moorage.registry.services import Services
from moorage.registry.sign_in import LIFE
from moorage.ui.app import POLICY
from moorage.web.cookies import SESSION, SIGN_IN, cookie_of, new_cookie
from moorage.web.origin import own_origin
from moorage.web.request import Request
from moorage.web.response import Response

PREFIX = "/sign-in/"
_CALLBACK = "/callback"
_LONGEST = 4_096
# The address of these pages has what nobody else is to see.
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


async def respond(s: Services, request: Request) -> Response:
    """Answer with the next step, or with a page that says why there is none.

    Raises:
        Unsupported: it is asked for in another way than a browser goes to a page.
    """
    request.action = "sign-in"
    if request.method != "GET":
        raise Unsupported(headers={"Allow": "GET"})
    name, slash, step = request.path.removeprefix(PREFIX).partition("/")
    page = PAGES.get(slash + step)
    try:
        if not is_component(name) or page is None:
            raise NotFound
        return await page(s, request, name)
    except RegistryError as refused:
        if isinstance(refused, Unauthorized):
            refused.headers = {**refused.headers, "WWW-Authenticate": PLAIN}
        s.refusals.count(request, refused)
        return _page(request, refused, name)


async def _go(s: Services, request: Request, name: str) -> Response:
    then = _parameter(request, "then") or "/"
    back = own_origin(request, s.config.url) + _back(name)
    address = await s.guard.address_of(request)
    begun = await outside.begin(s, name, then, back, address)
    cookie = new_cookie(request, s.config.url, SIGN_IN, begun.secret, outside.SECONDS)
    return Response(302, {**_HEADERS, "Location": begun.location, "Set-Cookie": cookie})


async def _come_back(s: Services, request: Request, name: str) -> Response:
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


def _page(request: Request, refused: RegistryError, name: str) -> Response:
    """Return what a person is told; nothing in it is more than text."""
    template = Template(files("moorage.ui").joinpath("pages", "refused.html").read_text("utf-8"))
    again = f"{PREFIX}{name}" if is_component(name) else "/"
    message = refused.message[:1].upper() + refused.message[1:]
    text = template.substitute(
        message=escape(message.rstrip(".")),
        hint=escape(refused.hint or ""),
        again=escape(again),
        request=escape(request.id),
    )
    headers = {
        **_HEADERS,
        **refused.headers,
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "X-Frame-Options": "DENY",
    }
    return Response(refused.status, headers, text.encode())


# The pages of each provider, by what stands behind its name.
PAGES = {"": _go, _CALLBACK: _come_back}
