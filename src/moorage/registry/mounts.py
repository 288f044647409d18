"""Mounts: a blob of one repository becomes another's as well (distribution-spec, end-11)."""

import msgspec

from moorage.auth.policy import decide
from moorage.db import access, blobs, locks, manifests
from moorage.db.access import Found
from moorage.db.engine import Raced, Tx
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.artifacts import Repository
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName
from moorage.registry.pull import lease_of
from moorage.registry.rights import hold_for_push
from moorage.registry.services import Services

# How many repositories are looked at where none is named. So few that the time they take tells
# nobody who else has the blob.
_MAX_HOLDERS = 4


async def mount(
    s: Services, actor: Actor, name: RepositoryName, digest: Digest, source: RepositoryName | None
) -> bool:
    """Link a blob of another repository that the caller may read; False when there is none.

    Without a source, it is looked for in the namespace; all over the registry only for who may
    read all of it. Never tells a caller that content exists where it may not read, neither by the
    answer nor by its time (security: no oracle).
    """
    # A bearer token was asked for the target alone; the source is a matter of its subject's rights.
    reader = msgspec.structs.replace(actor, bound=None)

    async def read(tx: Tx) -> list[Found]:
        if source is None:
            return await _holders(tx, actor, name, digest)
        return [await access.find_target(tx, actor.subject, source)]

    readable = [
        found.repository
        for found in await s.db.read(read)
        if found.repository is not None
        and decide(
            reader, Action.PULL, RepositoryTarget(found.repository.name), found.facts
        ).allowed
    ]
    now = s.clock.now()

    async def write(tx: Tx) -> bool:
        for holder in readable:
            if await blobs.has_linked(tx, holder.id, digest):
                target = await hold_for_push(s, tx, actor, RepositoryTarget(name))
                await blobs.take_blob(tx, digest)
                blob = await blobs.hold_linked(tx, holder.id, digest)
                if blob is None:
                    raise Raced
                known = await blobs.list_digests(tx, blob.id)
                await link(s, tx, target, blob.id, known, blob.size, now=now)
                return True
        return False

    return bool(readable) and await s.db.write(write)


async def _holders(tx: Tx, actor: Actor, name: RepositoryName, digest: Digest) -> list[Found]:
    near = await blobs.list_holders(
        tx, actor.subject, digest, _MAX_HOLDERS, namespace=name.namespace
    )
    reads_all = actor.kind == "local"
    if actor.is_signed_in and actor.scopes is None:
        reads_all = (await access.find_standing(tx, actor.subject)).standing > 1
    if not reads_all:
        return near
    return near + await blobs.list_holders(tx, actor.subject, digest, _MAX_HOLDERS)


async def link(  # noqa: PLR0913 - the two ends of a link, and when
    s: Services,
    tx: Tx,
    repository: Repository,
    blob_id: int,
    known: tuple[Digest, ...],
    size: int,
    *,
    now: int,
) -> None:
    """Make the blob, which the caller has taken, the repository's; tell who waited for it."""
    await locks.lock_content(tx, repository.id, known)
    await blobs.link_blob(tx, repository, blob_id, size, now, now + lease_of(s))
    for digest in known:
        await manifests.resolve(tx, repository.id, digest, "blob", blob_id)
