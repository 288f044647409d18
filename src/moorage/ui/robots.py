"""`/n/NAME/-/robots`: the robots of a namespace, and their tokens."""

from moorage.model.access import Action
from moorage.model.people import ROBOT_MARK
from moorage.registry import rights, robots, tokens
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.namespaces import crumbs_of
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.ui.references import namespace_place
from moorage.ui.tokens import LIVES, revealed, shown, wanted_of
from moorage.web.response import Response


async def list_robots(s: Services, visit: Visit) -> View:
    """Show a page of the namespace's robots."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, name)
    rows, is_more = cut(
        await robots.list_robots(s, actor, name, visit.parameter("after"), ROWS + 1)
    )
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "robots": [
            {
                "name": each.name,
                "page": namespace_place(name, f"robots/{each.name.partition(ROBOT_MARK)[2]}"),
                "description": each.description,
                "enabled": each.enabled,
                "created_at": when(each.created_at),
            }
            for each in rows
        ],
        "next": more(visit, rows[-1].name if is_more else None),
    }
    crumbs = crumbs_of(name, ("Robots", ""))
    return View("robots.html", f"Robots of {name}", facts, "namespaces", "robots", crumbs)


async def create_robot(s: Services, visit: Visit) -> Response:
    """Make a robot."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    robot, by = visit.field("name").strip(), change_by(actor, visit.request)
    description = visit.line("description")
    await robots.create_robot(s, actor, name, robot, by, description=description)
    return go(namespace_place(name, f"robots/{robot}"), "created")


async def show_robot(s: Services, visit: Visit) -> View:
    """Show a robot with its tokens."""
    await authenticate(s, visit)
    return await _robot(s, visit)


async def create_robot_token(s: Services, visit: Visit) -> View:
    """Make a token of a robot; its secret is on this one page only."""
    name, robot = visit.namespace, visit.name("robot")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    whose, by = f"{name}{ROBOT_MARK}{robot}", change_by(actor, visit.request)
    made = await tokens.create_token(s, actor, whose, wanted_of(visit), by)
    return await _robot(s, visit, revealed(whose, made))


async def rotate_robot_token(s: Services, visit: Visit) -> View:
    """Make a token in the place of one of a robot's, which is good for a day more."""
    name, robot = visit.namespace, visit.name("robot")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    number, by = visit.field_number("token"), change_by(actor, visit.request)
    made = await tokens.rotate_token(s, actor, number, by)
    old = await tokens.find_token(s, actor, number)
    return await _robot(s, visit, revealed(f"{name}{ROBOT_MARK}{robot}", made, old.expires_at))


async def revoke_robot_token(s: Services, visit: Visit) -> Response:
    """Revoke a token of a robot."""
    name, robot = visit.namespace, visit.name("robot")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    by = change_by(actor, visit.request)
    await tokens.revoke_token(s, actor, visit.field_number("token"), by)
    return go(namespace_place(name, f"robots/{robot}"), "revoked")


async def enable_robot(s: Services, visit: Visit) -> Response:
    """Put a robot in force or out of it."""
    name, robot = visit.namespace, visit.name("robot")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    enabled, by = visit.field("enabled") == "yes", change_by(actor, visit.request)
    await robots.set_enabled(s, actor, name, robot, by, enabled=enabled)
    return go(namespace_place(name, f"robots/{robot}"), "enabled" if enabled else "disabled")


async def delete_robot(s: Services, visit: Visit) -> Response:
    """End a robot, with its tokens."""
    name, robot = visit.namespace, visit.name("robot")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    await robots.delete_robot(s, actor, name, robot, change_by(actor, visit.request))
    return go(namespace_place(name, "robots"), "removed")


async def _robot(s: Services, visit: Visit, made: dict[str, object] | None = None) -> View:
    name, robot = visit.namespace, visit.name("robot")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, name)
    found = await robots.find_robot(s, actor, name, robot)
    rows = await tokens.list_tokens(s, actor, found.name, visit.number("after"), ROWS + 1)
    found_tokens, is_more = cut(rows)
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "robot": found.name,
        "description": found.description,
        "enabled": found.enabled,
        "tokens": [shown(each) for each in found_tokens],
        "lives": LIVES,
        "made": made,
        "next": more(visit, found_tokens[-1].id if is_more else None),
    }
    crumbs = crumbs_of(name, ("Robots", namespace_place(name, "robots")), (robot, ""))
    return View("robot.html", f"Robot {found.name}", facts, "namespaces", "robots", crumbs)


PAGES = (
    Page(
        name="robots",
        path="/n/{namespace}/-/robots",
        action=Action.SEE_ACCESS,
        show=list_robots,
        acts={"create": create_robot},
    ),
    Page(
        name="robot",
        path="/n/{namespace}/-/robots/{robot}",
        action=Action.SEE_ACCESS,
        show=show_robot,
        acts={
            "create-token": create_robot_token,
            "rotate": rotate_robot_token,
            "revoke": revoke_robot_token,
            "enable": enable_robot,
            "delete": delete_robot,
        },
    ),
)
