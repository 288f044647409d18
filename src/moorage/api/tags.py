"""`…/-/tags`: the tags of a repository, as they are or were, and how each came to be so."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, moment, told, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import Digest
from moorage.api.image_types import By, told_by
from moorage.auth.policy import require
from moorage.errors import Invalid
from moorage.model.access import Action, RepositoryTarget, TagOf
from moorage.model.history import EndedTag, TagMove, TagState
from moorage.oci.digest import Digest as Parsed
from moorage.oci.names import Tag as TagName
from moorage.registry import history, restore, rights
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class Tag(msgspec.Struct, frozen=True):
    """A tag: what it names, since when, and through what.

    Of one that was deleted it is what it named, since when it does not, and through what;
    `is_deleted` says that the image which it names, or named then, has been deleted since.
    """

    name: str
    digest: str
    version: int
    since: datetime | None
    by: By
    is_deleted: bool


class Tags(msgspec.Struct, frozen=True):
    """A page of tags, in ASCII order; one of the past may have none at all and more behind it."""

    items: list[Tag]


class Move(msgspec.Struct, frozen=True):
    """A move of a tag; without a digest before it was made, without one after it ended.

    What either names may have been deleted since.
    """

    version: int
    at: datetime | None
    before: str | None
    after: str | None
    by: By
    before_is_deleted: bool
    after_is_deleted: bool


class RestoreTag(Ask, frozen=True):
    """What a tag is to name again: of its history, by digest or by version, and not by both.

    With neither it is what it named before its last move.
    """

    digest: Digest | None = None
    version: Annotated[int, Meta(ge=1, le=10**15)] | None = None


class RestoredTag(msgspec.Struct, frozen=True):
    """A tag as it is again, and what it named just before; `manifests` came out of the trash."""

    name: str
    digest: str
    before: str | None
    manifests: list[str]


class Moves(msgspec.Struct, frozen=True):
    """A page of moves, newest first."""

    items: list[Move]


async def list_tags(s: Services, call: Call) -> Response:
    """Answer with a page of the tags as they are or were then, or of those that were deleted."""
    name = call.repository
    actor = await authenticate(s, call)
    require(actor, Action.PULL, RepositoryTarget(name), (await rights.find(s, actor, name)).facts)
    page = call.page()
    asked, deleted = call.parameter("as_of"), call.parameter("deleted")
    if deleted not in ("", "true", "false") or (asked and deleted == "true"):
        raise Invalid("deleted is true or false, and not true together with as_of")
    if deleted == "true":
        ended = await history.list_ended(s, actor, name, page.after, page.limit)
        return told_page(call, [_tag(each) for each in ended.tags], ended.after or None)
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


async def restore_tag(s: Services, call: Call) -> Response:
    """Have a tag name again what it did before."""
    name, tag = call.repository, TagName.parse(call.text("tag"))
    actor = await authenticate(s, call)
    require(actor, Action.PUSH, TagOf(name, tag), (await rights.find(s, actor, name)).facts)
    asked = await call.asked(RestoreTag)
    if asked.digest is not None and asked.version is not None:
        raise Invalid("a digest or a version, and not both")
    made = await restore.restore_tag(
        s,
        actor,
        name,
        tag,
        change_by(actor, call.request),
        digest=Parsed.parse(asked.digest) if asked.digest is not None else None,
        version=asked.version or 0,
    )
    return told(200, RestoredTag(made.tag, made.digest, made.before, list(made.manifests)))


def _tag(state: TagState | EndedTag) -> Tag:
    return Tag(
        state.name,
        state.digest or "",
        state.version,
        when(state.at),
        told_by(state.by),
        state.is_deleted,
    )


def _move(move: TagMove) -> Move:
    return Move(
        move.version,
        when(move.at),
        move.before,
        move.after,
        told_by(move.by),
        move.before_is_deleted,
        move.after_is_deleted,
    )


ROUTES = (
    Route(
        method="GET",
        path="/repositories/{repository}/-/tags",
        name="list-tags",
        summary="The tags of a repository as they are or were at some time, or those deleted",
        action=Action.PULL,
        handler=list_tags,
        gives=Tags,
        pages=True,
        query=("as_of", "deleted"),
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
    Route(
        method="POST",
        path="/repositories/{repository}/-/tags/{tag}/restore",
        name="restore-tag",
        summary="Have a tag name what it named before",
        action=Action.PUSH,
        handler=restore_tag,
        takes=RestoreTag,
        gives=RestoredTag,
    ),
)
