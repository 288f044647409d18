"""`/api/v1/namespaces/{namespace}/teams/{team}/groups`: which groups from outside a team is."""

from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, done, told, told_one
from moorage.api.caller import authenticate
from moorage.api.fields import Name
from moorage.model.access import Action
from moorage.registry import rights, teams
from moorage.registry.services import Services, change_by
from moorage.web.response import Response

GroupName = Annotated[str, Meta(min_length=1, max_length=256, pattern="^[^\\x00-\\x1f\\x7f]*$")]


class TeamGroup(Ask, frozen=True):
    """A group of a provider, as the provider's claim has it."""

    provider: Name
    group: GroupName


class TeamGroups(msgspec.Struct, frozen=True):
    """All groups that the team is, in ASCII order."""

    items: list[TeamGroup]


async def list_groups(s: Services, call: Call) -> Response:
    """Answer with the team's groups."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)
    found = await teams.list_groups(s, actor, call.namespace, call.name("team"))
    return told_one(call, TeamGroups([TeamGroup(*each) for each in found]))


async def add_group(s: Services, call: Call) -> Response:
    """Have a group be the team; it may be so already."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    asked = await call.asked(TeamGroup)
    place, by = (call.namespace, call.name("team")), change_by(actor, call.request)
    await teams.add_group(s, actor, place, (asked.provider, asked.group), by)
    return told(201, asked)


async def remove_group(s: Services, call: Call) -> Response:
    """Have a group be the team no longer."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    asked = await call.asked(TeamGroup)
    place, by = (call.namespace, call.name("team")), change_by(actor, call.request)
    await teams.remove_group(s, actor, place, (asked.provider, asked.group), by)
    return done()


_PATH = "/namespaces/{namespace}/teams/{team}/groups"
ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        name="list-groups",
        summary="The groups of providers that are the team",
        action=Action.SEE_ACCESS,
        handler=list_groups,
        gives=TeamGroups,
    ),
    Route(
        method="POST",
        path=_PATH,
        name="add-group",
        summary="Have a group of a provider be the team",
        action=Action.MANAGE_ACCESS,
        handler=add_group,
        takes=TeamGroup,
        gives=TeamGroup,
        status=201,
        clashes=True,
    ),
    Route(
        method="POST",
        path=_PATH + "/remove",
        name="remove-group",
        summary="Have a group be the team no longer",
        action=Action.MANAGE_ACCESS,
        handler=remove_group,
        takes=TeamGroup,
        status=204,
        clashes=True,
    ),
)
