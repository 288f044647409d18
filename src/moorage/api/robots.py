"""`/api/v1/namespaces/{namespace}/robots`: machines' own names, and their tokens."""

from datetime import datetime

import msgspec

from moorage.api.call import Ask, Call, Route, cut, done, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import Line, Name
from moorage.api.tokens import MadeToken, NewToken, Tokens, shown, wanted_of
from moorage.model.access import Action
from moorage.model.people import ROBOT_MARK, Principal
from moorage.registry import rights, robots, tokens
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class NewRobot(Ask, frozen=True):
    """A robot to be; its name is without the namespace."""

    name: Name
    description: Line = ""


class RobotChange(Ask, frozen=True):
    """Whether the robot is to be in force."""

    enabled: bool


class Robot(msgspec.Struct, frozen=True):
    """A robot; `name` is what it signs in as and what grants call it by, such as `web+ci`."""

    name: str
    description: str
    enabled: bool
    created_at: datetime | None


class Robots(msgspec.Struct, frozen=True):
    """A page of robots, in ASCII order."""

    items: list[Robot]


def _shown(robot: Principal) -> Robot:
    return Robot(robot.name, robot.description, robot.enabled, when(robot.created_at))


async def list_robots(s: Services, call: Call) -> Response:
    """Answer with a page of the namespace's robots."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)
    page = call.page()
    rows = await robots.list_robots(s, actor, call.namespace, page.after, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_shown(each) for each in found], found[-1].name if more else None)


async def create_robot(s: Services, call: Call) -> Response:
    """Make a robot, which has no right and no token yet."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    asked = await call.asked(NewRobot)
    by = change_by(actor, call.request)
    made = await robots.create_robot(
        s, actor, call.namespace, asked.name, by, description=asked.description
    )
    place = f"/api/v1/namespaces/{call.namespace}/robots/{asked.name}"
    return told(201, _shown(made), {"Location": place})


async def get_robot(s: Services, call: Call) -> Response:
    """Answer with one robot."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)
    found = await robots.find_robot(s, actor, call.namespace, call.name("robot"))
    return told_one(call, _shown(found))


async def change_robot(s: Services, call: Call) -> Response:
    """Put a robot out of force, or in force again with the tokens that it had."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    asked = await call.asked(RobotChange)
    by = change_by(actor, call.request)
    changed = await robots.set_enabled(
        s, actor, call.namespace, call.name("robot"), by, enabled=asked.enabled
    )
    return told(200, _shown(changed))


async def delete_robot(s: Services, call: Call) -> Response:
    """End a robot, with its tokens and all that it was granted."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    by = change_by(actor, call.request)
    await robots.delete_robot(s, actor, call.namespace, call.name("robot"), by)
    return done()


async def list_robot_tokens(s: Services, call: Call) -> Response:
    """Answer with a page of a robot's tokens."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)
    page = call.page()
    rows = await tokens.list_tokens(s, actor, _full(call), page.after_number, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [shown(each) for each in found], found[-1].id if more else None)


async def create_robot_token(s: Services, call: Call) -> Response:
    """Make a token for a robot; its secret is in this one answer only."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    asked = await call.asked(NewToken)
    by = change_by(actor, call.request)
    made = await tokens.create_token(s, actor, _full(call), wanted_of(asked), by)
    return told(201, MadeToken(shown(made.token), made.secret))


def _full(call: Call) -> str:
    return f"{call.namespace}{ROBOT_MARK}{call.name('robot')}"


_PATH = "/namespaces/{namespace}/robots"
_ONE = "/namespaces/{namespace}/robots/{robot}"
_TOKENS = "/namespaces/{namespace}/robots/{robot}/tokens"
ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        name="list-robots",
        summary="The robots of a namespace",
        action=Action.SEE_ACCESS,
        handler=list_robots,
        gives=Robots,
        pages=True,
    ),
    Route(
        method="POST",
        path=_PATH,
        name="create-robot",
        summary="Make a robot",
        action=Action.MANAGE_ACCESS,
        handler=create_robot,
        takes=NewRobot,
        gives=Robot,
        status=201,
    ),
    Route(
        method="GET",
        path=_ONE,
        name="get-robot",
        summary="One robot",
        action=Action.SEE_ACCESS,
        handler=get_robot,
        gives=Robot,
    ),
    Route(
        method="PATCH",
        path=_ONE,
        name="change-robot",
        summary="Put a robot out of force, or in force again",
        action=Action.MANAGE_ACCESS,
        handler=change_robot,
        takes=RobotChange,
        gives=Robot,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        name="delete-robot",
        summary="End a robot with its tokens",
        action=Action.MANAGE_ACCESS,
        handler=delete_robot,
        status=204,
        clashes=True,
    ),
    Route(
        method="GET",
        path=_TOKENS,
        name="list-robot-tokens",
        summary="The tokens of a robot",
        action=Action.SEE_ACCESS,
        handler=list_robot_tokens,
        gives=Tokens,
        pages=True,
    ),
    Route(
        method="POST",
        path=_TOKENS,
        name="create-robot-token",
        summary="Make a token for a robot",
        action=Action.MANAGE_ACCESS,
        handler=create_robot_token,
        takes=NewToken,
        gives=MadeToken,
        status=201,
        shows_secret=True,
    ),
)
