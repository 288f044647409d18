"""What a route of the management API is, and one call of it: the words that its handlers use."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from moorage.api.fields import misfit
from moorage.errors import Invalid, NameInvalid, NotFound, NotJson
from moorage.model.access import Action
from moorage.oci.names import RepositoryName, is_component
from moorage.registry.services import Services
from moorage.web.conditions import is_unmodified
from moorage.web.numbers import number_of, whole_number
from moorage.web.request import Request
from moorage.web.response import Response, json_answer, next_link

MAX_BODY = 1 << 20
MAX_PAGE = 1_000
DEFAULT_PAGE = 100
_CURSOR = "after"
_MAX_CURSOR = 300
_JSON = "application/json"
_TWO = "[0-9]{2}"
TIME = rf"[0-9]{{4}}-{_TWO}-{_TWO}T{_TWO}:{_TWO}:{_TWO}(?:\.[0-9]{{1,6}})?(?:Z|[+-]{_TWO}:{_TWO})"
_TIME = re.compile(TIME, re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_CONTROL = "\x1f"

Asked = TypeVar("Asked")
Item = TypeVar("Item")


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a request's body is made of; a field that it has not got is refused."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: where it is, what it needs, what it takes and gives.

    `action` is what whoever calls must be allowed to do; None where the body carries a secret
    that is good for this alone, or where everybody may. `clashes` says that it may answer 409.
    `conditional` says that it takes `If-Match`. `shows_secret` marks an answer that is given once
    and kept nowhere.
    """

    method: str
    path: str
    name: str
    summary: str
    action: Action | None
    handler: "Handler"
    takes: Any = None
    gives: Any = None
    status: int = 200
    pages: bool = False
    query: tuple[str, ...] = ()
    clashes: bool = False
    shows_secret: bool = False
    conditional: bool = False

    @property
    def noun(self) -> str:
        """What it is about, by the file that it stands in."""
        return self.handler.__module__.rpartition(".")[2].replace("_", " ")

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"

    @property
    def has_tag(self) -> bool:
        """Whether its answers have an `ETag`."""
        return self.method == "GET" and not self.pages and not self.query

    @property
    def is_of_place(self) -> bool:
        """Whether it is about a namespace or repository, whose existence is not for everybody."""
        return "{namespace}" in self.path or "{repository}" in self.path


class Page(msgspec.Struct, frozen=True):
    """Which page is asked for: at most `limit` items behind `after`."""

    after: str
    limit: int

    @property
    def after_number(self) -> int:
        """The id that the page is behind, of lists in the order of ids.

        Raises:
            Invalid: it is no id.
        """
        return whole_number(self.after, "after") if self.after else 0

    @property
    def after_pair(self) -> tuple[int, int]:
        """The two ids that the page is behind, of lists in the order of both.

        Raises:
            Invalid: they are none.
        """
        first, _, second = (self.after or "0.0").partition(".")
        return whole_number(first, "after"), whole_number(second, "after")


class Call:
    """One request to a route, with what its path says."""

    __slots__ = ("_raw", "_values", "request", "route")

    def __init__(self, request: Request, route: Route, values: Mapping[str, str]) -> None:
        """Take what the path's templates stand for, decoded and not yet looked at."""
        self.request = request
        self.route = route
        self._values = values
        self._raw: bytes | None = None

    @property
    def namespace(self) -> str:
        """The namespace in the path.

        Raises:
            NameInvalid: no namespace can have that name.
        """
        return component(self._values["namespace"], "namespace")

    @property
    def repository(self) -> RepositoryName:
        """The repository in the path.

        Raises:
            NameInvalid: no repository can have that name.
        """
        return RepositoryName.parse(self._values["repository"])

    def name(self, place: str) -> str:
        """Return a name in the path, of an account, a team or a robot.

        Raises:
            NotFound: nothing can have that name.
        """
        text = self._values[place]
        if not is_component(text):
            raise NotFound
        return text

    def text(self, place: str) -> str:
        """Return what stands in the path, as it stands there."""
        return self._values[place]

    def number(self, place: str) -> int:
        """Return an id in the path.

        Raises:
            NotFound: it is none.
        """
        number = number_of(self._values[place])
        if number is None:
            raise NotFound
        return number

    def parameter(self, name: str) -> str:
        """Return a query parameter, empty if it is not there.

        One that is there and empty names nothing: to take it for none would ask about more than
        was meant. Only the first page begins behind nothing.

        Raises:
            Invalid: it is given twice, or empty, or has what no name has.
        """
        values = self.request.parameters(name)
        if len(values) > 1:
            raise Invalid(f"{name} is given more than once")
        text = values[0] if values else ""
        if values and not text and name != _CURSOR:
            raise Invalid(f"{name} is empty")
        if len(text) > _MAX_CURSOR or any(each <= _LAST_CONTROL for each in text):
            raise Invalid(f"{name} is not what it can be")
        return text

    def page(self) -> Page:
        """Return which page is asked for.

        Raises:
            Invalid: the limit is not a whole number from 1 to 1,000.
        """
        text = self.parameter("limit")
        limit = whole_number(text, "limit") if text else DEFAULT_PAGE
        if not 1 <= limit <= MAX_PAGE:
            raise Invalid(f"limit must be a whole number from 1 to {MAX_PAGE}")
        return Page(self.parameter(_CURSOR), limit)

    async def raw(self) -> bytes:
        """Return the body, which is read once.

        Raises:
            NotJson: it says that it is something else than JSON.
            ManifestTooLarge: it has more than 1 MiB.
        """
        if self._raw is None:
            kind = self.request.headers.get("Content-Type", "")
            if self.request.has_body and kind.partition(";")[0].strip().lower() != _JSON:
                raise NotJson
            self._raw = await self.request.body(MAX_BODY, "a body")
        return self._raw

    async def asked(self, kind: type[Asked]) -> Asked:
        """Return what the body asks for.

        Raises:
            NotJson: it is not JSON.
            Invalid: it is not what the route takes; the text names the field.
        """
        assert kind is self.route.takes  # noqa: S101 - else the document would tell otherwise
        raw = await self.raw()
        if not raw:
            raise NotJson("a body is needed")
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.ValidationError as error:
            message, hint = misfit(error)
            raise Invalid(message, hint=hint) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid(f"the body is not what it must be: {error}") from None


Handler = Callable[[Services, Call], Awaitable[Response]]


def component(text: str, what: str) -> str:
    """Return a name that can be one component of a repository's.

    Raises:
        NameInvalid: it can't.
    """
    if not is_component(text):
        raise NameInvalid(
            f"{text[:80]!r} is not the name of a {what}",
            hint="Names have up to 64 lower-case letters, digits, and single . _ or - between them",
        )
    return text


def moment(text: str, what: str) -> int:
    """Return the time that a parameter is, in milliseconds since 1970.

    Raises:
        Invalid: it is none.
    """
    try:
        if not _TIME.fullmatch(text):
            raise ValueError(text)
        return int((datetime.fromisoformat(text) - _EPOCH).total_seconds() * 1000)
    except (ValueError, OverflowError):
        told = "Write it as 2026-09-14T12:00:00Z, with its zone"
        raise Invalid(f"{what} is no time", hint=told) from None


def when(milliseconds: int) -> datetime | None:
    """Return a time as answers tell it; None for never."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def told(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that nobody keeps."""
    return json_answer(status, document, {"Cache-Control": "no-store", **(headers or {})})


def told_page(call: Call, items: Sequence[Any], after: str | int | None) -> Response:
    """Return a page, with a link to the one behind `after`, None if it is the last."""
    headers = {}
    if after is not None:
        kept = [(key, value) for key, value in call.request.query if key != "after"]
        headers["Link"] = next_link(call.request.path, [*kept, ("after", str(after))])
    return told(200, {"items": items}, headers)


def cut(items: list[Item], limit: int) -> tuple[list[Item], bool]:
    """Return at most `limit` of the items that were read, and whether there are more."""
    return items[:limit], len(items) > limit


def told_one(call: Call, document: Any) -> Response:
    """Return one resource with its `ETag`, or 304 to whoever has this very state already."""
    made = json_answer(200, document, {"Cache-Control": "private, no-cache"})
    assert isinstance(made.body, bytes)  # noqa: S101 - documents are
    tag = hashlib.sha256(made.body).hexdigest()[:32]
    made.headers["ETag"] = f'"{tag}"'
    if is_unmodified(call.request.headers.get("If-None-Match"), tag):
        return Response(304, {"ETag": made.headers["ETag"], "Cache-Control": "private, no-cache"})
    return made


def done(headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that says no more than that it was done."""
    return Response(204, {"Cache-Control": "no-store", **(headers or {})})
