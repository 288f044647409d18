"""What is pushed: the newest pushes, and further ones as they come, of what somebody may read.

Nobody is told of what he may not read at the very moment when he would be told.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from moorage.auth.policy import decide
from moorage.db import access, events, manifests
from moorage.db.engine import Tx
from moorage.db.events import FeedEvent
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.oci.digest import Digest
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
    that name it was: one that is made after it was deleted has nothing of it. `is_deleted` says
    that the manifest has been deleted since.
    """

    place: int
    at: int
    repository_id: int
    repository: RepositoryName
    digest: Digest
    media_type: str
    tags: tuple[str, ...]
    is_deleted: bool = False


class _Pushed(msgspec.Struct):
    repository: str
    digest: str
    media_type: str = ""
    tags: tuple[str, ...] = ()


async def list_pushes(s: Services, actor: Actor, limit: int) -> list[Push]:
    """Return the newest pushes of tags, newest first, of the week that the feed goes back.

    A repository in which much is pushed may push others out of what is looked through.
    """
    readable: dict[RepositoryName, int] = {}

    async def read(tx: Tx) -> list[Push]:
        found: list[Push] = []
        waiting = await events.list_newest_of_outbox(tx, _WINDOW)
        await _keep(tx, actor, waiting, found, readable)
        before = _NEWEST
        for _ in range(_WINDOWS):
            window = await events.list_feed_before(tx, before, _WINDOW)
            await _keep(tx, actor, window, found, readable)
            if len(found) >= limit or len(window) < _WINDOW:
                break
            before = window[-1].place
        return await _as_they_are(tx, found[:limit])

    return await s.db.read(read, pages=True)


async def find_place(s: Services) -> int:
    """Return the place of the feed's newest event, 0 if there has been none.

    A page that asks for it first, and then follows from there, misses nothing of what comes between
    its making and its listening.
    """
    return await s.db.read(events.last_place)


async def follow_pushes(
    s: Services, actor: Actor, after: int | None, address: str
) -> AsyncGenerator[Push | None, None]:
    """Yield pushes of tags behind the place of the feed, None for those from now on.

    One whose manifest has been deleted since is left out: whoever comes back late would get a row
    that leads nowhere. The first is None: nothing that is pushed from then on is missed.
    `address` is where the actor asks from.

    Raises:
        TooManyRequests: as many follow as may, or as may of the actor or from there.
        StoreUnavailable: the database does not answer.
    """
    async with aclosing(s.follower.follow(after, actor, address)) as following:
        async for event in following:
            push = _push_of(event) if event is not None else None
            if event is None or (push and await _is_shown(s, actor, push)):
                yield push


async def _is_shown(s: Services, actor: Actor, push: Push) -> bool:
    async def read(tx: Tx) -> bool:
        if await _readable(tx, actor, push.repository) != push.repository_id:
            return False
        return await manifests.find_live(tx, push.repository_id, push.digest) is not None

    return await s.db.read(read)


async def _readable(tx: Tx, actor: Actor, name: RepositoryName) -> int:
    """Return the id of the repository that has the name, 0 if the actor may read none there."""
    found = await access.find_target(tx, actor.subject, name)
    decision = decide(actor, Action.PULL, RepositoryTarget(name), found.facts)
    return found.repository.id if found.repository is not None and decision.allowed else 0


async def _keep(
    tx: Tx,
    actor: Actor,
    window: list[FeedEvent],
    found: list[Push],
    readable: dict[RepositoryName, int],
) -> None:
    """Add the pushes of the window that the actor may read.

    What was pushed to a repository that is gone is nothing of the one that has its name now.
    """
    for event in window:
        push = _push_of(event)
        if push is None:
            continue
        name = push.repository
        if name not in readable:
            readable[name] = await _readable(tx, actor, name)
        if readable[name] == push.repository_id:
            found.append(push)


async def _as_they_are(tx: Tx, pushes: list[Push]) -> list[Push]:
    """Return the pushes, each with whether its manifest is still there."""
    is_there: dict[tuple[int, Digest], bool] = {}
    for push in pushes:
        key = (push.repository_id, push.digest)
        if key not in is_there:
            is_there[key] = await manifests.find_live(tx, *key) is not None
    return [
        msgspec.structs.replace(each, is_deleted=not is_there[each.repository_id, each.digest])
        for each in pushes
    ]


def _push_of(event: FeedEvent) -> Push | None:
    if event.kind != PUSHED:
        return None
    told = msgspec.json.decode(event.payload, type=_Pushed)
    if not told.tags:
        return None
    return Push(
        event.place,
        event.at,
        event.repository_id,
        RepositoryName(told.repository),
        Digest.parse(told.digest),
        told.media_type,
        told.tags,
    )
