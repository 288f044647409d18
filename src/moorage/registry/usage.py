"""What a namespace takes, and how much of that only the trash holds."""

from collections.abc import Mapping

import msgspec

from moorage.db import removals, trash, usage
from moorage.db.engine import Tx
from moorage.db.walking import walk
from moorage.model.access import Action, Actor
from moorage.registry import rights
from moorage.registry.services import Services

_PAGE = 200


class Usage(msgspec.Struct, frozen=True):
    """Bytes of blobs, each counted once in the namespace; `trash` is free when the trash is."""

    bytes: int
    trash: int


async def namespace_usage(s: Services, actor: Actor, name: str) -> Usage:
    """Return what the namespace takes. It takes as long as there is trash in it.

    Raises:
        Unauthorized, NotPermitted: the actor may not read all of it.
        NotFound: there is no such namespace.
    """
    place = await rights.require_namespace(s, actor, Action.PULL, name)

    held: dict[int, int] = {}
    async for removed in walk(
        s.db,
        lambda tx, after, limit: removals.list_removed(tx, place.id, after, limit),
        lambda each: each.id,
        0,
        _PAGE,
    ):
        await _links(s, place.id, removed.id, held, removed=True)
    async for number, _ in walk(
        s.db,
        lambda tx, after, limit: usage.list_with_trash(tx, place.id, after, limit),
        lambda each: each[1],
        "",
        _PAGE,
    ):
        await _links(s, place.id, number, held, removed=False)
        await _manifests(s, place.id, number, held)
    total = await s.db.read(lambda tx: usage.find_usage(tx, place.id))
    return Usage(total, sum(held.values()))


async def _links(
    s: Services, namespace_id: int, repository_id: int, held: dict[int, int], *, removed: bool
) -> None:
    after = 0
    while True:

        async def read(tx: Tx, after: int = after) -> tuple[Mapping[int, int], int]:
            return await usage.held_by_links(
                tx, namespace_id, repository_id, after, _PAGE, removed=removed
            )

        found, after = await s.db.read(read, pages=True)
        held.update(found)
        if not after:
            return


async def _manifests(
    s: Services, namespace_id: int, repository_id: int, held: dict[int, int]
) -> None:
    async def read(tx: Tx, after: int, limit: int) -> list[tuple[int, Mapping[int, int]]]:
        items = await trash.list_manifests(tx, repository_id, after, limit)
        return [
            (each.id, await usage.held_by_manifest(tx, namespace_id, each.id)) for each in items
        ]

    async for _, sizes in walk(s.db, read, lambda each: each[0], 0, _PAGE):
        held.update(sizes)
