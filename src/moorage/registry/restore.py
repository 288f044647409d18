"""Undoes deletions and moves: a restore is a change like others, and nothing is rewritten.

A manifest comes back with all that it names. Until the end of its time in the trash its parts are
there: collection keeps what a manifest in the trash names.
"""

import msgspec

from moorage.auth.policy import require
from moorage.db import blobs, history, locks, manifests, tags, trash
from moorage.db.access import Found
from moorage.db.engine import BEYOND_ALL, Tx
from moorage.db.tags import Condition, Outcome
from moorage.db.trash import Part, Trashed
from moorage.errors import Conflicting, NotFound, PreconditionFailed
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, RepositoryTarget, TagOf
from moorage.model.artifacts import Repository, TagChange
from moorage.model.history import TagMove
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.registry.rights import hold
from moorage.registry.services import Services
from moorage.registry.tag_guard import TagGuard, tag_guard

# So that one transaction comes to its end: an index and its parts are far fewer.
_MOST_MANIFESTS = 1_000


class Restored(msgspec.Struct, frozen=True):
    """What came back: manifests by their identities, and how many blobs; none if all was there."""

    digest: Digest
    manifests: tuple[Digest, ...] = ()
    blobs: int = 0


class RestoredTag(msgspec.Struct, frozen=True):
    """A tag that names again what it did; `before` is what it named just before, if anything."""

    tag: Tag
    digest: Digest
    before: Digest | None
    manifests: tuple[Digest, ...] = ()


class _Found(msgspec.Struct):
    """What a restore of a manifest has to do with; each with the end of its trash."""

    manifests: dict[int, int]
    links: dict[int, int]
    gone: list[Part]


async def restore_manifest(
    s: Services, actor: Actor, name: RepositoryName, digest: Digest, by: TagChange
) -> Restored:
    """Take a manifest out of the trash, and what it names with it; its tags are not restored.

    Raises:
        Unauthorized, NotPermitted: the actor may not delete there.
        NotFound: there is no such repository, or nothing of that digest in its trash.
        Conflicting: a part of it is gone for good.
    """

    async def write(tx: Tx) -> Restored:
        found = await hold(tx, actor, Action.DELETE, RepositoryTarget(name))
        repository = _present(found, name)
        known = await trash.find_manifest(tx, repository.id, digest)
        if known is None:
            raise _over(digest)
        if not known.until:
            return Restored(known.identity)
        now = s.clock.now()
        restored = await _revive(s, tx, repository, known, now)
        data = {
            "repository": name,
            "digest": restored.digest,
            "manifests": list(restored.manifests),
            "blobs": restored.blobs,
        }
        event = Event.of(repository, "manifest.restored", now, by, data)
        await s.events.publish(tx, event)
        return restored

    return await s.db.write(write)


async def restore_tag(  # noqa: PLR0913 - a tag, what it is to be, by whom
    s: Services,
    actor: Actor,
    name: RepositoryName,
    tag: Tag,
    by: TagChange,
    *,
    digest: Digest | None = None,
    version: int = 0,
    condition: Condition | None = None,
) -> RestoredTag:
    """Have a tag name what it named before: by digest or version, else before its last move.

    A manifest in the trash comes back with it, for those who may delete. Rules for tags hold.

    Raises:
        Unauthorized, NotPermitted: the actor may not push, or not take the manifest from the trash.
        NotFound: there is no such repository, the tag never named that, or it is gone for good.
        Conflicting: the tag was just made, so there is nothing before that.
        PreconditionFailed: the tag is not what the condition says.
        TagProtected: a rule does not let the actor make or move the tag.
    """

    async def write(tx: Tx) -> RestoredTag:
        found = await hold(tx, actor, Action.PUSH, TagOf(name, tag))
        repository = _present(found, name)
        guard = await tag_guard(tx, actor, found, repository)
        move = await _wanted(tx, repository, tag, digest, version)
        assert move.after is not None  # noqa: S101 - `_wanted` returns no end
        known = await trash.find_manifest(tx, repository.id, move.after)
        if known is None:
            raise NotFound(f"{move.after} is gone for good", hint="Push it again")
        now = s.clock.now()
        restored = Restored(known.identity)
        if known.until:
            require(actor, Action.DELETE, RepositoryTarget(name), found.facts)
            restored = await _revive(s, tx, repository, known, now)
        else:
            await trash.take_manifests(tx, [(known.id, 0)])
        newest = await history.list_moves(tx, repository.id, tag, BEYOND_ALL, 1)
        change = msgspec.structs.replace(by, cause="restore", cause_id=str(move.version))
        outcome = await tags.put_tag(
            tx,
            repository.id,
            tag,
            known.id,
            move.after,
            condition=condition or Condition(),
            guard=guard.of(tag),
            change=change,
            now=now,
        )
        _check(guard, tag, outcome)
        made = RestoredTag(tag, move.after, newest[0].after, restored.manifests)
        if outcome is Outcome.CHANGED or restored.manifests:
            await s.events.publish(tx, _restored(repository, made, change, now))
        return made

    return await s.db.write(write)


def _check(guard: TagGuard, tag: Tag, outcome: Outcome) -> None:
    guard.check(tag, outcome)
    if outcome is Outcome.REFUSED:
        raise PreconditionFailed(f"{guard.repository.name}:{tag} is not what the condition says")


def _restored(repository: Repository, made: RestoredTag, by: TagChange, now: int) -> Event:
    data = {
        "repository": repository.name,
        "tag": made.tag,
        "digest": made.digest,
        "before": made.before,
        "version": int(by.cause_id),
        "manifests": list(made.manifests),
    }
    return Event.of(repository, "tag.restored", now, by, data)


async def _wanted(
    tx: Tx, repository: Repository, tag: Tag, digest: Digest | None, version: int
) -> TagMove:
    """Return the move by which the tag came to name what it is to name again."""
    place = f"{repository.name}:{tag}"
    newest = await history.list_moves(tx, repository.id, tag, BEYOND_ALL, 1)
    if not newest:
        raise NotFound(f"there is no tag {place}, and never was")
    if digest is not None:
        named = await history.find_move_to(tx, repository.id, tag, digest)
        if named is None:
            raise NotFound(f"{place} never named {digest}")
        return named
    last = newest[0].version
    wanted = version or last - 1
    found = await history.list_moves(tx, repository.id, tag, wanted + 1, 1) if wanted else []
    if not found or found[0].version != wanted:
        if version:
            raise NotFound(f"{place} has no version {version}")
        raise Conflicting(
            f"{place} has named nothing else before", hint="Delete it to be rid of it"
        )
    if found[0].after is None:
        raise Conflicting(
            f"{place} named nothing at version {wanted}",
            hint="Say which digest or version it is to be",
        )
    return found[0]


async def _revive(
    s: Services, tx: Tx, repository: Repository, known: Trashed, now: int
) -> Restored:
    """Take the manifest and what it names out of the trash, and note what is there again."""
    if known.until <= now:
        raise _over(known.identity)
    found = await _look(tx, known)
    trashed = {number for number, until in found.manifests.items() if until}
    digests = {number: await trash.list_digests(tx, number) for number in sorted(trashed)}
    arriving = {each for listed in digests.values() for each in listed}
    lost = [number for number, until in found.links.items() if until]
    content = {number: await blobs.list_digests(tx, number) for number in sorted(lost)}
    arriving |= {each for listed in content.values() for each in listed}
    await locks.lock_content(tx, repository.id, arriving | {part.digest for part in found.gone})
    await trash.take_links(tx, repository.id, found.links.items())
    await trash.take_manifests(tx, found.manifests.items())
    await _settle(s, tx, repository, found.gone)
    for number, listed in content.items():
        await trash.revive_link(tx, repository.id, number)
        for digest in listed:
            await manifests.resolve(tx, repository.id, digest, "blob", number)
    restored = []
    for number, named in digests.items():
        identity = next(each for each in named if each.algorithm == "sha256")
        await manifests.revive(tx, number)
        for each in named:
            await manifests.add_digest(tx, repository.id, number, each, identity)
        restored.append(identity)
    return Restored(known.identity, tuple(restored), len(content))


async def _look(tx: Tx, known: Trashed) -> _Found:
    found = _Found({known.id: known.until}, {}, [])
    waiting = [known.id]
    while waiting:
        for part in await trash.list_parts(tx, waiting.pop()):
            if part.until is None:
                found.gone.append(part)
            elif part.kind == "blob":
                found.links[part.child_id] = part.until
            elif part.kind == "manifest" and part.child_id not in found.manifests:
                found.manifests[part.child_id] = part.until
                if part.until:
                    waiting.append(part.child_id)
        if len(found.manifests) > _MOST_MANIFESTS:
            raise Conflicting(
                f"{known.identity} has more than {_MOST_MANIFESTS} manifests in it",
                hint="Restore its parts first",
            )
    return found


async def _settle(s: Services, tx: Tx, repository: Repository, gone: list[Part]) -> None:
    """Note of parts that are gone that they have come back by a push, or may be absent.

    Raises:
        Conflicting: some are gone for good that must be there.
    """
    missing = []
    for part in sorted(gone, key=lambda part: part.digest.key):
        kind, number = await _pushed_again(tx, repository, part)
        needed = "always" if part.role in ("config", "layer") else "indexes"
        if not number and s.config.allow_sparse not in (needed, "always"):
            missing.append(part.digest)
        await trash.set_part(tx, part, kind, number)
    if missing:
        told = ", ".join(sorted(set(missing))[:3])
        raise Conflicting(
            f"what it names is gone for good: {told}",
            hint="Push it again",
        )


async def _pushed_again(tx: Tx, repository: Repository, part: Part) -> tuple[str, int]:
    blob = await blobs.hold_linked(tx, repository.id, part.digest)
    if blob is not None:
        return "blob", blob.id
    if part.role not in ("config", "layer"):
        found = await manifests.hold_live(tx, repository.id, part.digest)
        if found is not None:
            return "manifest", found[0]
    return "absent", 0


def _over(digest: Digest) -> NotFound:
    """Return what to raise alike whether collection has come to it or not."""
    return NotFound(
        f"there is no manifest {digest} in the trash, or its time there is over",
        hint="Push it again",
    )


def _present(found: Found, name: RepositoryName) -> Repository:
    if found.repository is None:
        raise NotFound(f"there is no repository {name}")
    return found.repository
