"""How tags came to be what they are: pages of moves, and of all tags as they are or once were."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from moorage.auth.policy import decide, knows_people, require
from moorage.db import access, history, tags
from moorage.db.access import Found
from moorage.db.engine import BEYOND_ALL, Tx
from moorage.errors import NotFound
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.artifacts import TagChange
from moorage.model.history import EndedTag, TagMove, TagState
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.registry.services import Services

COPY = "copy"
# A page of the past goes through tags that there were not then; so many times, of so many.
_WINDOW = 500
_WINDOWS = 4
Told = TypeVar("Told", TagMove, TagState, EndedTag)


class Ended(msgspec.Struct, frozen=True):
    """Tags that there are no more, in ASCII order; `after` is as that of `States`."""

    tags: list[EndedTag]
    after: str


class States(msgspec.Struct, frozen=True):
    """Tags in ASCII order; `after` begins the next page, empty behind the last.

    A page of the past may have fewer tags than were asked for, or none, and more behind it.
    """

    tags: list[TagState]
    after: str


async def list_moves(
    s: Services, actor: Actor, name: RepositoryName, tag: Tag, before: int, limit: int
) -> list[TagMove]:
    """Return up to `limit` moves of the tag with versions below `before`, newest first; 0: all.

    Whoever may read the repository sees them; who did it is told as `by_for` says.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the repository.
        NotFound: there is no such repository, or never was such a tag.
    """

    async def read(tx: Tx) -> list[TagMove]:
        found, number = await _find(tx, actor, name)
        moves = await history.list_moves(tx, number, tag, before or BEYOND_ALL, limit)
        if not moves and not before:
            raise NotFound(f"{name} has no tag {tag}, and never had")
        return [_for(actor, name, found, each) for each in moves]

    return await s.db.read(read, pages=True)


async def list_states(
    s: Services, actor: Actor, name: RepositoryName, after: str, limit: int
) -> States:
    """Return up to `limit` tags behind `after`, as they are.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the repository.
        NotFound: there is no such repository.
    """

    async def read(tx: Tx) -> States:
        found, number = await _find(tx, actor, name)
        states = await history.list_states(tx, number, after, limit + 1)
        page = [_for(actor, name, found, each) for each in states[:limit]]
        return States(page, page[-1].name if len(states) > limit else "")

    return await s.db.read(read, pages=True)


async def list_states_at(
    s: Services, actor: Actor, name: RepositoryName, moment: int, after: str, limit: int
) -> States:
    """Return up to `limit` tags behind `after`, as they were at that moment.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the repository.
        NotFound: there is no such repository.
    """

    async def read(tx: Tx) -> tuple[Found, list[TagState]]:
        found, number = await _find(tx, actor, name)
        return found, await history.list_states_at(tx, number, moment, after, _WINDOW)

    page: list[TagState] = []
    for _ in range(_WINDOWS):
        found, states = await s.db.read(read, pages=True)
        for each in states:
            after = each.name
            if each.digest is not None:
                page.append(_for(actor, name, found, each))
                if len(page) == limit:
                    return States(page, after)
        if len(states) < _WINDOW:
            return States(page, "")
    return States(page, after)


async def list_ended(
    s: Services, actor: Actor, name: RepositoryName, after: str, limit: int
) -> Ended:
    """Return up to `limit` tags behind `after` that were deleted and not made anew.

    A page may have fewer, or none, and more behind it.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the repository.
        NotFound: there is no such repository.
    """

    async def read(tx: Tx) -> Ended:
        found, number = await _find(tx, actor, name)
        states = await history.list_states_at(tx, number, BEYOND_ALL, after, _WINDOW)
        ended: list[EndedTag] = []
        for each in states:
            end = await history.find_end(tx, number, each.name) if each.digest is None else None
            if end is not None:
                ended.append(_for(actor, name, found, end))
                if len(page) + len(ended) == limit:
                    return Ended(ended, end.name)
        return Ended(ended, states[-1].name if len(states) == _WINDOW else "")

    page: list[EndedTag] = []
    for _ in range(_WINDOWS):
        made = await s.db.read(read, pages=True)
        page, after = page + made.tags, made.after
        if len(page) == limit or not after:
            break
    return Ended(page, after)


async def find_digests(
    s: Services, actor: Actor, name: RepositoryName, wanted: Sequence[Tag]
) -> dict[Tag, Digest]:
    """Return what those of the tags name now that there are.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the repository.
        NotFound: there is no such repository.
    """

    async def read(tx: Tx) -> dict[Tag, Digest]:
        _, number = await _find(tx, actor, name)
        found = {each: await tags.find_tag(tx, number, each) for each in wanted}
        return {each: digest for each, digest in found.items() if digest is not None}

    return await s.db.read(read)


async def _find(tx: Tx, actor: Actor, name: RepositoryName) -> tuple[Found, int]:
    found = await access.find_target(tx, actor.subject, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    if found.repository is None:
        raise NotFound(f"there is no repository {name}")
    return found, found.repository.id


def _for(actor: Actor, name: RepositoryName, found: Found, told: Told) -> Told:
    """Return what the actor is told of it: by what credential is for those who see the trail."""
    return msgspec.structs.replace(told, by=by_for(actor, name, found, told.by))


def by_for(actor: Actor, name: RepositoryName, found: Found, by: TagChange) -> TagChange:
    """Return what the actor is told of how something in the repository came about."""
    if not decide(actor, Action.AUDIT, RepositoryTarget(name), found.facts).allowed:
        # What was copied has the name of another repository, which may be for others.
        by = TagChange(by.actor, "", "", by.cause, "" if by.cause == COPY else by.cause_id)
    if not knows_people(actor, found.facts):
        by = TagChange("", by.credential, by.request_id, by.cause, by.cause_id)
    return by
