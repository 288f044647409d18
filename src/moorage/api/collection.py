"""`/api/v1/collection`: what was removed and would be, why something stays; for administrators."""

from datetime import datetime

import msgspec

from moorage.api.call import Call, Route, cut, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.db.collection_runs import Pause as PauseRow
from moorage.db.collection_runs import Run as RunRow
from moorage.errors import Invalid
from moorage.model.access import Action
from moorage.oci.digest import Digest
from moorage.registry import collection, rights
from moorage.registry.services import Services, change_by
from moorage.web.numbers import whole_number
from moorage.web.response import Response

_MOST = 1_000


class Pause(msgspec.Struct, frozen=True):
    """Why nothing is removed; `until` is null where somebody must say that it may go on."""

    reason: str
    since: datetime | None
    until: datetime | None


class Run(msgspec.Struct, frozen=True):
    """A run: a `review` removes what nothing names, `delete` deletes objects, a `sweep` checks."""

    id: int
    kind: str
    state: str
    reason: str
    started_at: datetime | None
    ended_at: datetime | None
    looked: int
    kept: int
    repositories: int
    manifests: int
    links: int
    blobs: int
    objects: int
    bytes: int
    missed: int
    orphans: int


class Runs(msgspec.Struct, frozen=True):
    """A page of runs, newest first."""

    items: list[Run]


class State(msgspec.Struct, frozen=True):
    """How collection stands, with its last run."""

    pause: Pause | None
    waiting_since: datetime | None
    next_delete_at: datetime | None
    last: Run | None


class Planned(msgspec.Struct, frozen=True):
    """What would become of a candidate; `why` is why it would stay, empty if it would go."""

    kind: str
    repository: str
    digest: str
    size: int
    goes: bool
    why: str


class Plan(msgspec.Struct, frozen=True):
    """The first candidates; `more` says that there are others behind them."""

    items: list[Planned]
    more: bool


class Reason(msgspec.Struct, frozen=True):
    """What keeps it: `live`, `leased`, `trash`, `named` or `held`."""

    why: str
    until: datetime | None
    by: str
    tags: list[str]
    in_trash: bool


class Place(msgspec.Struct, frozen=True):
    """Content in a repository with what keeps it there; without a reason it goes."""

    repository: str
    kind: str
    reasons: list[Reason]


class Explanation(msgspec.Struct, frozen=True):
    """Where the content of a digest is, at most a hundred places of each kind."""

    digest: str
    items: list[Place]


class Resumed(msgspec.Struct, frozen=True):
    """Why collection had stopped; null if it had not."""

    pause: Pause | None


class Started(msgspec.Struct, frozen=True):
    """The jobs that will run as soon as there is time."""

    jobs: list[str]


def _run(row: RunRow) -> Run:
    counts = {name: getattr(row, name) for name in Run.__struct_fields__[6:]}
    started, ended = when(row.started_at), when(row.ended_at)
    return Run(row.id, row.kind, row.state, row.reason, started, ended, **counts)


def _pause(row: PauseRow | None) -> Pause | None:
    return Pause(row.reason, when(row.since), when(row.until)) if row is not None else None


async def get_collection(s: Services, call: Call) -> Response:
    """Answer with how collection stands."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    found = await collection.find_state(s, actor)
    last = _run(found.last) if found.last is not None else None
    shown = State(_pause(found.pause), when(found.waiting_since), when(found.next_delete_at), last)
    return told_one(call, shown)


async def list_runs(s: Services, call: Call) -> Response:
    """Answer with a page of runs."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    page = call.page()
    rows = await collection.list_runs(s, actor, page.after_number, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_run(each) for each in found], found[-1].id if more else None)


async def preview(s: Services, call: Call) -> Response:
    """Answer with what the next run would do; nothing is changed."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    text = call.parameter("limit")
    limit = whole_number(text, "limit") if text else 100
    if not 1 <= limit <= _MOST:
        raise Invalid(f"limit must be a whole number from 1 to {_MOST}")
    found, more = cut(await collection.preview(s, actor, limit + 1), limit)
    items = [
        Planned(each.kind, each.repository, each.digest, each.size, not each.why, each.why)
        for each in found
    ]
    return told(200, Plan(items, more))


async def explain(s: Services, call: Call) -> Response:
    """Answer with where content is and what keeps it."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    digest = Digest.parse(call.parameter("digest"))
    places = [
        Place(
            place.repository,
            place.kind,
            [
                Reason(each.why, when(each.until), each.by, list(each.tags), each.in_trash)
                for each in place.reasons
            ],
        )
        for place in await collection.explain(s, actor, digest)
    ]
    return told(200, Explanation(digest, places))


async def start_collection(s: Services, call: Call) -> Response:
    """Have a run begin as soon as there is time."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    await collection.start(s, actor)
    return told(202, Started(["collection.review", "objects.delete"]))


async def resume_collection(s: Services, call: Call) -> Response:
    """Let collection go on that had stopped."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    pause = await collection.resume(s, actor, change_by(actor, call.request))
    return told(200, Resumed(_pause(pause)))


ROUTES = (
    Route(
        method="GET",
        path="/collection",
        name="get-collection",
        summary="How collection stands",
        action=Action.ADMINISTER,
        handler=get_collection,
        gives=State,
    ),
    Route(
        method="GET",
        path="/collection/runs",
        name="list-collection-runs",
        summary="What runs of collection removed, newest first",
        action=Action.ADMINISTER,
        handler=list_runs,
        gives=Runs,
        pages=True,
    ),
    Route(
        method="POST",
        path="/collection/runs",
        name="start-collection",
        summary="Run collection as soon as there is time",
        action=Action.ADMINISTER,
        handler=start_collection,
        gives=Started,
        status=202,
    ),
    Route(
        method="GET",
        path="/collection/preview",
        name="preview-collection",
        summary="What the next run would do, and why",
        action=Action.ADMINISTER,
        handler=preview,
        gives=Plan,
        query=("limit",),
    ),
    Route(
        method="GET",
        path="/collection/explanation",
        name="explain-collection",
        summary="Why content is still there",
        action=Action.ADMINISTER,
        handler=explain,
        gives=Explanation,
        query=("digest",),
    ),
    Route(
        method="POST",
        path="/collection/resume",
        name="resume-collection",
        summary="Let collection go on that had stopped",
        action=Action.ADMINISTER,
        handler=resume_collection,
        gives=Resumed,
    ),
)
