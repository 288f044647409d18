"""`…/-/tags`: the tags of a repository, as they are or were, and how each came to be so."""

from datetime import datetime

import msgspec

from moorage.api.call import Call, Route, moment, told_page, when
from moorage.api.caller import authenticate
from moorage.auth.policy import require
from moorage.model.access import Action, RepositoryTarget
from moorage.model.artifacts import TagChange
from moorage.model.history import TagMove, TagState
from moorage.oci.names import Tag as TagName
from moorage.registry import history, rights
from moorage.registry.services import Services
from moorage.web.response import Response


class By(msgspec.Struct, frozen=True):
    """Through what something came about; by whom is null for those who may not know."""

    through: str
    through_id: str
    actor: str | None
    credential: str | None
    request: str | None


class Tag(msgspec.Struct, frozen=True):
    """A tag: what it names, since when, and through what."""

    name: str
    digest: str
    version: int
    since: datetime | None
    by: By


class Tags(msgspec.Struct, frozen=True):
    """A page of tags, in ASCII order; one of the past may have none at all and more behind it."""

    items: list[Tag]


class Move(msgspec.Struct, frozen=True):
    """A move of a tag; without a digest before it was made, without one after it ended."""

    version: int
    at: datetime | None
    before: str | None
    after: str | None
    by: By


class Moves(msgspec.Struct, frozen=True):
    """A page of moves, newest first."""

    items: list[Move]


async def list_tags(s: Services, call: Call) -> Response:
    """Answer with a page of the tags, as they are or as they were at the time asked about."""
    name = call.repository
    actor = await authenticate(s, call)
    require(actor, Action.PULL, RepositoryTarget(name), (await rights.find(s, actor, name)).facts)
    page = call.page()
    asked = call.parameter("as_of")
    if asked:
        found = await history.list_states_at(
            s, actor, name, moment(asked, "as_of"), page.after, page.limit
        )
    else:
        found = await history.list_states(s, actor, name, page.after, page.limit)
    return told_page(call, [_tag(each) for each in found.tags], found.after or None)


async def list_moves(s: Services, call: Call) -> Response:
    """Answer with a page of the moves of a tag, newest first."""
    name = call.repository
    actor = await authenticate(s, call)
    require(actor, Action.PULL, RepositoryTarget(name), (await rights.find(s, actor, name)).facts)
    tag = TagName.parse(call.text("tag"))
    page = call.page()
    moves = await history.list_moves(s, actor, name, tag, page.after_number, page.limit)
    more = len(moves) == page.limit and moves[-1].version > 1
    return told_page(call, [_move(each) for each in moves], moves[-1].version if more else None)


def _tag(state: TagState) -> Tag:
    return Tag(state.name, state.digest or "", state.version, when(state.at), _by(state.by))


def _move(move: TagMove) -> Move:
    return Move(move.version, when(move.at), move.before, move.after, _by(move.by))


def _by(by: TagChange) -> By:
    return By(by.cause, by.cause_id, by.actor or None, by.credential or None, by.request_id or None)


ROUTES = (
    Route(
        method="GET",
        path="/repositories/{repository}/-/tags",
        name="list-tags",
        summary="The tags of a repository, as they are or were at some time",
        action=Action.PULL,
        handler=list_tags,
        gives=Tags,
        pages=True,
        query=("as_of",),
    ),
    Route(
        method="GET",
        path="/repositories/{repository}/-/tags/{tag}/history",
        name="list-tag-moves",
        summary="How a tag came to be what it is, newest first",
        action=Action.PULL,
        handler=list_moves,
        gives=Moves,
        pages=True,
    ),
)
