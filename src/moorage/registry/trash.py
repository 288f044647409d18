"""The trash: how long something stays in it, and what is in it."""

from moorage.clock import DAY
from moorage.db import trash
from moorage.db.engine import Tx
from moorage.model.access import Action, Actor
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.services import Services


def kept_until(s: Services, now: int) -> int:
    """Return until when what is deleted now can be restored."""
    return now + s.config.trash_days * DAY


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
