"""Keeps when repositories last changed, behind what happens: a push waits for none of it.

A part of the job that follows the feed (`registry/indexing.py`). Events that name tags say when
these moved; what was there before it began is read through once, the newest repositories first, and
so is everything when the feed has gone on without it. Nothing here goes back, so an event may come
twice or late.
"""

from typing import Any

import msgspec

from moorage.db import changes, search_rows
from moorage.db.changes import FEED, FILL
from moorage.db.engine import Tx
from moorage.db.events import LAST_PLACE, FeedEvent, list_feed
from moorage.jobs.queue import Running
from moorage.registry.services import Services

_EVENTS = 100
# Of repositories before other work has its turn, and of changes in a page: 20 ms.
_SLICE = 20
_MOVES = 500
_ABOVE_ALL = 2**62


async def is_done(tx: Tx, last: int) -> bool:
    """Tell whether all is read, up to that place of the feed."""
    place = await search_rows.find_state(tx, FEED)
    return place == last and await search_rows.find_state(tx, FILL) == 0


async def keep_some(s: Services, running: Running) -> bool:
    """Do the next part of what there is to do; tell whether there was anything."""

    async def read(tx: Tx) -> tuple[int | None, int, list[FeedEvent]]:
        place = await search_rows.find_state(tx, FEED)
        before = await search_rows.find_state(tx, FILL) or 0
        return place, before, await list_feed(tx, place or 0, _EVENTS)

    place, before, found = await s.db.read(read, pages=True)
    if place is None or (found and found[0].place != place + 1):
        await _begin(s, running)
        return True
    if found:
        await _follow(s, running, found)
    if before:
        await _fill(s, running, before)
    return bool(found or before)


async def _begin(s: Services, running: Running) -> None:
    """Have everything read: it never was, or the feed was cut before it was."""

    async def note(tx: Tx) -> None:
        last = await tx.one(LAST_PLACE)
        await search_rows.put_state(tx, FEED, last[0] if last else 0)
        await search_rows.put_state(tx, FILL, _ABOVE_ALL)
        await changes.begin_counting(tx, s.clock.now())

    await running.write(note)


async def _follow(s: Services, running: Running, found: list[FeedEvent]) -> None:
    moved: dict[int, int] = {}
    for event in found:
        if event.repository_id:
            known = moved.get(event.repository_id, 0)
            moved[event.repository_id] = max(known, event.at if _names_tags(event) else 0)

    async def differing(tx: Tx) -> list[tuple[int, int]]:
        return [
            (number, at) for number, at in sorted(moved.items()) if await _differs(tx, number, at)
        ]

    wanted = await s.db.read(differing, pages=True)
    for first in range(0, len(wanted), _SLICE):

        async def settle(tx: Tx, first: int = first) -> None:
            for number, at in wanted[first : first + _SLICE]:
                await _settle(tx, number, at)

        await running.write(settle)

    async def go_on(tx: Tx) -> None:
        await search_rows.put_state(tx, FEED, found[-1].place)

    await running.write(go_on)


def _names_tags(event: FeedEvent) -> bool:
    """Tell whether it moved or ended tags, as `tag_change` has it with the same time."""
    data = msgspec.json.decode(event.payload, type=dict[str, Any])
    return bool(data.get("tag") or data.get("tags"))


async def _differs(tx: Tx, number: int, at: int) -> bool:
    known = await changes.find_known(tx, number)
    if known is None:
        return False
    wanted = max(known.created_at, known.changed_at, at)
    return (known.changed_at, known.kind) != (wanted, await changes.find_kind(tx, number))


async def _settle(tx: Tx, number: int, at: int) -> None:
    known = await changes.find_known(tx, number)
    if known is not None:
        changed_at = max(known.created_at, known.changed_at, at)
        await changes.note(tx, number, changed_at, await changes.find_kind(tx, number))


async def _fill(s: Services, running: Running, before: int) -> None:
    """Read through the next repositories below that id."""

    async def following(tx: Tx) -> list[int]:
        return await changes.list_unread(tx, before, _SLICE)

    numbers = await s.db.read(following)
    for number in numbers:
        await _read_through(s, running, number)
    if not numbers:

        async def end(tx: Tx) -> None:
            await search_rows.put_state(tx, FILL, 0)

        await running.write(end)


async def _read_through(s: Services, running: Running, number: int) -> None:
    """Read one repository's history; a transaction each, for many may read it."""
    at = await _last_move(s, number)

    async def write(tx: Tx) -> None:
        await _settle(tx, number, at)
        await search_rows.put_state(tx, FILL, number)

    await running.write(write)


async def _last_move(s: Services, number: int) -> int:
    """Return when a tag of the repository last moved or ended, 0 if none ever has."""
    last, after = 0, ("", 0)
    while True:

        async def page(tx: Tx, after: tuple[str, int] = after) -> list[changes.Move]:
            return await changes.list_moves(tx, number, after, _MOVES)

        found = await s.db.read(page, pages=True)
        last = max(last, *(move.at for move in found), 0)
        if len(found) < _MOVES:
            return last
        after = (found[-1].name, found[-1].version)
