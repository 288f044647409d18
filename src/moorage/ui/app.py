"""The door of pages: which page an address is, its forms, and what a refusal looks like there."""

import re
from contextlib import suppress
from functools import cache
from urllib.parse import quote

import msgspec

from moorage.auth.address import address_of
from moorage.auth.challenge import PLAIN
from moorage.auth.policy import decide
from moorage.errors import (
    Denied,
    NameInvalid,
    NotFound,
    NotPermitted,
    RegistryError,
    RouteUnknown,
    SignInNeeded,
    TagInvalid,
    Unauthorized,
    Unsupported,
)
from moorage.model.access import Action, RepositoryTarget
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.services import Services
from moorage.ui import caller, plain, rendering
from moorage.ui.page import TWIN, Page, View, Visit, go
from moorage.ui.pages import PAGES
from moorage.ui.references import name_of, place_of, repository_place
from moorage.web import paths
from moorage.web.paths import MAX_PATH
from moorage.web.request import Request
from moorage.web.response import Response

# The page whose address ends in a name that people choose, and that may end as twins do.
_BY_NAME = "/r/{repository}"
_SIGN_IN = "/sign-in/"
# Below these, it is not browsers that ask, whatever they accept.
_PROGRAMS = ("/v2", "/v1", "/api/", "/token")
_READS = ("GET", "HEAD")
_NOWHERE = Page(name="nowhere", path="", action=None, twin=False)


class Address(msgspec.Struct, frozen=True):
    """The page at an address, and what its places stand for.

    Of a twin, `whole` is the repository whose page the address would be if its end were one of the
    name, empty where that can't be.
    """

    page: Page
    values: dict[str, str]
    as_json: bool
    whole: str = ""


def is_wanted(request: Request) -> bool:
    """Tell whether a browser asks, which shows pages to people."""
    return "text/html" in request.headers.get("Accept", "")


def find(path: str) -> Address | None:
    """Return the page at a path as it came, or whose twin it is; None if there is none."""
    if len(path) > MAX_PATH:
        return None
    if path.endswith(TWIN):
        twin = paths.find(_table(), path.removesuffix(TWIN) or "/")
        if twin is not None and twin[0].twin:
            name = twin[1].get("repository", "") + TWIN
            return Address(*twin, as_json=True, whole=name if twin[0].path == _BY_NAME else "")
    found = paths.find(_table(), path)
    return Address(*found, as_json=False) if found is not None else None


async def respond(s: Services, request: Request, address: Address) -> Response:
    """Answer with the page, with what its form led to, or with a page that says why not.

    Raises:
        RegistryError: the twin was asked for, and it is refused.
    """
    visit = _visit(s, request, address)
    try:
        try:
            if address.whole and await _may_read(s, visit, address.whole):
                values = {"repository": address.whole}
                whole = _visit(s, request, Address(address.page, values, as_json=False))
                whole.actor, visit = visit.actor, whole
            shown = await _answer(s, visit)
        except NotPermitted as refused:
            raise _hidden(refused, address.page) from refused
    except RegistryError as refused:
        return await refuse(s, visit, refused)
    return shown if isinstance(shown, Response) else await rendering.render(s, visit, shown)


async def respond_nowhere(s: Services, request: Request, unknown: RouteUnknown) -> Response:
    """Answer at an address that is no page: it may be a reference that was pasted.

    Raises:
        RouteUnknown: `unknown` itself, where neither a browser asks nor a terminal by a name.
    """
    if not is_wanted(request):
        named = _named(request)
        if named is None:
            unknown.headers = {**unknown.headers, "Vary": "Accept"}
            raise unknown
        return await respond(s, request, named)
    request.action = "nowhere"
    place = "" if request.path.startswith(_SIGN_IN) else place_of(request.path)
    if place and request.method in _READS:
        headers = {"Location": place, "Cache-Control": "no-store", "Vary": "Accept"}
        return Response(302, headers)
    visit = Visit(request, _NOWHERE, {}, s.config.url, as_json=False)
    return await refuse(s, visit, RouteUnknown("there is no page at this address"))


def refused_page(request: Request, refused: RegistryError) -> Response | None:
    """Return a page of what went wrong before there could be one, or while there was one made.

    It asks nothing of anybody: the database may be what does not answer. None for programs, which
    are told in their own form.
    """
    if not is_wanted(request) or request.path.startswith(_PROGRAMS):
        return None
    address = find(request.path)
    if address is not None and address.as_json:
        return None
    return rendering.render_fault(request, _told(request, refused), _title(refused), refused)


async def refuse(s: Services, visit: Visit, refused: RegistryError) -> Response:
    """Return what a person is told of a refusal; whoever is nobody yet may sign in first.

    Raises:
        RegistryError: it is the twin that is refused.
    """
    if isinstance(refused, Unauthorized):
        refused.headers = {**refused.headers, "WWW-Authenticate": PLAIN}
    if visit.as_json:
        raise refused
    s.refusals.count(visit.request, refused)
    if visit.actor is None:
        with suppress(RegistryError):  # of nobody, then: what was refused before stays refused
            await caller.authenticate(s, visit)
    if visit.as_text:
        return _refuse_plainly(s, visit, refused)
    if _may_sign_in(visit, refused):
        return go(f"/sign-in?next={_quoted(visit)}", headers={"Vary": "Accept, Cookie"})
    facts = {
        **_told(visit.request, refused),
        "again": visit.request.path.removesuffix("/callback") if visit.page.is_private else "",
    }
    view = View("refused.html", _title(refused), facts, status=refused.status)
    made = await rendering.render(s, visit, view)
    made.headers.update(refused.headers)
    return made


def _visit(s: Services, request: Request, address: Address) -> Visit:
    request.action = address.page.name
    request.repository = address.values.get("repository", "")
    page, as_json = address.page, address.as_json
    may_be_text = page.text is not None and not as_json and request.method in _READS
    as_text = may_be_text and plain.is_wanted(request)
    return Visit(request, page, address.values, s.config.url, as_json=as_json, as_text=as_text)


async def _may_read(s: Services, visit: Visit, text: str) -> bool:
    """Tell whether there is a repository of that name that the visitor may read.

    Where there is one that he may not, all is as if there were none.

    Raises:
        Unauthorized, TooManyRequests: as for any page.
    """
    actor = await caller.authenticate(s, visit)
    try:
        name = RepositoryName.parse(text)
    except NameInvalid:
        return False
    found = await rights.find(s, actor, name)
    decision = decide(actor, Action.PULL, RepositoryTarget(name), found.facts)
    return found.repository is not None and decision.allowed


def _named(request: Request) -> Address | None:
    """Return the repository that a terminal asks for by its name alone."""
    # The root of the API is answered by the API.
    is_name = request.method in _READS and request.path != "/api"
    name = name_of(request.path) if is_name else ""
    return find(repository_place(name, "tags")) if name and plain.is_wanted(request) else None


def _refuse_plainly(s: Services, visit: Visit, refused: RegistryError) -> Response:
    address = f"{address_of(s.config, visit.request).base}{visit.request.path}"
    text = plain.refusal(refused, _told(visit.request, refused), address)
    return Response(refused.status, {**plain.HEADERS, **refused.headers}, text.encode())


async def _answer(s: Services, visit: Visit) -> View | Response:
    request, page = visit.request, visit.page
    if request.method in page.reads:
        assert page.show is not None  # noqa: S101 - else nothing of it can be read
        return await page.show(s, visit)
    if request.method != "POST" or not page.acts or visit.as_json:
        raise Unsupported(headers={"Allow": _allowed(page)})
    await visit.read_form()
    act = page.acts.get(visit.field("do"))
    if act is None:
        raise NotFound("there is no such form on the page")
    return await act(s, visit)


def _hidden(refused: NotPermitted, page: Page) -> RegistryError:
    """Return what whoever has not the right is told: of what he may not see, nothing."""
    if refused.disclose or not page.is_of_place:
        return Denied(refused.message, hint=refused.hint)
    return NotFound()


def _may_sign_in(visit: Visit, refused: RegistryError) -> bool:
    """Tell whether signing in may help: of all there is and is not, in the same way."""
    actor = visit.actor
    is_nobody = actor is None or (actor.kind == "anonymous" and not actor.refusal)
    return is_nobody and isinstance(refused, SignInNeeded) and visit.request.method in _READS


def _allowed(page: Page) -> str:
    return ", ".join([*page.reads, *(["POST"] if page.acts else [])])


def _quoted(visit: Visit) -> str:
    query = f"?{visit.request.query_text}" if visit.request.query_text else ""
    return quote(f"{visit.request.path}{query}", safe="/")


def _told(request: Request, refused: RegistryError) -> dict[str, object]:
    return {
        "status": refused.status,
        "message": _sentence(refused.message),
        "hint": _sentence(refused.hint or ""),
        "request": request.id,
    }


def _sentence(text: str) -> str:
    """Return a refusal's words as a sentence; they are written to be joined by semicolons."""
    text = text[:1].upper() + text[1:]
    return f"{text.rstrip('.')}." if text else ""


def _title(refused: RegistryError) -> str:
    if isinstance(refused, NotFound | RouteUnknown | NameInvalid | TagInvalid):
        return "Nothing here"
    if refused.status in (401, 403):
        return "Not for you"
    return "Something is in the way" if refused.status >= 500 else "That does not work"


@cache
def _table() -> list[tuple[re.Pattern[str], Page]]:
    return paths.table_of({page.path: page for page in PAGES})
