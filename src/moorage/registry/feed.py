"""What is pushed: the newest pushes, and further ones as they come, of what somebody may read.

Nobody is told of what he may not read at the very moment when he would be told.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from moorage.auth.policy import decide
from moorage.db import access, events
from moorage.db.engine import Tx
from moorage.db.events import FeedEvent
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.oci.names import RepositoryName
from moorage.registry.services import Services

PUSHED = "manifest.pushed"
# The newest events are looked through in so many steps of so many.
_WINDOW = 200
_WINDOWS = 5
_NEWEST = 2**62


class Push(msgspec.Struct, frozen=True):
    """A manifest that was pushed, with the tags that name it from then on.

    `place` is that in the feed, 0 for one that is not in it yet. `repository_id` says which one of
    that name it was: one that is made after it was deleted has nothing of it.
    """

    place: int
    at: int
    repository: RepositoryName
    digest: str
    media_type: str
    tags: tuple[str, ...]
    repository_id: int


class _Pushed(msgspec.Struct):
    repository: str
    digest: str
    media_type: str = ""
    tags: tuple[str, ...] = ()


async def list_pushes(s: Services, actor: Actor, limit: int) -> list[Push]:
    """Return the newest pushes of tags, newest first, of the week that the feed goes back.

    A repository in which much is pushed may push others out of what is looked through.
    """
    allowed: dict[tuple[RepositoryName, int], bool] = {}

    async def read(tx: Tx) -> list[Push]:
        found: list[Push] = []
        waiting = await events.list_newest_of_outbox(tx, _WINDOW)
        await _keep(tx, actor, waiting, found, allowed)
        before = _NEWEST
        for _ in range(_WINDOWS):
            window = await events.list_feed_before(tx, before, _WINDOW)
            await _keep(tx, actor, window, found, allowed)
            if len(found) >= limit or len(window) < _WINDOW:
                break
            before = window[-1].place
        return found[:limit]

    return await s.db.read(read, pages=True)


async def follow_pushes(s: Services, actor: Actor, after: int) -> AsyncGenerator[Push | None, None]:
    """Yield pushes of tags behind the place of the feed, 0 for those from now on.

    The first is None: nothing that is pushed from then on is missed.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    async with aclosing(s.follower.follow(after)) as following:
        async for event in following:
            push = _push_of(event) if event is not None else None
            if event is None or (push and await _may_read(s, actor, push)):
                yield push


async def _may_read(s: Services, actor: Actor, push: Push) -> bool:
    async def read(tx: Tx) -> bool:
        return await _allowed(tx, actor, push)

    return await s.db.read(read)


async def _allowed(tx: Tx, actor: Actor, push: Push) -> bool:
    found = await access.find_target(tx, actor.subject, push.repository)
    decision = decide(actor, Action.PULL, RepositoryTarget(push.repository), found.facts)
    place = found.repository
    return place is not None and place.id == push.repository_id and decision.allowed


async def _keep(
    tx: Tx,
    actor: Actor,
    window: list[FeedEvent],
    found: list[Push],
    allowed: dict[tuple[RepositoryName, int], bool],
) -> None:
    for event in window:
        push = _push_of(event)
        if push is None:
            continue
        place = (push.repository, push.repository_id)
        if place not in allowed:
            allowed[place] = await _allowed(tx, actor, push)
        if allowed[place]:
            found.append(push)


def _push_of(event: FeedEvent) -> Push | None:
    if event.kind != PUSHED:
        return None
    told = msgspec.json.decode(event.payload, type=_Pushed)
    if not told.tags:
        return None
    name = RepositoryName(told.repository)
    at = (event.place, event.at)
    return Push(*at, name, told.digest, told.media_type, told.tags, event.repository_id)
