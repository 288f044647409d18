"""Takes tags, manifests and blobs out of sight for who asks; bytes go later, by collection.

(distribution-spec, end-9 and end-10.)
"""

import msgspec

from moorage.db import blobs, manifests, naming, tags
from moorage.db.engine import Tx
from moorage.db.tags import Condition, Outcome
from moorage.errors import (
    BlobUnknown,
    ManifestUnknown,
    NameUnknown,
    PreconditionFailed,
    Unsupported,
)
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.artifacts import Repository, TagChange
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.registry.rights import hold
from moorage.registry.services import Services
from moorage.registry.tag_guard import TagGuard, tag_guard
from moorage.registry.trash import kept_until


async def delete_tag(
    s: Services,
    actor: Actor,
    name: RepositoryName,
    tag: Tag,
    condition: Condition,
    by: TagChange,
) -> None:
    """Delete one tag; the manifest that it named stays.

    Raises:
        ManifestUnknown: there is no such tag.
        PreconditionFailed: it is not what the condition says.
        TagProtected: a rule does not let the actor delete it.
    """

    async def write(tx: Tx) -> None:
        guard = await hold_tags(tx, actor, name)
        outcome = await end_tag(s, tx, guard, tag, condition, by)
        guard.check(tag, outcome)
        if outcome is Outcome.REFUSED:
            raise PreconditionFailed(f"{name}:{tag} is not what the condition says")
        if outcome is Outcome.UNCHANGED:
            raise ManifestUnknown(f"{name} has no tag {tag}", detail={"name": name, "tag": tag})

    await s.db.write(write)


async def end_tag(
    s: Services, tx: Tx, guard: TagGuard, tag: Tag, condition: Condition, by: TagChange
) -> Outcome:
    """Delete a tag if condition and rules let it, in the transaction that holds the right to.

    Only what has changed is told of.
    """
    repository, now = guard.repository, s.clock.now()
    outcome = await tags.delete_tag(
        tx,
        repository.id,
        tag,
        condition=condition,
        guard=guard.of(tag),
        change=msgspec.structs.replace(by, cause="delete"),
        now=now,
    )
    if outcome is Outcome.CHANGED:
        data = {"repository": repository.name, "tag": tag}
        await s.events.publish(tx, Event.of(repository, "tag.deleted", now, by, data))
    return outcome


async def delete_manifest(
    s: Services, actor: Actor, name: RepositoryName, digest: Digest, by: TagChange
) -> None:
    """Put a manifest into the trash and delete all its tags.

    Raises:
        ManifestUnknown: there is no such manifest.
        Unsupported: an index names it, and indexes must be whole here, as they must wherever
            there are rules for tags: what a tag stands for would go in pieces.
        TagProtected: a rule does not let the actor delete one of the tags.
    """

    async def write(tx: Tx) -> None:
        guard = await hold_tags(tx, actor, name)
        repository = guard.repository
        number = await manifests.take_live(tx, repository.id, digest)
        if number is None:
            raise ManifestUnknown(f"{name} has no manifest {digest}", detail={"digest": digest})
        if s.config.allow_sparse == "never" or guard.rules:
            await _refuse_if_named(tx, repository, "manifest", number, digest)
        now = s.clock.now()
        named = sorted(await tags.list_tags_of(tx, repository.id, number))
        for tag in named:
            outcome = await tags.delete_tag(
                tx,
                repository.id,
                tag,
                condition=Condition(),
                guard=guard.of(tag),
                change=msgspec.structs.replace(by, cause="delete", cause_id=digest),
                now=now,
            )
            guard.check(tag, outcome)
        await manifests.trash(tx, number, kept_until(s, now))
        data = {"repository": name, "digest": digest, "tags": list(named)}
        await s.events.publish(tx, Event.of(repository, "manifest.deleted", now, by, data))

    await s.db.write(write)


async def delete_blob(
    s: Services, actor: Actor, name: RepositoryName, digest: Digest, by: TagChange
) -> None:
    """Take a blob from this repository; others that have it keep it.

    Raises:
        BlobUnknown: the repository has no such blob.
        Unsupported: a manifest of the repository names it.
    """

    async def write(tx: Tx) -> None:
        found = await hold(tx, actor, Action.DELETE, RepositoryTarget(name))
        repository = found.repository
        blob = await blobs.take_linked(tx, repository.id, digest) if repository else None
        if repository is None or blob is None:
            raise BlobUnknown(f"{name} has no blob {digest}", detail={"digest": digest})
        await _refuse_if_named(tx, repository, "blob", blob.id, digest)
        now = s.clock.now()
        await blobs.trash_link(tx, repository.id, blob.id, kept_until(s, now))
        data = {"repository": name, "digest": digest}
        await s.events.publish(tx, Event.of(repository, "blob.deleted", now, by, data))

    await s.db.write(write)


async def hold_tags(tx: Tx, actor: Actor, name: RepositoryName) -> TagGuard:
    """Decide once more on deleting, and return what the rules for tags say of it.

    Raises:
        Unauthorized, NotPermitted: the right has gone since the request was let in.
        NameUnknown: there is no such repository.
    """
    found = await hold(tx, actor, Action.DELETE, RepositoryTarget(name))
    if found.repository is None:
        raise NameUnknown(f"there is no repository {name}", detail={"name": name})
    return await tag_guard(tx, actor, found, found.repository)


async def _refuse_if_named(
    tx: Tx, repository: Repository, kind: str, number: int, digest: Digest
) -> None:
    parent = await naming.find_parent(tx, repository.id, kind, number)
    if parent is not None:
        raise Unsupported(
            f"{repository.name} still has the manifest {parent}, which names {digest}",
            detail={"digest": digest, "parent": parent},
            hint="Delete that manifest first",
            headers={"Allow": "GET, HEAD"},
        )
