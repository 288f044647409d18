"""The weekly check of everything: what no queue had, and objects that nothing names.

It removes nothing by itself. What it finds is queued, judged as any other candidate, and counted:
but for objects that a crash left behind, it should find nothing.
"""

from collections.abc import Sequence

import msgspec

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


class _Found(msgspec.Struct, frozen=True):
    """Objects that no row names: those that may go, and how many stay since they are older."""

    orphans: list[Stored]
    older: int

    def __add__(self, other: "_Found") -> "_Found":
        return _Found(self.orphans + other.orphans, self.older + other.older)


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
    found = _Found([], 0)
    page: list[Stored] = []
    looked = 0
    after = ""
    begin = await run.s.db.read(sweeping.find_begin)
    async for each in run.s.blobs.list(""):
        page.append(each)
        if len(page) == _PAGE:
            found += await _look_for_rows(run, after, page, begin)
            looked += len(page)
            after, page = page[-1].location, []
        if len(found.orphans) >= _MOST_ORPHANS:
            break
    found += await _look_for_rows(run, after, page, begin)
    looked += len(page)
    if found.older:
        run.s.telemetry.log.warning("objects older than the database", count=found.older)
    await _check_share(run, len(found.orphans), looked)
    for start in range(0, len(found.orphans), _SLICE):
        await _queue_orphans(run, found.orphans[start : start + _SLICE])


async def _look_for_rows(
    run: Collecting, after: str, page: Sequence[Stored], begin: int | None
) -> _Found:
    """Return what is old and has no row, of what was listed before the rows are read.

    What is older than the database stays: it is the content of one that was lost, or another's.
    """
    if not page:
        return _Found([], 0)
    old = run.now() - OLD
    known = await run.s.db.read(
        lambda tx: sweeping.list_known(tx, after, page[-1].location, _PAGE), pages=True
    )
    rowless = [each for each in page if each.location not in known and each.changed_at < old]
    orphans = [each for each in rowless if begin is not None and each.changed_at >= begin]
    return _Found(orphans, len(rowless) - len(orphans))


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
