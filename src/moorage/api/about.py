"""`/api/v1/repositories/{repository}/-/about`: a description and a README."""

import hashlib
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, told, when
from moorage.api.caller import authenticate
from moorage.api.fields import Line
from moorage.db.about import About as Record
from moorage.errors import PreconditionFailed
from moorage.model.access import Action
from moorage.registry import about, rights
from moorage.registry.services import Services, change_by
from moorage.web.conditions import etags, is_unmodified
from moorage.web.numbers import number_of
from moorage.web.response import Response, json_answer


class NewAbout(Ask, frozen=True):
    """What a repository is to be about: both are replaced, and empty where they are left out."""

    description: Line = ""
    readme: Annotated[str, Meta(max_length=about.MOST_BYTES, pattern="^[^\\x00]*$")] = ""


class About(msgspec.Struct, frozen=True):
    """What a repository is about.

    `description` is what was written, and `shown` that or what the newest image says of itself.
    """

    repository: str
    description: str
    shown: str
    readme: str
    version: int
    changed_at: datetime | None


async def get_about(s: Services, call: Call) -> Response:
    """Answer with the description and the README; the tag begins with the version."""
    actor = await authenticate(s, call)
    found = await about.find_about(s, actor, call.repository)
    tag = _tag(found)
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if is_unmodified(call.request.headers.get("If-None-Match"), tag):
        return Response(304, headers)
    return json_answer(200, _told(call, found), headers)


async def put_about(s: Services, call: Call) -> Response:
    """Replace both, with `If-Match` only if nobody has changed them since."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.CONFIGURE, call.repository)
    asked = await call.asked(NewAbout)
    found = await about.set_about(
        s,
        actor,
        call.repository,
        asked.description,
        asked.readme,
        change_by(actor, call.request),
        expected=_expected(call.request.headers.get("If-Match")),
    )
    return told(200, _told(call, found), {"ETag": f'"{_tag(found)}"'})


def _told(call: Call, found: Record) -> About:
    return About(
        repository=call.repository,
        description=found.description,
        shown=found.shown,
        readme=found.readme,
        version=found.version,
        changed_at=when(found.changed_at),
    )


def _tag(found: Record) -> str:
    # What an image says is in the answer as well, and changes no version.
    return f"{found.version}.{hashlib.sha256(found.found.encode()).hexdigest()[:12]}"


def _expected(header: str | None) -> int | None:
    """Return the version that is expected, None for any.

    Raises:
        PreconditionFailed: the header names none.
    """
    if header is None or header.strip() == "*":
        return None
    named = etags(header)
    version = number_of(named[0].partition(".")[0]) if len(named) == 1 else None
    if version is None:
        raise PreconditionFailed("If-Match takes one version, as the ETag tells it")
    return version


ROUTES = (
    Route(
        method="GET",
        path="/repositories/{repository}/-/about",
        name="get-about",
        summary="What a repository is about",
        action=Action.PULL,
        handler=get_about,
        gives=About,
    ),
    Route(
        method="PUT",
        path="/repositories/{repository}/-/about",
        name="put-about",
        summary="Set the description and the README of a repository",
        action=Action.CONFIGURE,
        handler=put_about,
        takes=NewAbout,
        gives=About,
        conditional=True,
    ),
)
