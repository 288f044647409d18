"""Which groups from outside a team is.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import TypedDict, cast

from moorage.client.api import Api


class TeamGroup(TypedDict):
    """A group of a provider, as the provider's claim has it."""

    provider: str
    group: str


def list_groups(api: Api, namespace: str, team: str) -> Iterator[TeamGroup]:
    """Ask `GET /api/v1/namespaces/{namespace}/teams/{team}/groups`.

    The groups of providers that are the team.
    """
    return cast("Iterator[TeamGroup]", api.items("namespaces", namespace, "teams", team, "groups"))


def add_group(api: Api, namespace: str, team: str, document: TeamGroup) -> TeamGroup:
    """Ask `POST /api/v1/namespaces/{namespace}/teams/{team}/groups`.

    Have a group of a provider be the team.
    """
    return cast(
        "TeamGroup",
        api.send("POST", "namespaces", namespace, "teams", team, "groups", document=document),
    )


def remove_group(api: Api, namespace: str, team: str, document: TeamGroup) -> None:
    """Ask `POST /api/v1/namespaces/{namespace}/teams/{team}/groups/remove`.

    Have a group be the team no longer.
    """
    api.send("POST", "namespaces", namespace, "teams", team, "groups", "remove", document=document)
