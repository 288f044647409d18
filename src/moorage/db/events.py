"""The outbox of events, the feed that one job makes of it, and the audit trail."""

import msgspec
import sqlalchemy as sa

from moorage.db.engine import BEYOND_ALL, EMPTY, ONE, ZERO, Query, Tx
from moorage.db.locks import lock_feed
from moorage.db.schema import audit, event_feed, event_outbox


class FeedEvent(msgspec.Struct, frozen=True):
    """An event with its place in the feed, 0 while it is in the outbox; `payload` is JSON."""

    place: int
    kind: str
    repository_id: int
    payload: bytes
    at: int


ADD_EVENT = Query(
    "add_event",
    sa.insert(event_outbox).values(
        kind=sa.bindparam("kind"),
        repository_id=sa.bindparam("repository_id"),
        payload=sa.bindparam("payload"),
        at=sa.bindparam("now"),
    ),
)
ADD_AUDIT = Query(
    "add_audit",
    sa.insert(audit).values(
        at=sa.bindparam("now"),
        actor=sa.bindparam("actor"),
        credential=sa.bindparam("credential"),
        request_id=sa.bindparam("request_id"),
        action=sa.bindparam("action"),
        repository_id=sa.bindparam("repository_id"),
        namespace_id=sa.bindparam("namespace_id"),
        address=sa.bindparam("address"),
        detail=sa.bindparam("detail"),
        seal=EMPTY,
        place=ZERO,
    ),
)
LIST_OUTBOX = Query(
    "list_outbox",
    sa.select(
        event_outbox.c.id,
        event_outbox.c.kind,
        event_outbox.c.repository_id,
        event_outbox.c.payload,
        event_outbox.c.at,
    )
    .order_by(event_outbox.c.id)
    .limit(sa.bindparam("limit")),
)
END_OUTBOX = Query(
    "end_outbox",
    sa.delete(event_outbox).where(event_outbox.c.id == sa.bindparam("event_id")),
)
LAST_PLACE = Query(
    "last_feed_place",
    sa.select(event_feed.c.place).order_by(event_feed.c.place.desc()).limit(ONE),
)
ADD_TO_FEED = Query(
    "add_to_feed",
    sa.insert(event_feed).values(
        place=sa.bindparam("place"),
        kind=sa.bindparam("kind"),
        repository_id=sa.bindparam("repository_id"),
        payload=sa.bindparam("payload"),
        at=sa.bindparam("now"),
    ),
)
LIST_NEWEST_OF_OUTBOX = Query(
    "list_newest_of_outbox",
    sa.select(
        ZERO.label("place"),
        event_outbox.c.kind,
        event_outbox.c.repository_id,
        event_outbox.c.payload,
        event_outbox.c.at,
    )
    .where(event_outbox.c.id < sa.bindparam("before"))
    .order_by(event_outbox.c.id.desc())
    .limit(sa.bindparam("limit")),
)
_FEED = sa.select(
    event_feed.c.place,
    event_feed.c.kind,
    event_feed.c.repository_id,
    event_feed.c.payload,
    event_feed.c.at,
)
LIST_FEED = Query(
    "list_feed",
    _FEED.where(event_feed.c.place > sa.bindparam("after"))
    .order_by(event_feed.c.place)
    .limit(sa.bindparam("limit")),
)
LIST_FEED_BEFORE = Query(
    "list_feed_before",
    _FEED.where(event_feed.c.place < sa.bindparam("before"))
    .order_by(event_feed.c.place.desc())
    .limit(sa.bindparam("limit")),
)
LIST_OLD_PLACES = Query(
    "list_old_feed_places",
    sa.select(event_feed.c.place)
    .where(event_feed.c.at < sa.bindparam("before"))
    .order_by(event_feed.c.at)
    .limit(sa.bindparam("limit")),
)
END_PLACE = Query(
    "end_feed_place",
    sa.delete(event_feed).where(event_feed.c.place == sa.bindparam("feed_place")),
)


async def add_event(tx: Tx, kind: str, repository_id: int, payload: bytes, now: int) -> None:
    """Put an event into the outbox, in the transaction of what it tells."""
    await tx.run(ADD_EVENT, kind=kind, repository_id=repository_id, payload=payload, now=now)


async def add_audit(  # noqa: PLR0913 - one row
    tx: Tx,
    *,
    actor: str,
    credential: str,
    request_id: str,
    action: str,
    repository_id: int,
    detail: bytes,
    now: int,
    namespace_id: int = 0,
    address: str = "",
) -> None:
    """Write down who did what from where, in the transaction that did it.

    Ids are 0 for what concerns no repository, and no namespace.
    """
    await tx.run(
        ADD_AUDIT,
        actor=actor,
        credential=credential,
        request_id=request_id,
        action=action,
        repository_id=repository_id,
        namespace_id=namespace_id,
        address=address,
        detail=detail,
        now=now,
    )


async def fan_out(tx: Tx, limit: int) -> int:
    """Move up to `limit` events from the outbox to the feed, in order; return how many.

    The feed's places are without gaps, also when two jobs do this at once: while one runs, the
    schedule may enqueue the next, and another replica may claim that.
    """
    await lock_feed(tx)
    waiting = await tx.many(LIST_OUTBOX, limit=limit)
    last = await tx.one(LAST_PLACE)
    place = last[0] if last else 0
    for number, kind, repository_id, payload, at in waiting:
        place += 1
        await tx.run(
            ADD_TO_FEED,
            place=place,
            kind=kind,
            repository_id=repository_id,
            payload=payload,
            now=at,
        )
        await tx.run(END_OUTBOX, event_id=number)
    return len(waiting)


async def has_outbox(tx: Tx) -> bool:
    """Tell whether anything is in the outbox that is not in the feed yet."""
    return await tx.one(LIST_OUTBOX, limit=1) is not None


async def last_place(tx: Tx) -> int:
    """Return the place of the feed's newest event, 0 if there has been none."""
    last = await tx.one(LAST_PLACE)
    return last[0] if last else 0


async def list_newest_of_outbox(tx: Tx, limit: int) -> list[FeedEvent]:
    """Return up to `limit` events that are not in the feed yet, newest first."""
    return [
        FeedEvent(*row)
        for row in await tx.many(LIST_NEWEST_OF_OUTBOX, before=BEYOND_ALL, limit=limit)
    ]


async def list_feed(tx: Tx, after: int, limit: int) -> list[FeedEvent]:
    """Return up to `limit` events of the feed behind the place, in order."""
    return [FeedEvent(*row) for row in await tx.many(LIST_FEED, after=after, limit=limit)]


async def list_feed_before(tx: Tx, before: int, limit: int) -> list[FeedEvent]:
    """Return up to `limit` events of the feed before the place, newest first."""
    return [FeedEvent(*row) for row in await tx.many(LIST_FEED_BEFORE, before=before, limit=limit)]


async def trim_feed(tx: Tx, before: int, limit: int) -> int:
    """Forget up to `limit` events older than `before`, but never the newest; return how many."""
    newest = await tx.one(LAST_PLACE)
    old = await tx.many(LIST_OLD_PLACES, before=before, limit=limit)
    ended = [place for (place,) in old if newest is None or place != newest[0]]
    for place in ended:
        await tx.run(END_PLACE, feed_place=place)
    return len(ended)
