"""`/api/v1/repositories/{repository}/-/pulls`: how often a repository was pulled from."""

from datetime import UTC, date, datetime, timedelta

import msgspec

from moorage.api.call import Call, Route, cut, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.errors import Invalid
from moorage.model.access import Action
from moorage.registry import pulls
from moorage.registry.services import Services
from moorage.web.numbers import whole_number
from moorage.web.response import Response

_DEFAULT_DAYS = 30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PullDay(msgspec.Struct, frozen=True):
    """The pulls of a day, UTC."""

    day: date
    pulls: int


class Pulls(msgspec.Struct, frozen=True):
    """The days on which there were pulls, in order; `pulls` is their sum.

    `last_pulled_at` is of all time; it may be five seconds late.
    """

    repository: str
    pulls: int
    last_pulled_at: datetime | None
    days: list[PullDay]


class TagPulls(msgspec.Struct, frozen=True):
    """How often a tag was ever pulled, whatever it named then."""

    name: str
    pulls: int
    last_pulled_at: datetime | None


class TagsPulls(msgspec.Struct, frozen=True):
    """A page of tags that were pulled, in ASCII order."""

    items: list[TagPulls]


async def get_pulls(s: Services, call: Call) -> Response:
    """Answer with the pulls of the last 30 days, or as many as are asked for."""
    actor = await authenticate(s, call)
    text = call.parameter("days")
    days = whole_number(text, "days") if text else _DEFAULT_DAYS
    if not 1 <= days <= pulls.MOST_DAYS:
        raise Invalid(f"days must be a whole number from 1 to {pulls.MOST_DAYS}")
    found = await pulls.find_pulls(s, actor, call.repository, days)
    document = Pulls(
        repository=call.repository,
        pulls=sum(each.pulls for each in found.days),
        last_pulled_at=when(found.last_at),
        days=[
            PullDay((_EPOCH + timedelta(days=each.day)).date(), each.pulls) for each in found.days
        ],
    )
    return told_one(call, document)


async def list_tag_pulls(s: Services, call: Call) -> Response:
    """Answer with a page of the tags that were pulled."""
    actor = await authenticate(s, call)
    page = call.page()
    found = await pulls.list_tag_pulls(s, actor, call.repository, page.after, page.limit + 1)
    shown, more = cut(found, page.limit)
    items = [TagPulls(each.name, each.pulls, when(each.last_at)) for each in shown]
    return told_page(call, items, shown[-1].name if more else None)


ROUTES = (
    Route(
        method="GET",
        path="/repositories/{repository}/-/pulls",
        name="get-pulls",
        summary="How often a repository was pulled from, day by day",
        action=Action.PULL,
        handler=get_pulls,
        gives=Pulls,
        query=("days",),
    ),
    Route(
        method="GET",
        path="/repositories/{repository}/-/pulls/tags",
        name="list-tag-pulls",
        summary="How often the tags of a repository were pulled, and when last",
        action=Action.PULL,
        handler=list_tag_pulls,
        gives=TagsPulls,
        pages=True,
    ),
)
