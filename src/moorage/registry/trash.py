"""The trash: how long something stays in it, and what is in it."""

from moorage.clock import DAY
from moorage.db import trash
from moorage.db.engine import Tx
from moorage.model.access import Action, Actor
from moorage.model.artifacts import Repository
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.services import Services


def kept_until(s: Services, now: int) -> int:
    """Return until when what is deleted now can be restored."""
    return now + s.config.trash_days * DAY


async def find_until(s: Services, tx: Tx, repository: Repository, digest: Digest) -> int:
    """Return until when a deleted manifest can be restored, 0 if it is there or can't any more."""
    known = await trash.find_manifest(tx, repository.id, digest)
    return known.until if known is not None and known.until > s.clock.now() else 0


async def find_deleted(s: Services, actor: Actor, name: RepositoryName, digest: Digest) -> int:
    """Return until when a manifest can be restored, for whoever may read its history.

    0 if it is there, can't be restored any more, or never was.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the repository.
        NotFound: there is no such repository.
    """

    async def read(tx: Tx) -> int:
        place = await rights.allow_repository(tx, actor, Action.PULL, name)
        return await find_until(s, tx, place, digest)

    return await s.db.read(read)


async def list_items(
    s: Services, actor: Actor, name: RepositoryName, kind: str, after: int, limit: int
) -> list[trash.Item]:
    """Return up to `limit` manifests or blobs, as `kind` says, in the repository's trash.

    They are in the order of their ids, which are above `after`.

    Raises:
        Unauthorized, NotPermitted: the actor may not delete there.
        NotFound: there is no such repository.
    """

    async def read(tx: Tx) -> list[trash.Item]:
        place = await rights.allow_repository(tx, actor, Action.DELETE, name)
        listed = trash.list_manifests if kind == "manifest" else trash.list_blobs
        return await listed(tx, place.id, after, limit)

    return await s.db.read(read, pages=True)
