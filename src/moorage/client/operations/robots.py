"""Machines' own names, and their tokens.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Literal, NotRequired, TypedDict, cast

from moorage.client.api import Api


class Robot(TypedDict):
    """A robot; `name` is what it signs in as and what grants call it by, such as `web+ci`."""

    name: str
    description: str
    enabled: bool
    created_at: str | None


class NewRobot(TypedDict):
    """A robot to be; its name is without the namespace."""

    name: str
    description: NotRequired[str]


class RobotChange(TypedDict):
    """Whether the robot is to be in force."""

    enabled: bool


class TokenScope(TypedDict):
    """What a token is for."""

    pattern: str
    actions: list[str]


class Token(TypedDict):
    """A token; `mark` is the beginning of its secret, `scopes` is null if it is not confined."""

    id: int
    name: str
    kind: str
    mark: str
    scopes: list[TokenScope] | None
    created_at: str | None
    expires_at: str | None
    last_used_at: str | None


class AskedScope(TypedDict):
    """What a token is to be for: actions on the repositories that the pattern names."""

    pattern: str
    actions: list[Literal["catalog", "delete", "pull", "push"]]


class NewToken(TypedDict):
    """A token to be; without scopes it may all that its owner may. 0 days are for ever."""

    name: str
    scopes: NotRequired[list[AskedScope] | None]
    days: NotRequired[int]


class MadeToken(TypedDict):
    """A token with its secret, which is shown this once."""

    token: Token
    secret: str


def list_robots(api: Api, namespace: str, *, after: str = "", limit: int = 0) -> Iterator[Robot]:
    """Ask `GET /api/v1/namespaces/{namespace}/robots`.

    The robots of a namespace.
    """
    return cast(
        "Iterator[Robot]", api.items("namespaces", namespace, "robots", after=after, limit=limit)
    )


def create_robot(api: Api, namespace: str, document: NewRobot) -> Robot:
    """Ask `POST /api/v1/namespaces/{namespace}/robots`.

    Make a robot.
    """
    return cast("Robot", api.send("POST", "namespaces", namespace, "robots", document=document))


def get_robot(api: Api, namespace: str, robot: str) -> Robot:
    """Ask `GET /api/v1/namespaces/{namespace}/robots/{robot}`.

    One robot.
    """
    return cast("Robot", api.get("namespaces", namespace, "robots", robot))


def change_robot(api: Api, namespace: str, robot: str, document: RobotChange) -> Robot:
    """Ask `PATCH /api/v1/namespaces/{namespace}/robots/{robot}`.

    Put a robot out of force, or in force again.
    """
    return cast(
        "Robot", api.send("PATCH", "namespaces", namespace, "robots", robot, document=document)
    )


def delete_robot(api: Api, namespace: str, robot: str) -> None:
    """Ask `DELETE /api/v1/namespaces/{namespace}/robots/{robot}`.

    End a robot with its tokens.
    """
    api.send("DELETE", "namespaces", namespace, "robots", robot)


def list_robot_tokens(
    api: Api, namespace: str, robot: str, *, after: str = "", limit: int = 0
) -> Iterator[Token]:
    """Ask `GET /api/v1/namespaces/{namespace}/robots/{robot}/tokens`.

    The tokens of a robot.
    """
    return cast(
        "Iterator[Token]",
        api.items("namespaces", namespace, "robots", robot, "tokens", after=after, limit=limit),
    )


def create_robot_token(api: Api, namespace: str, robot: str, document: NewToken) -> MadeToken:
    """Ask `POST /api/v1/namespaces/{namespace}/robots/{robot}/tokens`.

    Make a token for a robot.
    """
    return cast(
        "MadeToken",
        api.send("POST", "namespaces", namespace, "robots", robot, "tokens", document=document),
    )
