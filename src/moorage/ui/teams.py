"""`/n/NAME/-/teams`: the teams of a namespace, and who is in them."""

from moorage.model.access import Action
from moorage.registry import rights, teams
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.namespaces import crumbs_of
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.ui.references import namespace_place
from moorage.web.response import Response


async def list_teams(s: Services, visit: Visit) -> View:
    """Show a page of the namespace's teams."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, name)
    rows, is_more = cut(await teams.list_teams(s, actor, name, visit.parameter("after"), ROWS + 1))
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "teams": [
            {
                "name": each.name,
                "page": namespace_place(name, f"teams/{each.name.partition('/')[2]}"),
                "description": each.description,
                "created_at": when(each.created_at),
            }
            for each in rows
        ],
        "next": more(visit, rows[-1].name if is_more else None),
    }
    crumbs = crumbs_of(name, ("Teams", ""))
    return View("teams.html", f"Teams of {name}", facts, "namespaces", "teams", crumbs)


async def create(s: Services, visit: Visit) -> Response:
    """Make a team."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    team, by = visit.field("name").strip(), change_by(actor, visit.request)
    description = visit.line("description")
    await teams.create_team(s, actor, name, team, by, description=description)
    return go(namespace_place(name, f"teams/{team}"), "created")


async def show(s: Services, visit: Visit) -> View:
    """Show who is in a team."""
    name, team = visit.namespace, visit.name("team")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, name)
    found = await teams.find_team(s, actor, name, team)
    rows, is_more = cut(
        await teams.list_members(s, actor, name, team, (visit.number("after"), ROWS + 1))
    )
    groups = await teams.list_groups(s, actor, name, team)
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "team": found.name,
        "description": found.description,
        "members": [{"id": each[0], "name": each[1], "source": each[2]} for each in rows],
        "groups": [{"provider": each[0], "group": each[1]} for each in groups],
        "next": more(visit, rows[-1][0] if is_more else None),
    }
    crumbs = crumbs_of(name, ("Teams", namespace_place(name, "teams")), (team, ""))
    return View("team.html", f"Team {found.name}", facts, "namespaces", "teams", crumbs)


async def add_member(s: Services, visit: Visit) -> Response:
    """Put an account into the team."""
    name, team = visit.namespace, visit.name("team")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    by = change_by(actor, visit.request)
    await teams.add_member(s, actor, name, team, visit.field("account").strip(), by)
    return go(namespace_place(name, f"teams/{team}"), "granted")


async def remove_member(s: Services, visit: Visit) -> Response:
    """Take an account out of the team."""
    name, team = visit.namespace, visit.name("team")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    by = change_by(actor, visit.request)
    await teams.remove_member(s, actor, name, team, visit.field("account"), by)
    return go(namespace_place(name, f"teams/{team}"), "removed")


async def delete(s: Services, visit: Visit) -> Response:
    """End a team, with all that it was granted."""
    name, team = visit.namespace, visit.name("team")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    await teams.delete_team(s, actor, name, team, change_by(actor, visit.request))
    return go(namespace_place(name, "teams"), "removed")


PAGES = (
    Page(
        name="teams",
        path="/n/{namespace}/-/teams",
        action=Action.SEE_ACCESS,
        show=list_teams,
        acts={"create": create},
    ),
    Page(
        name="team",
        path="/n/{namespace}/-/teams/{team}",
        action=Action.SEE_ACCESS,
        show=show,
        acts={"add": add_member, "remove": remove_member, "delete": delete},
    ),
)
