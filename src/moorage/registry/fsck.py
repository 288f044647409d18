"""A check that somebody asked for, part by part: what `moorage fsck` has done.

Every part is one transaction that also says where the next begins, so whoever has the job goes on.
Without leave to repair it changes nothing but the times at which objects were verified.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from moorage.db import checking, invariants, looking, usage, verifying
from moorage.db import verifications as rows
from moorage.db.engine import Tx
from moorage.db.looking import Broken, Look
from moorage.db.schema import SCHEMA_VERSION
from moorage.db.settings import GET_SETTING
from moorage.db.verifications import FULL, Finding
from moorage.errors import Invalid
from moorage.jobs.queue import Again, Running
from moorage.registry.examining import Examiner, Turn
from moorage.registry.fsck_manifests import check_manifests
from moorage.registry.fsck_objects import check_bytes, check_objects
from moorage.registry.services import Services
from moorage.registry.verifying import Part, Stopped, Verifying, tell

JOB = "verification.run"
_PAGE = 500
# So often a namespace in which somebody writes is added up again.
_TRIES = 5
TURN_SECONDS = 5.0

Step = Callable[[Verifying], Awaitable[None]]


class Asked(msgspec.Struct, frozen=True):
    """What the job is given: the run."""

    run: int


class Sum(msgspec.Struct, frozen=True, array_like=True):
    """How far a namespace is added up: what was noted of it when that began, and tries so far.

    `seen` is what it lacked the last time, at which nobody wrote.
    """

    namespace_id: int
    name: str
    noted: int
    after: int = 0
    total: int = 0
    tries: int = 1
    seen: int = 0


async def check(s: Services, examiner: Examiner, running: Running) -> None:
    """Go on with the run for a turn.

    Raises:
        Again: there is more to do.
    """
    asked = msgspec.json.decode(running.job.payload, type=Asked)
    run = await s.db.read(lambda tx: rows.find_run(tx, asked.run))
    if run is None or run.state != "running":
        return
    turn = Turn(s, running, TURN_SECONDS)
    checking_run = Verifying(s, running, run)
    names = steps_of(run.kind)
    steps = _steps(examiner, turn)
    try:
        while checking_run.run.step < len(names):
            await steps[names[checking_run.run.step]](checking_run)
            if turn.is_over:
                raise Again
    except Stopped as stopped:
        await checking_run.end("stopped", str(stopped))
        s.telemetry.log.error("verification stopped", run=run.id, reason=str(stopped))
        return
    await checking_run.end("done")
    await tell(s)


def steps_of(kind: str) -> tuple[str, ...]:
    """Return the steps of a run in their order.

    Raises:
        Invalid: there is no such kind of run.
    """
    if kind not in (rows.FAST, FULL):
        raise Invalid(f"a check is {rows.FAST} or {FULL}")
    full = ("bytes",) if kind == FULL else ()
    return ("schema", *(_NAMES[:-1]), "manifests", "usage", "objects", *full, _NAMES[-1])


_LOOKS: dict[str, Look] = {
    "tags": invariants.TAGS,
    "history": invariants.CHANGES,
    "references": invariants.REFERENCES,
    "names": invariants.NAMES,
    "links": invariants.LINKS,
    "digests": invariants.DIGESTS,
    "uploads": invariants.UPLOADS,
    "feed": invariants.FEED,
    "trail": invariants.TRAIL,
    "blobs": invariants.BLOBS,  # last, because it lists what is lost
}
_NAMES = tuple(_LOOKS)


def _steps(examiner: Examiner, turn: Turn) -> dict[str, Step]:
    looks: dict[str, Step] = {name: partial(check_rows, look) for name, look in _LOOKS.items()}
    return {
        **looks,
        "schema": check_schema,
        "manifests": check_manifests,
        "usage": check_usage,
        "objects": partial(check_objects, examiner),
        "bytes": partial(check_bytes, examiner, turn),
    }


async def check_schema(run: Verifying) -> None:
    """See that the schema's version is one that this program knows (I14)."""

    async def work(tx: Tx) -> Part:
        row = await tx.one(GET_SETTING, key="schema.version")
        found = row[0] if row else "none"
        if found.isdigit() and int(found) >= SCHEMA_VERSION:
            return Part(looked=1)
        return Part([Finding("I14", f"schema {found}", "this release does not know it")], looked=1)

    await run.write(work)


async def check_rows(look: Look, run: Verifying) -> None:
    """Look at a page of a table."""
    broken, looked, last = await run.s.db.read(
        lambda tx: looking.list_page(tx, look, tuple(run.place or ()), _PAGE), pages=True
    )

    async def work(tx: Tx) -> Part:
        findings = [each for one in broken if (each := await _found(tx, run, look, one))]
        repaired = sum(bool(each.repair) for each in findings)
        return Part(findings, last or None, looked, repaired=repaired)

    await run.write(work)


async def _found(tx: Tx, run: Verifying, look: Look, broken: Broken) -> Finding | None:
    finding = broken.finding
    if look is not invariants.BLOBS:
        return finding
    location = broken.about[-1]
    if broken.number == invariants.LOST:
        # What this run has made lost, it has told already.
        return None if await checking.damaged_since(tx, location, run.run.started_at) else finding
    is_mended = (
        broken.number == invariants.TO_BE_DELETED
        and run.run.repairs
        and await verifying.free_location(tx, location)
    )
    repair = "it is no longer to be deleted" if is_mended else ""
    return msgspec.structs.replace(finding, repair=repair)


async def check_usage(run: Verifying) -> None:
    """Add up the bytes of a namespace, or a part of it, and compare with what is noted (I7)."""

    async def work(tx: Tx) -> Part:
        place = msgspec.convert(run.place, Sum) if run.place else None
        if place is None or place.after < 0:
            return await _next(tx, place.namespace_id if place else 0)
        more, looked, after = await checking.add_up(tx, place.namespace_id, place.after, _PAGE)
        place = msgspec.structs.replace(place, after=after, total=place.total + more)
        if looked == _PAGE:
            return Part(place=place, looked=looked)
        return await _compare(tx, run, place, looked)

    await run.write(work)


async def _next(tx: Tx, after: int) -> Part:
    found = await checking.next_namespace(tx, after)
    if found is None:
        return Part()
    return Part(place=Sum(*found, await usage.find_usage(tx, found[0])), looked=1)


async def _compare(tx: Tx, run: Verifying, place: Sum, looked: int) -> Part:
    """Compare the sum; what differs is added up once more, and so is what was written to."""
    noted = await usage.find_usage(tx, place.namespace_id)
    lacks = place.total - noted
    is_still = noted == place.noted
    over = msgspec.structs.replace(place, after=-1)
    if is_still and not lacks:
        return Part(place=over, looked=looked)
    if not (is_still and lacks == place.seen):
        if place.tries == _TRIES:
            return Part(place=over, looked=looked)
        again = Sum(
            place.namespace_id,
            place.name,
            noted,
            tries=place.tries + 1,
            seen=lacks if is_still else 0,
        )
        return Part(place=again, looked=looked)
    repair = ""
    if run.run.repairs:
        await checking.mend_usage(tx, place.namespace_id, lacks, run.s.clock.now())
        repair = f"{lacks:+} bytes were added"
    problem = f"{noted} bytes are noted, and its blobs have {place.total}"
    finding = Finding("I7", f"the namespace {place.name}", problem, repair)
    return Part([finding], over, looked, repaired=int(bool(repair)))
