"""Collection: removes what nothing names any more, while everything else goes on.

Candidates are what lost a reference, or whose lease or time in the trash has ended; cost goes by
them, never by what is there. Each is judged again in the transaction that removes it, once its
rows are taken: whoever was about to name it is done, and seen, or finds it gone. The bytes go
later (`registry/deleting.py`). docs/explanation/collection.md has the rules, the tests their model.

Here is what a review judges and removes. What a run is, and what stops it, is in `collecting.py`;
what administrators see and say of it in `collection.py`.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from moorage.clock import DAY, HOUR
from moorage.db import collection, keepers, reviews
from moorage.db import collection_runs as runs
from moorage.db.collection import Freed
from moorage.db.collection_runs import Counts, Pause
from moorage.db.engine import Tx
from moorage.db.naming import BLOB, MANIFEST
from moorage.db.reviews import REPOSITORY, Candidate
from moorage.jobs.queue import Running
from moorage.registry.collecting import Collecting, Stopped, Watch
from moorage.registry.condemned import collect_repository
from moorage.registry.services import Services

# Each transaction of a job is to keep the right to write for 20 ms at most.
SLICE = 50
_PAGE = 500
# More are not counted to know whether it is a plausible share.
_MOST_COUNTED = 10_000_000
# What is held is looked at again after this time, whoever lets it go.
_HELD = DAY


class Judged(msgspec.Struct, frozen=True):
    """What became of a candidate: what was removed, or why it stays and when it is due again.

    Why is `gone`, `leased`, `trash`, `named`, `held`, `live` or, if it goes, empty.
    """

    why: str = ""
    freed: Freed = Freed()
    again_at: int = 0


async def review(s: Services, watch: Watch, running: Running) -> None:
    """Look at every candidate that is due, and remove what nothing keeps.

    What the removal of manifests leaves without a name is a candidate at once, and comes by the
    next turn.
    """
    run = Collecting(s, watch, running, "review")

    async def work() -> None:
        while await _turn(run):
            pass
        await _tell_waiting(s)

    await run.attempt(work)


async def _turn(run: Collecting) -> bool:
    """Remove what is due now; False once nothing is. A turn that is implausible is none."""
    now = run.now()
    due = await _list_due(run.s, now, SLICE)
    if not due:
        return False
    is_whole = any(each.kind == REPOSITORY and each.due > 0 for each in due)
    if is_whole or len(due) > min(run.s.config.collection.stop_count, SLICE - 1):
        await check_share(run.s, now)
    while due:
        some = due

        async def part(
            tx: Tx, at: int, some: Sequence[Candidate] = some
        ) -> tuple[Counts, Counter[str]]:
            return await collect_some(run.s, tx, some, at)

        kept = await run.write(part)
        for why, count in kept.items():
            run.s.telemetry.metrics.collection.kept.labels(why).inc(count)
        # Up to the time of the turn: what it leaves behind is for the next.
        due = await _list_due(run.s, now, SLICE)
    return True


async def _list_due(s: Services, now: int, limit: int) -> list[Candidate]:
    return await s.db.read(lambda tx: reviews.list_due(tx, now, limit))


async def collect_some(
    s: Services, tx: Tx, candidates: Sequence[Candidate], now: int
) -> tuple[Counts, Counter[str]]:
    """Judge candidates again and remove those that nothing keeps; return why the others stay."""
    freed = Freed()
    kept: Counter[str] = Counter()
    not_before = now + int(s.config.collection.delay_hours * HOUR)
    for each in await _in_order(tx, candidates):
        if each.kind == BLOB:
            found = await collect_blob(tx, each, now, not_before)
        elif each.kind == MANIFEST:
            found = await collect_manifest(tx, each, now)
        else:
            found = Judged("", await collect_repository(tx, each, now, not_before))
        freed += found.freed
        if found.why:
            kept[found.why] += 1
    return Counts(looked=len(candidates), kept=kept.total(), freed=freed), kept


async def _in_order(tx: Tx, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates as everybody takes rows: blobs as a push does, by their digests."""
    names: dict[int, str] = {}
    for each in candidates:
        if each.kind == BLOB:
            names[each.number], _ = await keepers.name_blob(tx, each.number)
    kinds = (REPOSITORY, BLOB, MANIFEST)
    return sorted(
        candidates,
        key=lambda one: (
            kinds.index(one.kind),
            names.get(one.number, "") if one.kind == BLOB else "",
            one.number,
            one.repository_id,
        ),
    )


async def collect_blob(tx: Tx, candidate: Candidate, now: int, not_before: int) -> Judged:
    """Take the blob from the repository unless something keeps it; from the registry, if last."""
    link = await collection.take_link(tx, candidate.repository_id, candidate.number)
    if link is None:
        freed = Freed()
        if not candidate.repository_id:
            freed = await collection.remove_stray_blob(tx, candidate.number, now, not_before)
        await reviews.end_review(tx, candidate)
        return Judged("" if freed.blobs else "gone", freed)
    found = await judge_link(tx, link, now)
    await reviews.end_review(tx, candidate)
    if found.why:
        if link.lease_until != found.again_at:
            await collection.look_later(tx, link, found.again_at)
        return found
    return Judged("", await collection.remove_link(tx, link, now, not_before))


async def collect_manifest(tx: Tx, candidate: Candidate, now: int) -> Judged:
    """Remove the manifest unless something keeps it."""
    trashed = await collection.take_manifest(tx, candidate.repository_id, candidate.number)
    if trashed is None:
        await reviews.end_review(tx, candidate)
        return Judged("gone")
    found = await judge_manifest(tx, trashed, now)
    await reviews.end_review(tx, candidate)
    if found.again_at:
        await reviews.put_review(
            tx, MANIFEST, trashed.repository_id, trashed.id, found.again_at, found.why
        )
    if found.why:
        return found
    return Judged("", await collection.remove_manifest(tx, trashed, now))


async def judge_link(tx: Tx, link: collection.Link, now: int) -> Judged:
    """Return whether something keeps the blob in the repository, and when that may have ended."""
    if link.lease_until > now and link.lease_until > link.trash_until:
        return Judged("leased", again_at=link.lease_until)
    if link.trash_until > now:
        return Judged("trash", again_at=link.trash_until)
    if link.lease_until > now:
        return Judged("leased", again_at=link.lease_until)
    why = await collection.what_keeps_blob(tx, link.repository_id, link.blob_id, now)
    return Judged(why, again_at=now + _HELD if why == "held" else 0)


async def judge_manifest(tx: Tx, trashed: collection.Trashed, now: int) -> Judged:
    """Return whether something keeps the manifest, and when that may have ended."""
    if not trashed.trash_until:
        return Judged("live")
    if trashed.trash_until > now:
        return Judged("trash", again_at=trashed.trash_until)
    why = await collection.what_keeps_manifest(tx, trashed.repository_id, trashed.id, now)
    return Judged(why, again_at=now + _HELD if why == "held" else 0)


async def judge(tx: Tx, candidate: Candidate, now: int) -> str:
    """Return why a candidate would stay, empty if it would go; changes nothing."""
    if candidate.kind == BLOB:
        link = await collection.find_link(tx, candidate.repository_id, candidate.number)
        return (await judge_link(tx, link, now)).why if link is not None else "gone"
    if candidate.kind == MANIFEST:
        found = await collection.find_manifest(tx, candidate.repository_id, candidate.number)
        return (await judge_manifest(tx, found, now)).why if found is not None else "gone"
    return ""


async def check_share(s: Services, now: int) -> None:
    """Do nothing where what would go is a plausible part of what is there.

    Only a turn with very many candidates or with whole repositories is counted beforehand, and of
    what stays no more than is needed to know.

    Raises:
        Stopped: it is not.
    """
    limits = s.config.collection
    behind: Candidate | None = None
    going: Counter[str] = Counter()
    while True:

        async def look(
            tx: Tx, behind: Candidate | None = behind
        ) -> tuple[list[Candidate], Counter[str]]:
            page = await reviews.list_due(tx, now, _PAGE, behind)
            found: Counter[str] = Counter()
            for each in page:
                found += await _share_of(tx, each, now)
            return page, found

        page, found = await s.db.read(look, pages=True)
        going += found
        if len(page) < _PAGE:
            break
        behind = page[-1]
    for kind, count in ((BLOB, going[BLOB]), (MANIFEST, going[MANIFEST])):
        if count > limits.stop_count:
            await _compare(s, kind, count, now)


async def _share_of(tx: Tx, candidate: Candidate, now: int) -> Counter[str]:
    """Return how many blobs and manifests would go with the candidate."""
    if await judge(tx, candidate, now):
        return Counter()
    if candidate.kind != REPOSITORY:
        return Counter([candidate.kind])
    links, manifests = await runs.count_content(tx, candidate.repository_id, _MOST_COUNTED)
    return Counter({BLOB: links, MANIFEST: manifests})


async def _compare(s: Services, kind: str, count: int, now: int) -> None:
    percent = s.config.collection.stop_percent
    most = count * 100 // percent + 1

    async def read(tx: Tx) -> tuple[int, int]:
        counted = runs.count_links if kind == BLOB else runs.count_manifests
        return await counted(tx, most), await runs.find_allowed(tx)

    total, allowed = await s.db.read(read, pages=True)
    if count * 100 > percent * total and allowed <= now and percent < 100:
        raise implausible(f"{count:,} of {total:,} {kind}s", now)


def implausible(share: str, now: int) -> Stopped:
    """Return what stops a run that would remove such a share, until somebody says that it may."""
    return Stopped(Pause(f"a run would have removed {share}", now, 0), is_new=True)


async def _tell_waiting(s: Services) -> None:
    now = s.clock.now()
    since = await s.db.read(lambda tx: reviews.oldest_due(tx, now))
    s.telemetry.metrics.collection.waiting.set((now - since) / 1000 if since is not None else 0)
