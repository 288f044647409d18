"""Signing in by a password and a code, signing out, and how pages look: `/sign-in`, `/theme`."""

from moorage.db import providers
from moorage.db.engine import Tx
from moorage.errors import Invalid, TooManyRequests, Unauthorized
from moorage.registry import sign_in
from moorage.registry.services import Services
from moorage.ui.caller import authenticate
from moorage.ui.page import Page, View, Visit, go, next_place
from moorage.ui.rendering import THEMES
from moorage.web.cookies import SESSION, THEME, new_cookie
from moorage.web.response import Response

_YEAR = 365 * 86_400
_MOST_PROVIDERS = 20


async def show_sign_in(s: Services, visit: Visit) -> View | Response:
    """Show the form; whoever is signed in already goes on."""
    actor = await authenticate(s, visit)
    if actor.kind == "account":
        return go(next_place(visit))
    return await _form(s, visit)


async def begin(s: Services, visit: Visit) -> View | Response:
    """Sign in; the secret goes into a cookie that scripts can't read."""
    request = visit.request
    address = await s.guard.address_of(request)
    name, password = visit.field("name").strip(), visit.field("password")
    try:
        made = await sign_in.sign_in(
            s, name, password, visit.field("code").replace(" ", ""), address, request.id
        )
    except (Unauthorized, TooManyRequests) as refused:
        s.refusals.count(request, refused)
        return await _form(s, visit, refused.message, refused.status)
    request.actor = made.name
    cookie = new_cookie(request, s.config.url, SESSION, made.secret, sign_in.LIFE // 1_000)
    return go(next_place(visit), headers={"Set-Cookie": cookie})


async def end(s: Services, visit: Visit) -> Response:
    """Sign out, and have the browser forget the cookie."""
    await authenticate(s, visit)
    if visit.session:
        await sign_in.sign_out(s, visit.session, visit.request.id, visit.request.client)
    cookie = new_cookie(visit.request, s.config.url, SESSION, "", 0)
    return go("/", "signed-out", {"Set-Cookie": cookie})


async def set_theme(s: Services, visit: Visit) -> Response:
    """Remember in the browser whether pages are light or dark, and go back to where it was."""
    theme = visit.field("theme")
    if theme not in THEMES:
        raise Invalid(f"pages are one of {', '.join(THEMES)}")
    cookie = new_cookie(visit.request, s.config.url, THEME, theme, _YEAR)
    return go(next_place(visit), headers={"Set-Cookie": cookie})


async def _form(s: Services, visit: Visit, problem: str = "", status: int = 200) -> View:
    async def read(tx: Tx) -> list[str]:
        found = await providers.list_providers(tx, "", _MOST_PROVIDERS)
        return [each.name for each in found if each.enabled]

    facts = {
        "providers": await s.db.read(read),
        "next": next_place(visit),
        "name": visit.field("name")[:64],
        "problem": problem[:1].upper() + problem[1:],
    }
    return View("sign_in.html", "Sign in", facts, status=status)


PAGES = (
    Page(
        name="sign-in",
        path="/sign-in",
        action=None,
        show=show_sign_in,
        acts={"sign-in": begin},
        twin=False,
    ),
    Page(name="sign-out", path="/sign-out", action=None, acts={"sign-out": end}, twin=False),
    Page(name="theme", path="/theme", action=None, acts={"theme": set_theme}, twin=False),
)
