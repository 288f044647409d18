"""What collection did and would do, why something is still there, and leave to go on.

For administrators, who look: only `start` and `resume` change anything, and remove nothing
themselves. The work is in `collect.py`.
"""

import msgspec

from moorage.clock import DAY
from moorage.db import collection_runs as rows
from moorage.db import keepers, naming, reviews
from moorage.db.collection import Link, Trashed
from moorage.db.collection_runs import Pause, Run
from moorage.db.engine import BEYOND_ALL, Tx
from moorage.db.naming import BLOB, MANIFEST
from moorage.db.reviews import Candidate
from moorage.events.outbox import Event
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.oci.digest import Digest
from moorage.registry import rights
from moorage.registry.collect import judge, judge_link, judge_manifest
from moorage.registry.collecting import keep_mark
from moorage.registry.services import Services

# So many places and names are told of one digest; there may be more.
_MOST_PLACES = 100
_MOST_NAMES = 10


class State(msgspec.Struct, frozen=True):
    """How collection stands: why it pauses, and since when the oldest candidate waits (or 0)."""

    pause: Pause | None
    waiting_since: int
    next_delete_at: int
    last: Run | None


class Planned(msgspec.Struct, frozen=True):
    """A candidate that is due now, and why it would stay; if it would go, `why` is empty."""

    kind: str
    repository: str
    digest: str
    size: int
    why: str


class Reason(msgspec.Struct, frozen=True):
    """Why something stays: `live`, `leased`, `trash`, `named` or `held`.

    Until when, if that is known; by what manifest, with some of its tags, or who holds it.
    """

    why: str
    until: int = 0
    by: str = ""
    tags: tuple[str, ...] = ()
    in_trash: bool = False


class Place(msgspec.Struct, frozen=True):
    """Content in one repository, with all that keeps it there; nothing does if it would go."""

    repository: str
    kind: str
    reasons: tuple[Reason, ...]


async def find_state(s: Services, actor: Actor) -> State:
    """Return how collection stands.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)
    now = s.clock.now()

    async def read(tx: Tx) -> State:
        last = await rows.list_runs(tx, BEYOND_ALL, 1)
        return State(
            await rows.find_pause(tx, now),
            await reviews.oldest_due(tx, now) or 0,
            await keepers.next_delete(tx),
            last[0] if last else None,
        )

    return await s.db.read(read)


async def list_runs(s: Services, actor: Actor, before: int, limit: int) -> list[Run]:
    """Return up to `limit` runs with ids below `before`, newest first; 0 begins with the newest.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)
    return await s.db.read(lambda tx: rows.list_runs(tx, before or BEYOND_ALL, limit), pages=True)


async def preview(s: Services, actor: Actor, limit: int) -> list[Planned]:
    """Return what the next run would do with the first candidates; changes nothing.

    What a manifest named is a candidate only once that is gone.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)
    now = s.clock.now()

    async def read(tx: Tx) -> list[Planned]:
        due = await reviews.list_due(tx, now, limit)
        return [await _planned(tx, each, await judge(tx, each, now)) for each in due]

    found = await s.db.read(read, pages=True)
    return [each for each in found if each.why != "gone"]


async def _planned(tx: Tx, candidate: Candidate, why: str) -> Planned:
    name = await keepers.find_name(tx, candidate.repository_id)
    digest, size = "", 0
    if candidate.kind == BLOB:
        digest, size = await keepers.name_blob(tx, candidate.number)
    elif candidate.kind == MANIFEST:
        digest, size = await keepers.name_manifest(tx, candidate.number)
    return Planned(candidate.kind, name, digest, size, why)


async def explain(s: Services, actor: Actor, digest: Digest) -> list[Place]:
    """Return where the content is, and all that keeps it in each place.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)
    now = s.clock.now()

    async def read(tx: Tx) -> list[Place]:
        places = []
        for manifest in await keepers.list_manifests(tx, digest, _MOST_PLACES):
            reasons = await _why_manifest(tx, manifest, digest, now)
            name = await keepers.find_name(tx, manifest.repository_id)
            places.append(Place(name, MANIFEST, tuple(reasons)))
        for link in await keepers.list_links(tx, digest, _MOST_PLACES):
            reasons = await _why_link(tx, link, digest, now)
            name = await keepers.find_name(tx, link.repository_id)
            places.append(Place(name, BLOB, tuple(reasons)))
        return places

    return await s.db.read(read, pages=True)


async def _why_manifest(tx: Tx, manifest: Trashed, digest: Digest, now: int) -> list[Reason]:
    found = await judge_manifest(tx, manifest, now)
    reasons = []
    if found.why in ("live", "trash"):
        tags = await keepers.list_tags(tx, manifest.repository_id, manifest.id, _MOST_NAMES)
        reasons.append(Reason(found.why, found.again_at, tags=tuple(tags)))
    named = await _named(tx, manifest.repository_id, MANIFEST, manifest.id)
    return reasons + named + await _held(tx, manifest.repository_id, digest, now)


async def _why_link(tx: Tx, link: Link, digest: Digest, now: int) -> list[Reason]:
    found = await judge_link(tx, link, now)
    reasons = []
    if found.why in ("leased", "trash"):
        reasons.append(Reason(found.why, found.again_at))
    named = await _named(tx, link.repository_id, BLOB, link.blob_id)
    return reasons + named + await _held(tx, link.repository_id, digest, now)


async def _named(tx: Tx, repository_id: int, kind: str, number: int) -> list[Reason]:
    reasons = []
    parents = await naming.list_parents(tx, repository_id, kind, number)
    for parent, identity, until in parents[:_MOST_NAMES]:
        tags = await keepers.list_tags(tx, repository_id, parent, _MOST_NAMES)
        reasons.append(Reason("named", by=identity, tags=tuple(tags), in_trash=bool(until)))
    return reasons


async def _held(tx: Tx, repository_id: int, digest: Digest, now: int) -> list[Reason]:
    holds = await keepers.list_holds(tx, repository_id, digest, now)
    return [Reason("held", each.until, f"{each.source}: {each.reason}") for each in holds]


async def start(s: Services, actor: Actor) -> None:
    """Have candidates looked at, and objects deleted that are due, as soon as there is time.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> None:
        await rights.hold_administration(tx, actor)
        for name in ("collection.review", "objects.delete"):
            await s.jobs.enqueue(tx, name, key="schedule")

    await s.db.write(write)


async def resume(s: Services, actor: Actor, by: TagChange) -> Pause | None:
    """Let collection go on; return why it had stopped.

    Where it had for the share that a run would have removed, it may remove any for a day; a clock
    or a restore says nothing of that. None if it had not stopped; then nothing is changed.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> Pause | None:
        await rights.hold_administration(tx, actor)
        now = s.clock.now()
        pause = await rows.find_pause(tx, now)
        if pause is None:
            return None
        await rows.put_pause(tx, None)
        await rows.put_times(tx, {"seen": now})
        if not pause.until:
            await rows.put_times(tx, {"allowed": now + DAY})
        data = {"reason": pause.reason}
        await s.events.publish(tx, Event("collection.resumed", 0, now, by, data))
        for name in ("collection.review", "objects.delete"):
            await s.jobs.enqueue(tx, name, key="schedule")
        return pause

    pause = await s.db.write(write)
    if pause is not None:
        await keep_mark(s, s.clock.now())
    return pause
