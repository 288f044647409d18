"""The weekly check of everything: what no queue had, and objects that nothing names.

It removes nothing by itself. What it finds is queued, judged as any other candidate, and counted:
but for objects that a crash left behind, it should find nothing.
"""

from collections.abc import Sequence

from moorage.blobs.store import Stored
from moorage.clock import DAY, HOUR
from moorage.db import collection_runs as runs
from moorage.db import reviews, sweeping
from moorage.db.collection_runs import Counts
from moorage.db.engine import Tx
from moorage.db.sweeping import Look, Missed
from moorage.jobs.queue import Running
from moorage.registry.collect import implausible
from moorage.registry.collecting import Collecting, Watch
from moorage.registry.services import Services
from moorage.registry.sessions import LONGEST

_PAGE = 500
_SLICE = 50
# What the longest upload may have written, and some time for its last request to end.
OLD = LONGEST + 2 * DAY
# More than these are for the next sweep: they cost room, and nothing else.
_MOST_ORPHANS = 100_000


async def sweep(s: Services, watch: Watch, running: Running) -> None:
    """Look at every link, manifest, blob and object once."""
    run = Collecting(s, watch, running, "sweep")

    async def work() -> None:
        for look in sweeping.LOOKS:
            await _sweep_rows(run, look)
        await _sweep_objects(run)

    await run.attempt(work)


async def _sweep_rows(run: Collecting, look: Look) -> None:
    place = (-1, 0)
    while True:

        async def read(tx: Tx, place: tuple[int, int] = place) -> list[Missed]:
            return await sweeping.list_page(tx, look, place, _PAGE)

        page = await run.s.db.read(read, pages=True)
        missed = [each for each in page if each.is_missed]
        if missed:
            run.s.telemetry.log.warning("collection missed", kind=look.kind, count=len(missed))
        await _queue(run, look.kind, missed, len(page))
        if len(page) < _PAGE:
            return
        place = (page[-1].repository_id, page[-1].number)


async def _queue(run: Collecting, kind: str, missed: Sequence[Missed], looked: int) -> None:
    """Have what was missed looked at, in a transaction that also says how far the run is."""

    async def part(tx: Tx, now: int) -> tuple[Counts, None]:
        for each in missed:
            await reviews.put_review(tx, kind, each.repository_id, each.number, now, "swept")
        return Counts(looked=looked, missed=len(missed)), None

    await run.write(part)


async def _sweep_objects(run: Collecting) -> None:
    orphans: list[Stored] = []
    page: list[Stored] = []
    looked = 0
    after = ""
    async for each in run.s.blobs.list(""):
        page.append(each)
        if len(page) == _PAGE:
            orphans += await _orphans_of(run, after, page)
            looked += len(page)
            after, page = page[-1].location, []
        if len(orphans) >= _MOST_ORPHANS:
            break
    orphans += await _orphans_of(run, after, page)
    looked += len(page)
    await _check_share(run, len(orphans), looked)
    for start in range(0, len(orphans), _SLICE):
        await _queue_orphans(run, orphans[start : start + _SLICE])


async def _orphans_of(run: Collecting, after: str, page: Sequence[Stored]) -> list[Stored]:
    """Return what is old and has no row, of what was listed before the rows are read."""
    if not page:
        return []
    old = run.now() - OLD

    async def read(tx: Tx) -> set[str]:
        return await sweeping.list_known(tx, after, page[-1].location, _PAGE)

    known = await run.s.db.read(read, pages=True)
    return [each for each in page if each.location not in known and each.changed_at < old]


async def _check_share(run: Collecting, orphans: int, looked: int) -> None:
    limits = run.s.config.collection

    async def read(tx: Tx) -> int:
        return await runs.find_allowed(tx)

    now = run.now()
    is_much = orphans > limits.stop_count and orphans * 100 > limits.stop_percent * looked
    if is_much and limits.stop_percent < 100 and await run.s.db.read(read) <= now:
        raise implausible(f"{orphans:,} of {looked:,} objects, which no row names", now)


async def _queue_orphans(run: Collecting, orphans: Sequence[Stored]) -> None:
    delay = int(run.s.config.collection.delay_hours * HOUR)

    async def part(tx: Tx, now: int) -> tuple[Counts, None]:
        queued = 0
        for each in orphans:
            queued += await sweeping.queue_orphan(tx, each.location, each.size, now + delay)
        return Counts(orphans=queued), None

    await run.write(part)
