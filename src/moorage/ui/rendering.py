"""Turns what a page shows into HTML, or into its JSON twin.

Every text in a template is escaped, without exception: what is markup already comes from this
package's own functions. What a template does not know is a fault, never an empty place.
"""

import gzip
import secrets
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from moorage import __version__
from moorage.auth.address import address_of
from moorage.auth.policy import decide
from moorage.errors import RegistryError
from moorage.model.access import Action, Actor, System
from moorage.registry import rights
from moorage.registry.services import Services
from moorage.ui import commands, files, markdown, plain, pull_help, source, words
from moorage.ui.icons import icon
from moorage.ui.page import View, Visit
from moorage.web.cookies import FORM, THEME, cookie_of, new_cookie
from moorage.web.request import Request
from moorage.web.response import Response, json_answer

# Nothing but our own files, and nothing written into the page; no other site may show it in a
# frame, and its forms go nowhere else.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
THEMES = ("auto", "light", "dark")
# A section: what it is, its name, its address, and the letter that goes there behind a `g`. One
# that is nothing is a line between the others.
_LINE = ("", "", "", "")
_EVERYBODY = (
    ("home", "Home", "/", "h"),
    ("images", "Images", "/images", "i"),
    ("namespaces", "Namespaces", "/n", "n"),
)
_ACCOUNTS = (
    ("storage", "Storage", "/storage", "s"),
    _LINE,
    ("access", "Access", "/access", "c"),
    ("tokens", "Tokens", "/tokens", "t"),
)
_ADMINISTRATORS = (
    _LINE,
    ("activity", "Activity", "/activity", "a"),
    ("jobs", "Jobs", "/jobs", "j"),
    ("admin", "Admin", "/admin", "d"),
)
_DAY = 86_400
_LATER = frozenset({429, 503, 507})
_HTML = "text/html; charset=utf-8"


class Frame(msgspec.Struct, frozen=True):
    """What every page has around what it shows."""

    title: str
    section: str
    tab: str
    crumbs: tuple[tuple[str, str], ...]
    actor: Actor
    is_administrator: bool
    has_accounts: bool
    host: str
    base: str
    path: str
    form: str
    theme: str
    done: str
    request_id: str
    version: str
    now: datetime
    twin: str
    rail: tuple[tuple[str, str, str, str], ...]
    has_search: bool
    has_forms: bool
    commands: tuple[commands.Command, ...]
    as_curl: str

    @property
    def is_signed_in(self) -> bool:
        """Whether an account is."""
        return self.actor.kind == "account"

    @property
    def is_plain(self) -> bool:
        """Whether the registry is reached without TLS, which some clients have to be told."""
        return self.base.startswith("http:")

    @property
    def is_local(self) -> bool:
        """Whether the registry has no accounts yet and this is its own machine."""
        return self.actor.kind == "local"


@cache
def environment() -> Environment:
    """Return the templates with their filters, made once."""
    made = Environment(
        loader=PackageLoader("moorage.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        size=words.size,
        difference=words.difference,
        short=words.short,
        day=words.day,
        step=words.step,
    )
    made.globals.update(
        icon=icon,
        markdown=markdown.render,
        moment=words.moment,
        plural=words.plural,
        file=files.address_of,
        pull_ways=_pull_ways,
        web_page=source.web_page,
    )
    return made


async def render(s: Services, visit: Visit, view: View) -> Response:
    """Return the page, or its twin or text where that was asked for."""
    if visit.as_json:
        return json_answer(view.status, view.facts, {"Cache-Control": "no-store", **view.headers})
    if visit.as_text and visit.page.text is not None:
        now = datetime.fromtimestamp(s.clock.now() / 1000, UTC)
        plainly = visit.page.text(view.facts, address_of(s.config, visit.request).base, now)
        answer = Response(view.status, {**plain.HEADERS, **view.headers}, plainly.encode())
        return packed(visit.request, answer)
    headers = {**headers_of_page(), **view.headers}
    if visit.page.is_private:
        headers["Referrer-Policy"] = "no-referrer"
    elif not visit.has_form_secret:
        visit.new_form_secret = secrets.token_urlsafe(32)
        headers["Set-Cookie"] = new_cookie(
            visit.request, s.config.url, FORM, visit.new_form_secret, _DAY
        )
    frame = await _frame(s, visit, view)
    text = environment().get_template(view.template).render(page=frame, facts=view.facts)
    return packed(visit.request, Response(view.status, headers, text.encode()))


def render_fault(
    request: Request, facts: Mapping[str, object], title: str, refused: RegistryError
) -> Response:
    """Return a page of a refusal that needs nothing but itself."""
    text = environment().get_template("fault.html").render(title=title, facts=facts)
    headers = {**headers_of_page(), **refused.headers}
    if refused.status in _LATER:
        headers.setdefault("Retry-After", "5")
    return packed(request, Response(refused.status, headers, text.encode()))


def headers_of_page() -> dict[str, str]:
    """Return what keeps a page to itself."""
    return {
        "Content-Type": _HTML,
        "Cache-Control": "no-store",
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Accept, Accept-Encoding, Cookie",
    }


def packed(request: Request, response: Response) -> Response:
    """Return the answer compressed where the client takes that."""
    if isinstance(response.body, bytes) and files.takes_gzip(request):
        response.body = gzip.compress(response.body, 6, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    return response


def _pull_ways(
    page: Frame, repository: str, kind: str, tag: str, digest: str
) -> list[pull_help.Way]:
    """Return how something is pulled from here."""
    return pull_help.ways(pull_help.Wanted(page.host, repository, kind, tag, digest, page.is_plain))


async def _frame(s: Services, visit: Visit, view: View) -> Frame:
    request = visit.request
    actor = visit.actor or Actor("anonymous", "anonymous", "none")
    standing = await rights.find_standing(s, actor)
    is_administrator = decide(actor, Action.ADMINISTER, System(), standing).allowed
    address = address_of(s.config, request)
    theme = cookie_of(request, s.config.url, THEME)
    return Frame(
        title=view.title,
        section=view.section,
        tab=view.tab,
        crumbs=view.crumbs,
        actor=actor,
        is_administrator=is_administrator,
        has_accounts=actor.kind != "local" and not actor.refusal,
        host=address.service,
        base=address.base,
        path=request.path if visit.page.is_private else _place(request),
        form=visit.form_token(),
        theme=theme if theme in THEMES else "auto",
        done=words.DONE.get(request.parameter("done") or "", ""),
        request_id=request.id,
        version=__version__,
        now=datetime.fromtimestamp(s.clock.now() / 1000, UTC),
        twin=_twin(visit) if visit.page.twin and view.status == 200 else "",
        rail=_rail(actor, is_administrator=is_administrator),
        # Without a referrer, browsers do not say that a form is sent by a page of ours.
        has_forms=not visit.page.is_private,
        commands=commands.of_view(view),
        as_curl=_curl(actor, f"{address.base}{_twin(visit)}"),
        has_search=actor.kind != "anonymous" or not actor.refusal,
    )


def _rail(actor: Actor, *, is_administrator: bool) -> tuple[tuple[str, str, str, str], ...]:
    """Return the sections that are of use to the actor."""
    if actor.kind != "account":
        return _EVERYBODY
    return (*_EVERYBODY, *_ACCOUNTS, *(_ADMINISTRATORS if is_administrator else ()))


def _curl(actor: Actor, address: str) -> str:
    """Return the command that asks for the twin as the same person, who is asked for a password."""
    name = ["-u", actor.name] if actor.kind == "account" else []
    return shlex.join(["curl", "-fsS", *name, address])


def _place(request: Request) -> str:
    """Return the address of the page itself, for forms and links that come back to it."""
    query = f"?{request.query_text}" if request.query_text else ""
    return f"{request.path}{query}"


def _twin(visit: Visit) -> str:
    """Return the address of the twin, which no repository's name can have as its own."""
    request = visit.request
    query = f"?{request.query_text}" if request.query_text else ""
    behind = "/-/tags" if visit.page.name == "repository" else ""
    return f"{request.path}{behind}.json{query}"
