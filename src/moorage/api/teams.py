"""`/api/v1/namespaces/{namespace}/teams`: teams, and who is in them."""

from datetime import datetime

import msgspec

from moorage.api.call import Ask, Call, Route, cut, done, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import Line, Name
from moorage.model.access import Action
from moorage.model.people import Principal
from moorage.registry import rights, teams
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class NewTeam(Ask, frozen=True):
    """A team to be; its name is without the namespace."""

    name: Name
    description: Line = ""


class Team(msgspec.Struct, frozen=True):
    """A team; `name` is what grants call it by, such as `web/dev`."""

    name: str
    description: str
    created_at: datetime | None


class Teams(msgspec.Struct, frozen=True):
    """A page of teams, in ASCII order."""

    items: list[Team]


class Member(msgspec.Struct, frozen=True):
    """A member; `source` is the provider whose group says so, empty for one put in by hand."""

    id: int
    name: str
    source: str


class Members(msgspec.Struct, frozen=True):
    """A page of members, in the order of their ids."""

    items: list[Member]


def _shown(team: Principal) -> Team:
    return Team(team.name, team.description, when(team.created_at))


async def list_teams(s: Services, call: Call) -> Response:
    """Answer with a page of the namespace's teams."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)
    page = call.page()
    rows = await teams.list_teams(s, actor, call.namespace, page.after, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_shown(each) for each in found], found[-1].name if more else None)


async def create_team(s: Services, call: Call) -> Response:
    """Make a team."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    asked = await call.asked(NewTeam)
    by = change_by(actor, call.request)
    made = await teams.create_team(
        s, actor, call.namespace, asked.name, by, description=asked.description
    )
    place = f"/api/v1/namespaces/{call.namespace}/teams/{asked.name}"
    return told(201, _shown(made), {"Location": place})


async def get_team(s: Services, call: Call) -> Response:
    """Answer with one team."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)
    found = await teams.find_team(s, actor, call.namespace, call.name("team"))
    return told_one(call, _shown(found))


async def delete_team(s: Services, call: Call) -> Response:
    """End a team, with all that it was granted."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    by = change_by(actor, call.request)
    await teams.delete_team(s, actor, call.namespace, call.name("team"), by)
    return done()


async def list_members(s: Services, call: Call) -> Response:
    """Answer with a page of the team's members."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)
    page = call.page()
    wanted = (page.after_number, page.limit + 1)
    rows = await teams.list_members(s, actor, call.namespace, call.name("team"), wanted)
    found, more = cut(rows, page.limit)
    return told_page(call, [Member(*each) for each in found], found[-1][0] if more else None)


async def add_member(s: Services, call: Call) -> Response:
    """Put an account into the team; it may be in it already."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    by = change_by(actor, call.request)
    await teams.add_member(s, actor, call.namespace, call.name("team"), call.name("account"), by)
    return done()


async def remove_member(s: Services, call: Call) -> Response:
    """Take an account out of the team."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    by = change_by(actor, call.request)
    await teams.remove_member(s, actor, call.namespace, call.name("team"), call.name("account"), by)
    return done()


_PATH = "/namespaces/{namespace}/teams"
_ONE = "/namespaces/{namespace}/teams/{team}"
_MEMBERS = "/namespaces/{namespace}/teams/{team}/members"
_MEMBER = "/namespaces/{namespace}/teams/{team}/members/{account}"
ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        name="list-teams",
        summary="The teams of a namespace",
        action=Action.SEE_ACCESS,
        handler=list_teams,
        gives=Teams,
        pages=True,
    ),
    Route(
        method="POST",
        path=_PATH,
        name="create-team",
        summary="Make a team",
        action=Action.MANAGE_ACCESS,
        handler=create_team,
        takes=NewTeam,
        gives=Team,
        status=201,
    ),
    Route(
        method="GET",
        path=_ONE,
        name="get-team",
        summary="One team",
        action=Action.SEE_ACCESS,
        handler=get_team,
        gives=Team,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        name="delete-team",
        summary="End a team with all that it was granted",
        action=Action.MANAGE_ACCESS,
        handler=delete_team,
        status=204,
        clashes=True,
    ),
    Route(
        method="GET",
        path=_MEMBERS,
        name="list-members",
        summary="The members of a team",
        action=Action.SEE_ACCESS,
        handler=list_members,
        gives=Members,
        pages=True,
    ),
    Route(
        method="PUT",
        path=_MEMBER,
        name="add-member",
        summary="Put an account into a team",
        action=Action.MANAGE_ACCESS,
        handler=add_member,
        status=204,
        clashes=True,
    ),
    Route(
        method="DELETE",
        path=_MEMBER,
        name="remove-member",
        summary="Take an account out of a team",
        action=Action.MANAGE_ACCESS,
        handler=remove_member,
        status=204,
        clashes=True,
    ),
)
