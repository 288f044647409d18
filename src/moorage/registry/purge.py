"""Removes content at once and for good, wherever it is: a leaked secret, a court's order.

It goes past the trash, leases, and the time that deletions wait, and rules for tags do not hold it
up: that is why only administrators may. Every repository is a transaction of its own, or several
where it has very many manifests that go; what was interrupted is begun again and goes on. The bytes
go last, when nothing leads to them any more.
"""

from collections.abc import AsyncIterator

import msgspec

from moorage.db import blobs, collection, damage, locks, naming, purge, tags, trash
from moorage.db.engine import Tx
from moorage.db.purge import Place
from moorage.db.tags import Condition, Guard
from moorage.db.walking import walk
from moorage.errors import Conflicting, NotFound
from moorage.events.outbox import Event
from moorage.model.access import Actor
from moorage.model.artifacts import Blob, TagChange
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import rights
from moorage.registry.backups import Holder, find_holders
from moorage.registry.services import Services

_PAGE = 100
# So often it is looked for again, should it be pushed while it is purged.
_ROUNDS = 5
# So many manifests go in one transaction: others want to write as well.
_SLICE = 50


class Affected(msgspec.Struct, frozen=True):
    """What goes from one repository: its manifests of that digest, or that name the blob.

    With them go indexes that name them where indexes must be whole, and all their tags.
    """

    name: RepositoryName
    manifests: tuple[Digest, ...] = ()
    tags: tuple[Tag, ...] = ()


class Purged(msgspec.Struct, frozen=True):
    """All that goes; `objects` are the files or objects with the bytes, `backups` what stays."""

    digest: Digest
    repositories: tuple[Affected, ...]
    objects: int
    backups: tuple[Holder, ...] = ()


class _Content(msgspec.Struct, frozen=True):
    """A digest, and what there is of it as a blob, by its identity."""

    digest: Digest
    identity: Digest
    blob: Blob | None


async def plan_purge(s: Services, actor: Actor, digest: Digest) -> Purged:
    """Return what a purge would remove.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is nothing of that digest.
    """
    await rights.require_administrator(s, actor)
    content = await s.db.read(lambda tx: _find(tx, digest))
    found: dict[int, Affected] = {}
    async for place, blob in _places(s, content):

        async def read(tx: Tx, place: Place = place, blob: Blob | None = blob) -> Affected:
            doomed = await _doomed(s, tx, place, content, blob)
            named = [each for number in doomed for each in await _tags(tx, place, number)]
            return _affected(place, doomed, named)

        found[place.id] = _joined(found.get(place.id), await s.db.read(read))

    async def objects(tx: Tx) -> set[str]:
        waiting = await purge.list_queued(tx, content.identity)
        return {*waiting, *await damage.list_of_digest(tx, content.identity)}

    there = await s.db.read(objects)
    if content.blob is not None:
        there.add(content.blob.location)
    if not found and not there:
        raise _nothing(digest)
    holders = await find_holders(s, await _known_as(s, content))
    return Purged(digest, tuple(found.values()), len(there), tuple(holders))


async def purge_content(
    s: Services, actor: Actor, digest: Digest, reason: str, by: TagChange
) -> Purged:
    """Remove everything of that digest, its bytes too, and return what has gone.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is nothing of that digest.
        Conflicting: it is pushed again and again while it is being removed.
    """
    await rights.require_administrator(s, actor)
    change = msgspec.structs.replace(by, cause="purge", cause_id=digest)
    done = _Purge(s, actor, digest, reason, change)
    # Before it is gone, and with it what else it is called.
    names = await _known_as(s, await s.db.read(lambda tx: _find(tx, digest)))
    for _ in range(_ROUNDS):
        if await done.go():
            holders = await find_holders(s, names)
            return msgspec.structs.replace(await done.end(), backups=tuple(holders))
    raise Conflicting(
        f"{digest} is pushed again and again while it is being removed",
        hint="Find out by whom in the audit trail, and purge it again",
    )


class _Purge:
    """A purge under way: what it has removed so far."""

    def __init__(
        self, s: Services, actor: Actor, digest: Digest, reason: str, by: TagChange
    ) -> None:
        self._s = s
        self._actor = actor
        self._digest = digest
        self._reason = reason
        self._by = by
        self._affected: dict[int, Affected] = {}
        self._locations: list[str] = []

    async def go(self) -> bool:
        """Remove it from all repositories, and then itself; False if it came to one meanwhile."""
        s = self._s
        content = await s.db.read(lambda tx: _find(tx, self._digest))
        async for place, blob in _places(s, content):

            async def write(
                tx: Tx, place: Place = place, blob: Blob | None = blob
            ) -> tuple[Affected, bool]:
                return await self._from(tx, place, content, blob)

            more = True
            while more:
                gone, more = await s.db.write(write)
                self._affected[place.id] = _joined(self._affected.get(place.id), gone)
        locations = await s.db.write(lambda tx: self._finish(tx, content))
        self._locations = locations or []
        return locations is not None

    async def end(self) -> Purged:
        """Delete the bytes; what is interrupted here, the job does that deletes what is due."""
        locations = self._locations
        await self._s.blobs.delete(locations)
        await self._s.db.write(lambda tx: blobs.end_deletes(tx, locations))
        return Purged(self._digest, tuple(self._affected.values()), len(locations))

    async def _from(
        self, tx: Tx, place: Place, content: _Content, blob: Blob | None
    ) -> tuple[Affected, bool]:
        """Remove it from one repository, in which nobody writes meanwhile; True: not all yet."""
        await self._hold(tx, place.namespace)
        now = self._s.clock.now()
        current = await purge.find_place(tx, place.id)
        if current is None:
            return Affected(place.name), False
        if blob is not None:
            await purge.take_blob(tx, content.digest)
        doomed = await _doomed(self._s, tx, place, content, blob)
        # What names others first: afterwards it would not be found by them.
        some = dict(list(doomed.items())[-_SLICE:])
        taken = {each: await collection.take_manifest(tx, place.id, each) for each in sorted(some)}
        named = [tag for number in some for tag in await _tags(tx, place, number)]
        for tag in sorted(named):
            await self._end_tag(tx, current, tag, now)
        for number in reversed(some):
            one = taken[number]
            if one is not None:
                await collection.remove_manifest(tx, one, now, "purged")
        more = len(some) < len(doomed)
        if blob is not None and not more:
            link = await collection.take_link(tx, place.id, blob.id)
            if link is not None:
                await collection.end_link(tx, link, now)
        gone = _affected(place, some, named)
        data = {
            "repository": place.name,
            "digest": self._digest,
            "manifests": list(gone.manifests),
            "tags": list(gone.tags),
            "reason": self._reason,
        }
        event = Event("content.purged", place.id, now, self._by, data, place.namespace_id)
        await self._s.events.publish(tx, event)
        return gone, more

    async def _finish(self, tx: Tx, content: _Content) -> list[str] | None:
        await self._hold(tx, "")
        now = self._s.clock.now()
        gone = await purge.end_blob(tx, self._digest)
        if gone is None and content.blob is not None:
            return None  # somebody has it again, or has just removed it
        if gone is not None:
            await blobs.queue_deletes(
                tx, {gone.location: gone.size}, now, "purged", content.identity
            )
        kept = await damage.forget_digest(tx, content.identity)
        await blobs.queue_deletes(tx, kept, now, "purged", content.identity)
        locations = await purge.hasten(tx, content.identity, now)
        if not locations and not self._affected:
            raise _nothing(self._digest)
        data = {
            "digest": self._digest,
            "repositories": len(self._affected),
            "objects": len(locations),
            "reason": self._reason,
        }
        await self._s.events.publish(tx, Event("content.purged", 0, now, self._by, data))
        return locations

    async def _hold(self, tx: Tx, namespace: str) -> None:
        if self._actor.is_signed_in:
            await locks.share_principal(tx, self._actor.subject.principal_id)
        if namespace:
            await locks.take_namespace(tx, namespace)
        await rights.allow_administrator(tx, self._actor)

    async def _end_tag(self, tx: Tx, place: Place, tag: Tag, now: int) -> None:
        await tags.delete_tag(
            tx,
            place.id,
            tag,
            condition=Condition(),
            guard=Guard(place.namespace_id, place.rules_version),
            change=self._by,
            now=now,
        )


async def _find(tx: Tx, digest: Digest) -> _Content:
    blob = await purge.find_blob(tx, digest)
    known = await blobs.list_digests(tx, blob.id) if blob is not None else ()
    identity = next((each for each in known if each.algorithm == "sha256"), digest)
    return _Content(digest, identity, blob)


async def _known_as(s: Services, content: _Content) -> set[Digest]:
    """Return the digest, and the identity of a manifest that can be asked by it."""

    async def read(tx: Tx) -> Digest | None:
        for place in await purge.list_places(tx, content.digest, 0, 0, 1):
            known = await trash.find_manifest(tx, place.id, content.digest)
            return known.identity if known is not None else None
        return None

    found = await s.db.read(read, pages=True)
    return {content.identity} | ({found} if found is not None else set())


async def _places(s: Services, content: _Content) -> AsyncIterator[tuple[Place, Blob | None]]:
    """Yield where there are manifests of the digest, then where the blob is."""
    for blob in (None, content.blob) if content.blob is not None else (None,):
        async for place in _places_with(s, content.digest, blob.id if blob is not None else 0):
            yield place, blob


def _places_with(s: Services, digest: Digest, blob_id: int) -> AsyncIterator[Place]:
    return walk(
        s.db,
        lambda tx, after, limit: purge.list_places(tx, digest, blob_id, after, limit),
        lambda each: each.id,
        0,
        _PAGE,
    )


async def _doomed(
    s: Services, tx: Tx, place: Place, content: _Content, blob: Blob | None
) -> dict[int, Digest]:
    """Return the manifests of the repository that go, live or not; what names others after them."""
    if blob is not None:
        made_of = await naming.list_of_blob(tx, place.id, blob.id)
        waiting = [(number, identity) for number, identity, _ in made_of]
    else:
        known = await trash.find_manifest(tx, place.id, content.digest)
        waiting = [(known.id, known.identity)] if known is not None else []
    doomed: dict[int, Digest] = {}
    while waiting:
        for number, identity in waiting:
            doomed.pop(number, None)
            doomed[number] = identity
        found = waiting if s.config.allow_sparse == "never" else []
        parents = [
            await naming.list_parents(tx, place.id, naming.MANIFEST, each) for each, _ in found
        ]
        waiting = sorted({(each[0], each[1]) for listed in parents for each in listed})
    return doomed


async def _tags(tx: Tx, place: Place, manifest_id: int) -> list[Tag]:
    return await tags.list_tags_of(tx, place.id, manifest_id)


def _affected(place: Place, doomed: dict[int, Digest], named: list[Tag]) -> Affected:
    return Affected(place.name, tuple(sorted(doomed.values())), tuple(sorted(named)))


def _joined(first: Affected | None, second: Affected) -> Affected:
    if first is None:
        return second
    return Affected(
        first.name,
        tuple(sorted({*first.manifests, *second.manifests})),
        tuple(sorted({*first.tags, *second.tags})),
    )


def _nothing(digest: Digest) -> NotFound:
    return NotFound(f"there is nothing of the digest {digest}, not even in the trash")
