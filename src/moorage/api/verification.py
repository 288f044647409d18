"""`/api/v1/verification`: whether all is there and right, and what is kept that is not."""

from datetime import datetime
from typing import Literal

import msgspec

from moorage.api.call import Ask, Call, Route, cut, done, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.db.damage import Damage as DamageRow
from moorage.db.verifications import SCRUB
from moorage.db.verifications import Run as RunRow
from moorage.model.access import Action
from moorage.registry import damage, rights, verification
from moorage.registry.fsck import steps_of
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class NewRun(Ask, frozen=True):
    """Whether bytes are read too (`full`), and whether what can be mended safely is."""

    kind: Literal["fast", "full"] = "fast"
    repair: bool = False


class Run(msgspec.Struct, frozen=True):
    """A run; `found` minus `repaired` is what is wrong still. `step` is empty at the end."""

    id: int
    kind: str
    repair: bool
    state: str
    reason: str
    started_at: datetime | None
    ended_at: datetime | None
    step: str
    steps_done: int
    steps: int
    looked: int
    objects: int
    bytes: int
    found: int
    repaired: int


class Runs(msgspec.Struct, frozen=True):
    """A page of runs, newest first."""

    items: list[Run]


class State(msgspec.Struct, frozen=True):
    """How much is lost, up to 1,000, and since when some blob's bytes were not read."""

    lost: int
    oldest_at: datetime | None
    last: Run | None
    last_scrub: Run | None


class Finding(msgspec.Struct, frozen=True):
    """What breaks a rule, what is wrong with it, and what was done; empty if nothing."""

    rule: str
    subject: str
    problem: str
    repair: str


class Findings(msgspec.Struct, frozen=True):
    """A page of findings, in the order in which they were found."""

    items: list[Finding]


class Damage(msgspec.Struct, frozen=True):
    """An object that is damaged; `ended_at` is null while its blob is lost.

    It stays in the store until somebody lets it go.
    """

    id: int
    digest: str
    location: str
    size: int
    why: str
    found_by: str
    found_at: datetime | None
    ending: str
    ended_at: datetime | None


class Damages(msgspec.Struct, frozen=True):
    """A page of damaged objects, newest first."""

    items: list[Damage]


def _run(row: RunRow) -> Run:
    steps = steps_of(row.kind) if row.kind != SCRUB else ()
    return Run(
        row.id,
        row.kind,
        bool(row.repairs),
        row.state,
        row.reason,
        when(row.started_at),
        when(row.ended_at),
        steps[row.step] if row.step < len(steps) else "",
        row.step,
        len(steps),
        row.looked,
        row.objects,
        row.bytes,
        row.found,
        row.repaired,
    )


def _damage(row: DamageRow) -> Damage:
    return Damage(
        row.id,
        row.digest,
        row.location,
        row.size,
        row.why,
        row.found_by,
        when(row.found_at),
        row.ending,
        when(row.ended_at),
    )


async def get_verification(s: Services, call: Call) -> Response:
    """Answer with how verification stands."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    found = await verification.find_state(s, actor)
    last, scrub = (_run(each) if each else None for each in (found.last, found.last_scrub))
    return told_one(call, State(found.lost, when(found.oldest_at), last, scrub))


async def list_runs(s: Services, call: Call) -> Response:
    """Answer with a page of runs."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    page = call.page()
    rows = await verification.list_runs(s, actor, page.after_number, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_run(each) for each in found], found[-1].id if more else None)


async def start_run(s: Services, call: Call) -> Response:
    """Have a check begin as soon as there is time."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    asked = await call.asked(NewRun)
    by = change_by(actor, call.request)
    made = await verification.start(s, actor, asked.kind, by, repairs=asked.repair)
    return told(202, _run(made), {"Location": f"{call.request.path}/{made.id}"})


async def get_run(s: Services, call: Call) -> Response:
    """Answer with one run."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    return told_one(call, _run(await verification.find_run(s, actor, call.number("run"))))


async def list_findings(s: Services, call: Call) -> Response:
    """Answer with a page of what a run found."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    page = call.page()
    rows = await verification.list_findings(
        s, actor, call.number("run"), page.after_number, page.limit + 1
    )
    found, more = cut(rows, page.limit)
    items = [Finding(each.rule, each.subject, each.problem, each.repair) for _, each in found]
    return told_page(call, items, found[-1][0] if more else None)


async def list_damage(s: Services, call: Call) -> Response:
    """Answer with a page of what is damaged."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    page = call.page()
    rows = await damage.list_damage(s, actor, page.after_number, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_damage(each) for each in found], found[-1].id if more else None)


async def discard_damage(s: Services, call: Call) -> Response:
    """Have a damaged object deleted."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    await damage.discard(s, actor, call.number("damage"), change_by(actor, call.request))
    return done()


ROUTES = (
    Route(
        method="GET",
        path="/verification",
        name="get-verification",
        summary="How much is lost, and how verification stands",
        action=Action.ADMINISTER,
        handler=get_verification,
        gives=State,
    ),
    Route(
        method="GET",
        path="/verification/runs",
        name="list-verification-runs",
        summary="Checks and scrubs, newest first",
        action=Action.ADMINISTER,
        handler=list_runs,
        gives=Runs,
        pages=True,
    ),
    Route(
        method="POST",
        path="/verification/runs",
        name="start-verification",
        summary="Check that all is there and right",
        action=Action.ADMINISTER,
        handler=start_run,
        takes=NewRun,
        gives=Run,
        status=202,
        clashes=True,
    ),
    Route(
        method="GET",
        path="/verification/runs/{run}",
        name="get-verification-run",
        summary="One check, and how far it is",
        action=Action.ADMINISTER,
        handler=get_run,
        gives=Run,
    ),
    Route(
        method="GET",
        path="/verification/runs/{run}/findings",
        name="list-findings",
        summary="What a check found",
        action=Action.ADMINISTER,
        handler=list_findings,
        gives=Findings,
        pages=True,
    ),
    Route(
        method="GET",
        path="/verification/damage",
        name="list-damage",
        summary="What is damaged, and what is kept because of it",
        action=Action.ADMINISTER,
        handler=list_damage,
        gives=Damages,
        pages=True,
    ),
    Route(
        method="DELETE",
        path="/verification/damage/{damage}",
        name="discard-damage",
        summary="Delete a damaged object whose blob is whole again",
        action=Action.ADMINISTER,
        handler=discard_damage,
        status=204,
        clashes=True,
    ),
)
