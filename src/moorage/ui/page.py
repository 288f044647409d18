"""What a page is, and one visit to it: the words that the handlers of pages use."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from moorage.errors import Denied, Invalid, NameInvalid, NotFound
from moorage.model.access import Action, Actor
from moorage.oci.names import RepositoryName, is_component
from moorage.registry.services import Services
from moorage.web.cookies import FORM, SESSION, cookie_of
from moorage.web.numbers import whole_number
from moorage.web.origin import is_own_page, is_own_place
from moorage.web.request import Request
from moorage.web.response import Response

# Of a list on a page: more than a screen, and no more than a slow telephone paints in time.
ROWS = 20
# What the address of a page's JSON twin ends in.
TWIN = ".json"
MAX_FORM = 256 << 10
_MOST_FIELDS = 200
_LONGEST = 300
_KEY = 32
_TOKEN = re.compile(r"[0-9a-f]{128}", re.ASCII)
_FORM_TYPE = "application/x-www-form-urlencoded"
Item = TypeVar("Item")


class View(msgspec.Struct, frozen=True):
    """What a page shows: `facts` are all that its template knows, and its JSON twin besides.

    `crumbs` are what the page is in, as texts with their addresses; `section` is where it stands
    in the rail, `tab` among its neighbours.
    """

    template: str
    title: str
    facts: Mapping[str, Any]
    section: str = ""
    tab: str = ""
    crumbs: tuple[tuple[str, str], ...] = ()
    status: int = 200
    headers: Mapping[str, str] = {}


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page: where it is, what it needs, and what its forms may do.

    `action` is what whoever looks must be allowed to do, None where everybody may. `acts` are by
    the form's field `do`; `twin` says that there is a JSON form of it, `is_private` that its very
    address has what nobody else is to see. `text` makes plain text for a terminal of its facts, the
    registry's own address and the time.
    """

    name: str
    path: str
    action: Action | None
    show: "Show | None" = None
    acts: Mapping[str, "Show"] = {}
    twin: bool = True
    is_private: bool = False
    text: Callable[[Mapping[str, Any], str, datetime], str] | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """How it may be read; an address that is good once has no part without its body."""
        if self.show is None:
            return ()
        return ("GET",) if self.is_private else ("GET", "HEAD")

    @property
    def is_of_place(self) -> bool:
        """Whether it is about a namespace or repository, whose existence is not for everybody."""
        return "{namespace}" in self.path or "{repository}" in self.path


class Visit:
    """One request to a page, with what its path says."""

    __slots__ = (
        "_form",
        "_values",
        "actor",
        "as_json",
        "as_text",
        "new_form_secret",
        "page",
        "request",
        "url",
    )

    def __init__(
        self,
        request: Request,
        page: Page,
        values: Mapping[str, str],
        url: str,
        *,
        as_json: bool,
        as_text: bool = False,
    ) -> None:
        """Take what the path's places stand for, decoded and not yet looked at."""
        self.request = request
        self.page = page
        self.url = url
        self.as_json = as_json
        self.as_text = as_text
        self.actor: Actor | None = None
        self.new_form_secret = ""
        self._values = values
        self._form: dict[str, list[str]] = {}

    @property
    def namespace(self) -> str:
        """The namespace in the path.

        Raises:
            NameInvalid: no namespace can have that name.
        """
        text = self._values["namespace"]
        if not is_component(text):
            raise NameInvalid(f"{text[:80]!r} is not the name of a namespace")
        return text

    @property
    def repository(self) -> RepositoryName:
        """The repository in the path.

        Raises:
            NameInvalid: no repository can have that name.
        """
        return RepositoryName.parse(self._values["repository"])

    def text(self, place: str) -> str:
        """Return what stands in the path, as it stands there."""
        return self._values[place]

    def name(self, place: str) -> str:
        """Return a name in the path, of an account, a team or a robot.

        Raises:
            NotFound: nothing can have that name.
        """
        text = self._values[place]
        if not is_component(text):
            raise NotFound
        return text

    def parameter(self, name: str) -> str:
        """Return a query parameter, empty if it is not there.

        Raises:
            Invalid: it is given twice, or has what no name has.
        """
        values = self.parameters(name)
        if len(values) > 1:
            raise Invalid(f"{name} is given more than once")
        return values[0] if values else ""

    def parameters(self, name: str) -> list[str]:
        """Return all values of a query parameter, those of ticked boxes.

        Raises:
            Invalid: one has what no name has.
        """
        values = self.request.parameters(name)
        if any(len(text) > _LONGEST or any(each < " " for each in text) for text in values):
            raise Invalid(f"{name} is not what it can be")
        return values

    def number(self, name: str) -> int:
        """Return a query parameter that is an id, 0 if it is not there.

        Raises:
            Invalid: it is none.
        """
        return whole_number(self.parameter(name) or "0", name)

    def field(self, name: str) -> str:
        """Return a field of the form, empty if it is not there; only its first value counts."""
        return self._form.get(name, [""])[0]

    def line(self, name: str, most: int = 200) -> str:
        """Return a field that is one line of text, without the spaces around it.

        Raises:
            Invalid: it is longer, or has what no line has.
        """
        text = self.field(name).strip()
        if len(text) > most or any(each < " " or each == "\x7f" for each in text):
            raise Invalid(f"{name} must be one line of at most {most} characters")
        return text

    def fields(self, name: str) -> list[str]:
        """Return all values of a field, those of ticked boxes."""
        return self._form.get(name, [])

    def field_number(self, name: str) -> int:
        """Return a field that is an id.

        Raises:
            Invalid: it is none.
        """
        return whole_number(self.field(name), name)

    @property
    def session(self) -> str:
        """The secret in the session's cookie, empty if there is none."""
        return cookie_of(self.request, self.url, SESSION)

    @property
    def has_form_secret(self) -> bool:
        """Whether forms of this browser can be told from those of others."""
        return bool(self._form_secret)

    def form_token(self) -> str:
        """Return what a form of this browser carries, so that no other page can have made it.

        It is masked anew for each page: pages are compressed, and what is the same in all of them
        could be guessed from their sizes (BREACH, http://breachattack.com).
        """
        mask = secrets.token_bytes(_KEY)
        return (mask + _masked(mask, self._form_key)).hex()

    @property
    def _form_secret(self) -> str:
        return self.session or self.new_form_secret or cookie_of(self.request, self.url, FORM)

    @property
    def _form_key(self) -> bytes:
        return hashlib.sha256(b"form\0" + self._form_secret.encode()).digest()

    def _is_own_form(self) -> bool:
        text = self.field("form")
        if not self.has_form_secret or not _TOKEN.fullmatch(text):
            return False
        raw = bytes.fromhex(text)
        return hmac.compare_digest(_masked(raw[:_KEY], raw[_KEY:]), self._form_key)

    async def read_form(self) -> None:
        """Read the form that was sent, which must be one of ours.

        Raises:
            Denied: it comes from another page, or from a session that has ended meanwhile.
            Invalid: it is no form.
        """
        if not is_own_page(self.request, self.url):
            raise Denied(
                "this form was not sent by a page of this registry",
                hint="Open the page here and send its form again",
            )
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != _FORM_TYPE:
            raise Invalid("this is not a form")
        raw = await self.request.body(MAX_FORM, "a form")
        try:
            pairs = parse_qsl(
                raw.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
            )
        except ValueError:
            raise Invalid("the form is not what it can be") from None
        if any("\0" in each for pair in pairs for each in pair):
            raise Invalid("the form has a character that no text has")
        for key, value in pairs:
            self._form.setdefault(key, []).append(value)
        if not self._is_own_form():
            raise Denied(
                "this form is from before you signed in or out",
                hint="Go back, load the page again and send the form once more",
            )


Show = Callable[[Services, Visit], Awaitable[View | Response]]


def _masked(mask: bytes, key: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(mask, key, strict=True))


def go(place: str, done: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Send the browser on to an address of ours; `done` is what it is then told was done."""
    if done:
        place += f"{'&' if '?' in place else '?'}done={quote(done)}"
    return Response(303, {"Location": place, "Cache-Control": "no-store", **(headers or {})})


def next_place(visit: Visit, name: str = "next") -> str:
    """Return where to go on to, by the form or the query; the home page for any other site."""
    text = visit.field(name) or visit.parameter(name)
    return text if is_own_place(text) else "/"


def when(milliseconds: int) -> datetime | None:
    """Return a time as pages and their twins tell it; None for never."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def cut(found: Sequence[Item], limit: int = ROWS) -> tuple[list[Item], bool]:
    """Return at most `limit` of what was read, and whether there are more."""
    return list(found[:limit]), len(found) > limit


def more(visit: Visit, after: str | int | None, name: str = "after") -> str:
    """Return the address of the next page of a list, empty behind the last."""
    if not after:
        return ""
    kept = [(key, value) for key, value in visit.request.query if key not in (name, "done")]
    path = visit.request.path.removesuffix(TWIN) if visit.as_json else visit.request.path
    return f"{path}?{urlencode([*kept, (name, str(after))])}"
