"""Teams, and who is in them.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class Team(TypedDict):
    """A team; `name` is what grants call it by, such as `web/dev`."""

    name: str
    description: str
    created_at: str | None


class NewTeam(TypedDict):
    """A team to be; its name is without the namespace."""

    name: str
    description: NotRequired[str]


class Member(TypedDict):
    """A member; `source` is the provider whose group says so, empty for one put in by hand."""

    id: int
    name: str
    source: str


def list_teams(api: Api, namespace: str, *, after: str = "", limit: int = 0) -> Iterator[Team]:
    """Ask `GET /api/v1/namespaces/{namespace}/teams`.

    The teams of a namespace.
    """
    return cast(
        "Iterator[Team]", api.items("namespaces", namespace, "teams", after=after, limit=limit)
    )


def create_team(api: Api, namespace: str, document: NewTeam) -> Team:
    """Ask `POST /api/v1/namespaces/{namespace}/teams`.

    Make a team.
    """
    return cast("Team", api.send("POST", "namespaces", namespace, "teams", document=document))


def get_team(api: Api, namespace: str, team: str) -> Team:
    """Ask `GET /api/v1/namespaces/{namespace}/teams/{team}`.

    One team.
    """
    return cast("Team", api.get("namespaces", namespace, "teams", team))


def delete_team(api: Api, namespace: str, team: str) -> None:
    """Ask `DELETE /api/v1/namespaces/{namespace}/teams/{team}`.

    End a team with all that it was granted.
    """
    api.send("DELETE", "namespaces", namespace, "teams", team)


def list_members(
    api: Api, namespace: str, team: str, *, after: str = "", limit: int = 0
) -> Iterator[Member]:
    """Ask `GET /api/v1/namespaces/{namespace}/teams/{team}/members`.

    The members of a team.
    """
    return cast(
        "Iterator[Member]",
        api.items("namespaces", namespace, "teams", team, "members", after=after, limit=limit),
    )


def add_member(api: Api, namespace: str, team: str, account: str) -> None:
    """Ask `PUT /api/v1/namespaces/{namespace}/teams/{team}/members/{account}`.

    Put an account into a team.
    """
    api.send("PUT", "namespaces", namespace, "teams", team, "members", account)


def remove_member(api: Api, namespace: str, team: str, account: str) -> None:
    """Ask `DELETE /api/v1/namespaces/{namespace}/teams/{team}/members/{account}`.

    Take an account out of a team.
    """
    api.send("DELETE", "namespaces", namespace, "teams", team, "members", account)
