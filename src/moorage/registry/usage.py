"""What a namespace takes, and how much of that only the trash holds."""

from collections.abc import AsyncIterator, Mapping

import msgspec

from moorage.db import removals, trash, usage
from moorage.db.engine import Tx
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

    async def total(tx: Tx) -> int:
        return await usage.find_usage(tx, place.id)

    held: dict[int, int] = {}
    async for number in _removed(s, place.id):
        await _links(s, place.id, number, held, removed=True)
    async for number in _with_trash(s, place.id):
        await _links(s, place.id, number, held, removed=False)
        await _manifests(s, place.id, number, held)
    return Usage(await s.db.read(total), sum(held.values()))


async def _removed(s: Services, namespace_id: int) -> AsyncIterator[int]:
    after = 0
    while True:

        async def read(tx: Tx, after: int = after) -> list[removals.Removed]:
            return await removals.list_removed(tx, namespace_id, after, _PAGE)

        found = await s.db.read(read, pages=True)
        for each in found:
            yield each.id
        if len(found) < _PAGE:
            return
        after = found[-1].id


async def _with_trash(s: Services, namespace_id: int) -> AsyncIterator[int]:
    after = ""
    while True:

        async def read(tx: Tx, after: str = after) -> list[tuple[int, str]]:
            return await usage.list_with_trash(tx, namespace_id, after, _PAGE)

        found = await s.db.read(read, pages=True)
        for number, _ in found:
            yield number
        if len(found) < _PAGE:
            return
        after = found[-1][1]


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
    after = 0
    while True:

        async def read(tx: Tx, after: int = after) -> list[tuple[int, Mapping[int, int]]]:
            items = await trash.list_manifests(tx, repository_id, after, _PAGE)
            return [
                (each.id, await usage.held_by_manifest(tx, namespace_id, each.id)) for each in items
            ]

        found = await s.db.read(read, pages=True)
        for _, sizes in found:
            held.update(sizes)
        if len(found) < _PAGE:
            return
        after = found[-1][0]
