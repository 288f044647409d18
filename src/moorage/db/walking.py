"""All rows of a list that is read in pages, each page in a transaction of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from moorage.db.engine import Database, Tx

Item = TypeVar("Item")
Key = TypeVar("Key")


async def walk(
    db: Database,
    list_some: Callable[[Tx, Key, int], Awaitable[Sequence[Item]]],
    key: Callable[[Item], Key],
    after: Key,
    limit: int,
) -> AsyncIterator[Item]:
    """Yield what is listed behind a key, up to `limit` of it at once; `key` is an item's own."""
    while True:

        async def read(tx: Tx, after: Key = after) -> Sequence[Item]:
            return await list_some(tx, after, limit)

        page = await db.read(read, pages=True)
        for each in page:
            yield each
        if len(page) < limit:
            return
        after = key(page[-1])
