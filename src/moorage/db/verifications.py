"""Runs of verification: how far each is, and what it found."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from moorage.db.engine import NO_TEXT, ZERO, Query, Tx, add_row
from moorage.db.repair_schema import verification_finding, verification_run
from moorage.db.repositories import LIVE

SCRUB, FAST, FULL = "scrub", "fast", "full"
# More findings of one run are counted and repaired, but not listed.
MOST_FINDINGS = 10_000
_RUNNING: sa.ColumnClause[str] = sa.literal_column("'running'")


class Run(msgspec.Struct, frozen=True):
    """A run: a `scrub` by the schedule, a `fast` or a `full` one that somebody asked for.

    `found` are rows and objects that are not as they should be, `repaired` those that are by now.
    """

    id: int
    kind: str
    repairs: int
    state: str
    reason: str
    job_id: int
    started_at: int
    ended_at: int
    step: int
    place: bytes
    looked: int
    objects: int
    bytes: int
    found: int
    repaired: int


class Finding(msgspec.Struct, frozen=True):
    """What breaks a rule: what it is about, what is wrong, and what was done about it."""

    rule: str
    subject: str
    problem: str
    repair: str = ""


class Progress(msgspec.Struct, frozen=True):
    """What a part of a run adds, and where the next one begins."""

    step: int
    place: bytes
    looked: int = 0
    objects: int = 0
    bytes: int = 0
    found: int = 0
    repaired: int = 0


_COLUMNS = tuple(verification_run.c[name] for name in Run.__struct_fields__)
_COUNTED = Progress.__struct_fields__[2:]
_FINDING = Finding.__struct_fields__

ADD_RUN = Query(
    "add_verification_run",
    sa.insert(verification_run)
    .values(
        kind=sa.bindparam("kind"),
        repairs=sa.bindparam("repairs"),
        state=_RUNNING,
        reason=NO_TEXT,
        job_id=sa.bindparam("job_id"),
        started_at=sa.bindparam("now"),
        ended_at=LIVE,
        step=ZERO,
        place=sa.bindparam("place"),
        **dict.fromkeys(_COUNTED, ZERO),
    )
    .returning(verification_run.c.id),
)
SET_JOB = Query(
    "set_job_of_verification",
    sa.update(verification_run)
    .where(verification_run.c.id == sa.bindparam("run_id"))
    .values(job_id=sa.bindparam("new_job")),
)
ADVANCE_RUN = Query(
    "advance_verification_run",
    sa.update(verification_run)
    .where(verification_run.c.id == sa.bindparam("run_id"))
    .where(verification_run.c.state == _RUNNING)
    .values(
        {
            verification_run.c.step: sa.bindparam("new_step"),
            verification_run.c.place: sa.bindparam("new_place"),
            **{
                verification_run.c[name]: verification_run.c[name] + sa.bindparam(f"more_{name}")
                for name in _COUNTED
            },
        }
    ),
)
END_RUN = Query(
    "end_verification_run",
    sa.update(verification_run)
    .where(verification_run.c.id == sa.bindparam("run_id"))
    .where(verification_run.c.state == _RUNNING)
    .values(
        state=sa.bindparam("new_state"),
        reason=sa.bindparam("new_reason"),
        ended_at=sa.bindparam("now"),
    ),
)
FIND_RUN = Query(
    "find_verification_run",
    sa.select(*_COLUMNS).where(verification_run.c.id == sa.bindparam("run_id")),
)
# Of those that run there is one of each kind at most.
LIST_RUNNING = Query(
    "list_running_verifications",
    sa.select(*_COLUMNS)
    .where(verification_run.c.state == _RUNNING)
    .order_by(verification_run.c.id)
    .limit(sa.bindparam("limit")),
)
LIST_RUNS = Query(
    "list_verification_runs",
    sa.select(*_COLUMNS)
    .where(verification_run.c.id < sa.bindparam("before"))
    .order_by(verification_run.c.id.desc())
    .limit(sa.bindparam("limit")),
)
LIST_OLD = Query(
    "list_old_verification_runs",
    sa.select(verification_run.c.id)
    .where(verification_run.c.started_at < sa.bindparam("before"))
    .where(verification_run.c.state != _RUNNING)
    .order_by(verification_run.c.started_at)
    .limit(sa.bindparam("limit")),
)
FORGET_RUN = Query(
    "forget_verification_run",
    sa.delete(verification_run).where(verification_run.c.id == sa.bindparam("run_id")),
)
FORGET_FINDINGS = Query(
    "forget_findings",
    sa.delete(verification_finding).where(verification_finding.c.run_id == sa.bindparam("run_id")),
)
ADD_FINDING = Query(
    "add_finding",
    sa.insert(verification_finding).values(
        run_id=sa.bindparam("run_id"),
        place=sa.bindparam("place"),
        **{name: sa.bindparam(name) for name in _FINDING},
    ),
)
LIST_FINDINGS = Query(
    "list_findings",
    sa.select(verification_finding.c.place, *(verification_finding.c[name] for name in _FINDING))
    .where(verification_finding.c.run_id == sa.bindparam("run_id"))
    .where(verification_finding.c.place > sa.bindparam("after"))
    .order_by(verification_finding.c.place)
    .limit(sa.bindparam("limit")),
)


async def add_run(tx: Tx, kind: str, now: int, *, repairs: bool) -> int:
    """Begin a run and return its id."""
    return await add_row(tx, ADD_RUN, kind=kind, repairs=int(repairs), job_id=0, now=now, place=b"")


async def set_job(tx: Tx, run_id: int, job_id: int) -> None:
    """Note which job the run is."""
    await tx.run(SET_JOB, run_id=run_id, new_job=job_id)


async def find_run(tx: Tx, run_id: int) -> Run | None:
    """Return the run of that id."""
    row = await tx.one(FIND_RUN, run_id=run_id)
    return Run(*row) if row else None


async def list_running(tx: Tx) -> list[Run]:
    """Return the runs that have not ended."""
    return [Run(*row) for row in await tx.many(LIST_RUNNING, limit=10)]


async def list_runs(tx: Tx, before: int, limit: int) -> list[Run]:
    """Return up to `limit` runs with an id below `before`, newest first."""
    return [Run(*row) for row in await tx.many(LIST_RUNS, before=before, limit=limit)]


async def advance_run(tx: Tx, run: Run, progress: Progress, findings: Sequence[Finding]) -> None:
    """Add what a part of the run did and found, in the transaction that does it."""
    more = {f"more_{name}": getattr(progress, name) for name in _COUNTED}
    await tx.run(
        ADVANCE_RUN, run_id=run.id, new_step=progress.step, new_place=progress.place, **more
    )
    rows = [
        {"run_id": run.id, "place": place, **msgspec.structs.asdict(each)}
        for place, each in enumerate(findings, run.found + 1)
        if place <= MOST_FINDINGS
    ]
    if rows:
        await tx.run_many(ADD_FINDING, rows)


async def end_run(tx: Tx, run_id: int, state: str, reason: str, now: int) -> None:
    """End the run as `done`, `stopped` or `broken off`, unless it has ended."""
    await tx.run(END_RUN, run_id=run_id, new_state=state, new_reason=reason, now=now)


async def list_findings(tx: Tx, run_id: int, after: int, limit: int) -> list[tuple[int, Finding]]:
    """Return up to `limit` findings of the run behind a place, each with its own."""
    rows = await tx.many(LIST_FINDINGS, run_id=run_id, after=after, limit=limit)
    return [(row[0], Finding(*row[1:])) for row in rows]


async def forget_runs(tx: Tx, before: int, limit: int) -> int:
    """Forget up to `limit` runs that began before that time, with their findings."""
    old = await tx.many(LIST_OLD, before=before, limit=limit)
    for (number,) in old:
        await tx.run(FORGET_FINDINGS, run_id=number)
        await tx.run(FORGET_RUN, run_id=number)
    return len(old)
