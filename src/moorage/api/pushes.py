"""`/api/v1/pushes`: what was pushed last, of what the caller may read."""

from datetime import datetime

import msgspec

from moorage.api.call import Call, Route, told, when
from moorage.api.caller import authenticate
from moorage.auth.policy import require
from moorage.errors import Invalid
from moorage.model.access import Action, System
from moorage.registry import feed, rights
from moorage.registry.services import Services
from moorage.web.numbers import whole_number
from moorage.web.response import Response

MOST = 100


class Push(msgspec.Struct, frozen=True):
    """A manifest that was pushed, with the tags that named it from then on.

    `is_deleted` says that it has been deleted since.
    """

    repository: str
    digest: str
    media_type: str
    tags: list[str]
    at: datetime | None
    is_deleted: bool


class Pushes(msgspec.Struct, frozen=True):
    """The newest pushes of tags."""

    items: list[Push]


async def list_pushes(s: Services, call: Call) -> Response:
    """Answer with the newest pushes, of a week at most; where much is pushed, of less."""
    actor = await authenticate(s, call)
    require(actor, Action.CATALOG, System(), await rights.find_standing(s, actor))
    text = call.parameter("limit")
    limit = whole_number(text, "limit") if text else MOST
    if not 1 <= limit <= MOST:
        raise Invalid(f"limit must be a whole number from 1 to {MOST}")
    found = await feed.list_pushes(s, actor, limit)
    return told(200, Pushes([_shown(each) for each in found]))


def _shown(push: feed.Push) -> Push:
    return Push(
        push.repository,
        push.digest,
        push.media_type,
        list(push.tags),
        when(push.at),
        push.is_deleted,
    )


ROUTES = (
    Route(
        method="GET",
        path="/pushes",
        name="list-pushes",
        summary="What was pushed last, newest first",
        action=Action.CATALOG,
        handler=list_pushes,
        gives=Pushes,
        query=("limit",),
    ),
)
