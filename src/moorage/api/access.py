"""`/api/v1/access`: may somebody do something, and why; and who may what somewhere."""

import msgspec

from moorage.api.call import Call, Route, cut, told, told_page
from moorage.api.caller import authenticate
from moorage.auth.policy import require
from moorage.errors import Invalid
from moorage.model.access import Action, System
from moorage.oci.names import RepositoryName, is_component
from moorage.registry import explain, rights
from moorage.registry.grants import Where
from moorage.registry.services import Services
from moorage.web.numbers import whole_number
from moorage.web.response import Response


class Path(msgspec.Struct, frozen=True):
    """A grant that counts: whose it is, the account's own or a team's, and what it is on."""

    through: str
    role: str
    on: str


class Scope(msgspec.Struct, frozen=True):
    """What the token that was asked about is confined to."""

    pattern: str
    actions: list[str]


class Explanation(msgspec.Struct, frozen=True):
    """Whether it is allowed and why, by which grants, the visibility and the token's scopes."""

    allowed: bool
    reason: str
    paths: list[Path]
    visibility: str
    scopes: list[Scope] | None


class Row(msgspec.Struct, frozen=True):
    """Who may do what on what, by which role."""

    who: str
    kind: str
    on: str
    role: str
    may: list[str]


class Report(msgspec.Struct, frozen=True):
    """A page of who may what."""

    items: list[Row]


async def explain_access(s: Services, call: Call) -> Response:
    """Answer whether somebody may do something; about oneself everybody may ask."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    try:
        action = Action(call.parameter("action"))
    except ValueError:
        raise Invalid("action is none that somebody may do") from None
    who = call.parameter("who") or actor.name
    token = call.parameter("token")
    number = whole_number(token, "token") if token else 0
    found = await explain.explain(s, actor, who, action, _where(call), token_id=number)
    scopes = found.scopes
    shown = Explanation(
        found.allowed,
        found.reason,
        [Path(each.through, each.role.value, each.on) for each in found.paths],
        found.visibility,
        None if scopes is None else [Scope(e.pattern, sorted(e.actions)) for e in scopes],
    )
    return told(200, shown)


async def report_access(s: Services, call: Call) -> Response:
    """Answer with a page of who may what on a namespace or a repository."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    page = call.page()
    rows = await explain.report(s, actor, _where(call), page.after_pair, page.limit + 1)
    found, more = cut(rows, page.limit)
    items = [Row(e.who, e.kind, e.on, e.role.value, [each.value for each in e.may]) for e in found]
    after = ".".join(map(str, found[-1].after)) if more else None
    return told_page(call, items, after)


def _where(call: Call) -> Where:
    """Return the place that the query names: a namespace, or a repository."""
    namespace, repository = call.parameter("namespace"), call.parameter("repository")
    if bool(namespace) == bool(repository):
        raise Invalid("either a namespace or a repository is needed")
    if repository:
        return Where.of(RepositoryName.parse(repository))
    if not is_component(namespace):
        raise Invalid("namespace is none that can be")
    return Where(namespace)


ROUTES = (
    Route(
        method="GET",
        path="/access/can",
        name="explain-access",
        summary="Whether somebody may do something there, and why",
        action=Action.PING,
        handler=explain_access,
        gives=Explanation,
        query=("action", "who", "namespace", "repository", "token"),
    ),
    Route(
        method="GET",
        path="/access/report",
        name="report-access",
        summary="Who may what on a namespace or a repository",
        action=Action.SEE_ACCESS,
        handler=report_access,
        gives=Report,
        pages=True,
        query=("namespace", "repository"),
    ),
)
