"""Accepts a manifest: everything it changes is one transaction (distribution-spec, end-7)."""

from collections.abc import Iterator, Sequence

import msgspec

from moorage.db import blobs, locks, manifests, tags
from moorage.db.engine import Tx
from moorage.db.manifests import Child
from moorage.db.tags import Condition, Outcome
from moorage.errors import (
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    PreconditionFailed,
    SizeInvalid,
)
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.artifacts import Repository, TagChange
from moorage.oci.descriptor import Descriptor, listed
from moorage.oci.digest import Digest, digest_of
from moorage.oci.manifest import Manifest
from moorage.oci.names import RepositoryName, Tag
from moorage.registry.rights import hold, made
from moorage.registry.services import Services
from moorage.registry.space import check_space
from moorage.registry.tag_guard import TagGuard, tag_guard


class Push(msgspec.Struct, frozen=True):
    """A manifest as it was sent: its bytes, what they say, and how it is to be called."""

    name: RepositoryName
    raw: bytes
    manifest: Manifest
    digest: Digest
    identity: Digest
    tags: tuple[Tag, ...]
    condition: Condition


def prepare(
    name: RepositoryName,
    raw: bytes,
    manifest: Manifest,
    digest: Digest | None,
    named: tuple[Tag, ...],
    condition: Condition,
) -> Push:
    """Return the push with its digests computed here, whatever the client says of them.

    Raises:
        DigestInvalid: the bytes do not have the digest of the address.
    """
    identity = digest_of(raw)
    if digest is not None and digest_of(raw, digest.algorithm) != digest:
        raise DigestInvalid(
            f"the manifest sent has not the digest {digest}",
            detail={"digest": digest, "sha256": identity},
        )
    return Push(name, raw, manifest, digest or identity, identity, named, condition)


async def put_manifest(s: Services, actor: Actor, push: Push, by: TagChange) -> None:
    """Store the manifest and move its tags: all of it, or nothing.

    Raises:
        ManifestBlobUnknown: it names content that the repository does not have.
        ManifestInvalid: the same bytes are here already under another media type.
        PreconditionFailed: a tag is not what the condition says.
        TagProtected: a rule does not let the actor make or move a tag.
    """
    await check_space(s)
    target = RepositoryTarget(push.name)

    async def write(tx: Tx) -> None:
        now = s.clock.now()
        found = await hold(tx, actor, Action.PUSH, target)
        repository = await made(s, tx, found, target)
        guard = await tag_guard(tx, actor, found, repository)
        await store(s, tx, guard, push, by, now)

    await s.db.write(write)


async def store(
    s: Services, tx: Tx, guard: TagGuard, push: Push, by: TagChange, now: int
) -> tuple[bool, list[Tag]]:
    """Do all of that in a transaction that holds the right; what it names is in the repository.

    Return whether the manifest is new there, and which tags have moved. Raises as `put_manifest`.
    """
    number, added = await _put(s, tx, guard.repository, push, now)
    moved = [
        tag
        for tag in sorted(push.tags)  # always in one order, so that no two pushes deadlock
        if await _put_tag(tx, guard, number, push, tag, by=by, now=now)
    ]
    if added or moved:
        await s.events.publish(tx, _pushed(guard.repository, push, moved, by, now))
    return added, moved


async def _put(
    s: Services, tx: Tx, repository: Repository, push: Push, now: int
) -> tuple[int, bool]:
    arriving = {push.identity, push.digest}
    lacking = {
        descriptor.digest for _, descriptor, may_lack in _named(s, push.manifest) if may_lack
    }
    await locks.lock_content(tx, repository.id, arriving | lacking)
    children = await _resolve(s, tx, repository, push.manifest)
    known = await manifests.take_any(tx, repository.id, push.identity)
    if known is not None:
        number, media_type, trash_until = known
        if media_type != push.manifest.media_type:
            raise ManifestInvalid(f"these bytes are here already as {media_type}")
        if trash_until:
            await manifests.revive(tx, number)
        added = bool(trash_until)
    else:
        number = await _add(tx, repository, push, children, now)
        added = True
    for digest in sorted(arriving):
        await manifests.add_digest(tx, repository.id, number, digest, push.identity)
    return number, added


async def _add(
    tx: Tx, repository: Repository, push: Push, children: Sequence[Child], now: int
) -> int:
    manifest = push.manifest
    subject: Digest | None = None
    descriptor = b""
    if manifest.subject is not None:
        found = await manifests.hold_live(tx, repository.id, manifest.subject.digest)
        subject = found[2] if found else manifest.subject.digest
        descriptor = listed(
            manifest.media_type,
            push.digest,
            len(push.raw),
            manifest.artifact_type,
            manifest.annotations,
        )
    number = await manifests.add_manifest(
        tx,
        repository.id,
        push.identity,
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        subject=subject,
        listed=descriptor,
        raw=push.raw,
        now=now,
    )
    await manifests.add_references(tx, repository.id, number, children)
    return number


def _named(s: Services, manifest: Manifest) -> Iterator[tuple[str, Descriptor, bool]]:
    """Yield what the manifest names in its own order: role, descriptor, and if it may be absent."""
    layers_may_lack = s.config.allow_sparse == "always"
    index_may_lack = s.config.allow_sparse != "never"
    if manifest.config is not None:
        yield "config", manifest.config, layers_may_lack
    for descriptor in manifest.layers:
        yield "layer", descriptor, layers_may_lack
    for descriptor in manifest.manifests:
        yield "manifest", descriptor, index_may_lack
    if manifest.subject is not None:
        yield "subject", manifest.subject, True


async def _resolve(s: Services, tx: Tx, repository: Repository, manifest: Manifest) -> list[Child]:
    """Return what the manifest names, in its own order; none of it goes before the transaction."""
    named = list(_named(s, manifest))
    found: dict[int, Child] = {}
    # Rows are locked in the order of their keys, so that no two pushes wait for each other.
    for place in sorted(range(len(named)), key=lambda each: named[each][1].digest.key):
        role, descriptor, _ = named[place]
        look = _find_blob if role in ("config", "layer") else _find_manifest
        found[place] = await look(tx, repository, role, descriptor)
    children = [found[place] for place in range(len(named))]
    missing = [
        child.digest
        for child, (_, _, may_lack) in zip(children, named, strict=True)
        if child.kind == "absent" and not may_lack
    ]
    if missing:
        raise ManifestBlobUnknown(tuple(dict.fromkeys(missing)))
    return children


async def _find_blob(tx: Tx, repository: Repository, role: str, descriptor: Descriptor) -> Child:
    blob = await blobs.hold_linked(tx, repository.id, descriptor.digest)
    if blob is not None:
        _check_size(descriptor, blob.size)
        return Child(role, descriptor.digest, "blob", blob.id)
    kind = "foreign" if descriptor.may_be_absent else "absent"
    return Child(role, descriptor.digest, kind, 0)


async def _find_manifest(
    tx: Tx, repository: Repository, role: str, descriptor: Descriptor
) -> Child:
    """Look for a manifest, then for a blob: build caches list layers in an index."""
    found = await manifests.hold_live(tx, repository.id, descriptor.digest)
    if found is None:
        return await _find_blob(tx, repository, role, descriptor)
    number, size, _ = found
    _check_size(descriptor, size)
    return Child(role, descriptor.digest, "manifest", number)


def _check_size(descriptor: Descriptor, size: int) -> None:
    if descriptor.size != size:
        raise SizeInvalid(
            f"{descriptor.digest} has {size} bytes, the manifest says {descriptor.size}",
            detail={"digest": descriptor.digest, "size": size},
        )


async def _put_tag(  # noqa: PLR0913 - a tag, where it goes, by whom
    tx: Tx,
    guard: TagGuard,
    manifest_id: int,
    push: Push,
    tag: Tag,
    *,
    by: TagChange,
    now: int,
) -> bool:
    outcome = await tags.put_tag(
        tx,
        guard.repository.id,
        tag,
        manifest_id,
        push.digest,
        condition=push.condition,
        guard=guard.of(tag),
        change=by,
        now=now,
    )
    guard.check(tag, outcome)
    if outcome is Outcome.REFUSED:
        raise PreconditionFailed(f"{push.name}:{tag} is not what the condition says")
    return outcome is Outcome.CHANGED


def _pushed(
    repository: Repository, push: Push, moved: Sequence[Tag], by: TagChange, now: int
) -> Event:
    data = {
        "repository": push.name,
        "digest": push.digest,
        "media_type": push.manifest.media_type,
        "artifact_type": push.manifest.artifact_type,
        "size": len(push.raw),
        "tags": list(moved),
    }
    return Event("manifest.pushed", repository.id, now, by, data, repository.namespace_id)
