"""Tags set by hand: to an image of the same repository, or to one that is copied from another.

What is copied is linked, as a mount does, and no byte of it is read. One transaction: the tag names
the image with all that belongs to it, or nothing has changed.
"""

import msgspec

from moorage.db import blobs, images, manifests, tags
from moorage.db.engine import Raced, Tx
from moorage.db.tags import FIND_TAG, Condition, Outcome
from moorage.errors import Conflicting, NotFound, PreconditionFailed
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, TagOf
from moorage.model.artifacts import Repository, TagChange
from moorage.oci.digest import Digest
from moorage.oci.manifest import Manifest, parse_manifest
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.registry import mounts, push, rights
from moorage.registry.history import COPY
from moorage.registry.images import resolve
from moorage.registry.services import Services
from moorage.registry.space import check_space
from moorage.registry.tag_guard import tag_guard

# So that one transaction comes to its end: an index and its images are far fewer.
_MOST_MANIFESTS = 200


class Tagged(msgspec.Struct, frozen=True):
    """What a tag names now and named before; `manifests` and `blobs` are those that were linked."""

    tag: Tag
    digest: Digest
    before: Digest | None
    manifests: int = 0
    blobs: int = 0


class _Copied(msgspec.Struct, frozen=True):
    """A manifest of the source, as it was pushed there."""

    digest: Digest
    raw: bytes
    manifest: Manifest


async def set_tag(  # noqa: PLR0913 - a tag, what it is to name, on what condition, by whom
    s: Services,
    actor: Actor,
    name: RepositoryName,
    tag: Tag,
    source: tuple[RepositoryName, str],
    by: TagChange,
    *,
    condition: Condition | None = None,
) -> Tagged:
    """Have the tag name what a reference names, in the same repository or another one.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the source, or not push to the tag.
        NotFound: there is no such source.
        Conflicting: it has too many manifests in it, or more than one begins so.
        PreconditionFailed: the tag is not what the condition says.
        TagProtected: a rule does not let the actor make or move the tag.
        InsufficientStorage: the disk is nearly full.
    """
    place, text = source
    found = await rights.require_repository(s, actor, Action.PULL, place)
    reference = await resolve(s, found, text)
    if place == name:
        return await _set(s, actor, name, tag, reference, by, condition=condition or Condition())
    await check_space(s)
    return await _copy(
        s, actor, name, tag, (place, reference), by, condition=condition or Condition()
    )


async def _set(  # noqa: PLR0913 - as `set_tag`
    s: Services,
    actor: Actor,
    name: RepositoryName,
    tag: Tag,
    reference: Reference,
    by: TagChange,
    *,
    condition: Condition,
) -> Tagged:
    change = msgspec.structs.replace(by, cause="set", cause_id=reference)

    async def write(tx: Tx) -> Tagged:
        found = await rights.hold(tx, actor, Action.PUSH, TagOf(name, tag))
        if found.repository is None:
            raise NotFound(f"there is no repository {name}")
        guard = await tag_guard(tx, actor, found, found.repository)
        digest = await _named(tx, found.repository, reference)
        held = await manifests.hold_live(tx, found.repository.id, digest)
        if held is None:
            raise NotFound(f"{name} has no {reference}")
        before = await _before(tx, found.repository, tag)
        now = s.clock.now()
        outcome = await tags.put_tag(
            tx,
            found.repository.id,
            tag,
            held[0],
            digest,
            condition=condition,
            guard=guard.of(tag),
            change=change,
            now=now,
        )
        guard.check(tag, outcome)
        if outcome is Outcome.REFUSED:
            raise PreconditionFailed(f"{name}:{tag} is not what the condition says")
        made = Tagged(tag, digest, before)
        if outcome is Outcome.CHANGED:
            await s.events.publish(tx, _event(found.repository, made, name, change, now))
        return made

    return await s.db.write(write)


async def _copy(  # noqa: PLR0913 - as `set_tag`
    s: Services,
    actor: Actor,
    name: RepositoryName,
    tag: Tag,
    source: tuple[RepositoryName, Reference],
    by: TagChange,
    *,
    condition: Condition,
) -> Tagged:
    place, reference = source
    change = msgspec.structs.replace(by, cause=COPY, cause_id=f"{place} {reference}")

    async def write(tx: Tx) -> Tagged:
        found = await rights.hold(tx, actor, Action.PUSH, TagOf(name, tag))
        there = await rights.allow_repository(tx, actor, Action.PULL, place)
        now = s.clock.now()
        listed = await _listed(tx, there, await _named(tx, there, reference))
        target = await rights.made(s, tx, found, TagOf(name, tag))
        guard = await tag_guard(tx, actor, found, target)
        before = await _before(tx, target, tag)
        linked = await _link(s, tx, there, target, listed, now)
        copied = 0
        for each in listed:
            named = (tag,) if each is listed[-1] else ()
            wanted = push.prepare(name, each.raw, each.manifest, each.digest, named, condition)
            added, _ = await push.store(s, tx, guard, wanted, change, now)
            copied += added
        return Tagged(tag, listed[-1].digest, before, copied, linked)

    return await s.db.write(write)


async def _named(tx: Tx, repository: Repository, reference: Reference) -> Digest:
    if isinstance(reference, Digest):
        return reference
    row = await tx.one(FIND_TAG, repository_id=repository.id, name=reference)
    if row is None:
        raise NotFound(f"{repository.name} has no tag {reference}")
    return Digest.from_key(row[1])


async def _before(tx: Tx, repository: Repository, tag: Tag) -> Digest | None:
    row = await tx.one(FIND_TAG, repository_id=repository.id, name=tag)
    return Digest.from_key(row[1]) if row is not None else None


async def _listed(tx: Tx, repository: Repository, digest: Digest) -> list[_Copied]:
    """Return the manifest, and before it all that it lists and the repository has.

    What one of them lists comes before it. None of it goes before the transaction ends.
    """
    seen: set[Digest] = set()
    found: list[_Copied] = []

    async def visit(each: Digest) -> None:
        seen.add(each)
        if len(seen) > _MOST_MANIFESTS:
            raise Conflicting(
                f"{digest} lists more than {_MOST_MANIFESTS} manifests",
                hint="Copy its parts first",
            )
        known = await manifests.hold_live(tx, repository.id, each)
        row = await images.find_shown(tx, known[0]) if known is not None else None
        if row is None:
            return  # an index may lack some of what it lists, or list blobs
        manifest = parse_manifest(row.raw, row.media_type)
        for listed in manifest.manifests:
            if listed.digest not in seen:
                await visit(listed.digest)
        found.append(_Copied(each, row.raw, manifest))

    await visit(digest)
    if not found or found[-1].digest != digest:
        raise NotFound(f"{repository.name} has no manifest {digest}")
    return found


async def _link(
    s: Services,
    tx: Tx,
    source: Repository,
    target: Repository,
    listed: list[_Copied],
    now: int,
) -> int:
    """Link what the manifests name into the target; return how much was not there."""
    wanted: set[Digest] = set()
    for each in listed:
        parts = [*each.manifest.layers, *each.manifest.manifests]
        wanted.update(part.digest for part in parts)
        if each.manifest.config is not None:
            wanted.add(each.manifest.config.digest)
    linked = 0
    for digest in sorted(wanted - {each.digest for each in listed}, key=lambda each: each.key):
        if await blobs.has_linked(tx, target.id, digest):
            continue
        if not await blobs.has_linked(tx, source.id, digest):
            continue  # foreign, or absent: the push says whether that will do
        await blobs.take_blob(tx, digest)
        blob = await blobs.hold_linked(tx, source.id, digest)
        if blob is None:
            raise Raced
        known = await blobs.list_digests(tx, blob.id)
        await mounts.link(s, tx, target, blob.id, known, blob.size, now=now)
        linked += 1
    return linked


def _event(
    repository: Repository, made: Tagged, source: RepositoryName, by: TagChange, now: int
) -> Event:
    data = {
        "repository": repository.name,
        "tag": made.tag,
        "digest": made.digest,
        "before": made.before,
        "source": f"{source} {by.cause_id}",
    }
    return Event.of(repository, "tag.set", now, by, data)
