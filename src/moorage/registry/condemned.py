"""Removes a repository whose time in the trash is over, a part in each transaction."""

from moorage.clock import HOUR
from moorage.db import collection, condemned
from moorage.db.collection import Freed
from moorage.db.engine import Tx
from moorage.db.reviews import Candidate

_PART = 20
_CHANGES = 200


async def collect_repository(tx: Tx, candidate: Candidate, now: int, not_before: int) -> Freed:
    """Remove a part of the repository, at last itself; it stays due until nothing is left of it.

    Before a part goes, the end of its time in the trash is set before all time, whatever the clock
    says later: nobody restores a part.
    """
    found = await condemned.take_repository(tx, candidate.repository_id, now)
    if found is None:
        return Freed()
    number = found.id
    is_whole = found.trash_until > 0
    if is_whole and found.is_needed:
        await condemned.set_trash(tx, number, now + HOUR + number)
        return Freed()
    if is_whole:
        await condemned.set_trash(tx, number, -number)
    freed = Freed()
    manifests = await condemned.list_manifests(tx, number, _PART)
    for each in manifests:
        await condemned.drop_tags(tx, number, each.id)
        freed += await collection.forget_manifest(tx, each)
    links = [] if manifests else await condemned.list_links(tx, number, _PART)
    for blob_id in links:
        link = await collection.take_link(tx, number, blob_id)
        if link is not None:
            freed += await collection.remove_link(tx, link, now, not_before)
    if not manifests and not links and not await condemned.drop_changes(tx, number, _CHANGES):
        await condemned.drop_repository(tx, number, found.namespace_id)
        freed += Freed(repositories=1)
    return freed
