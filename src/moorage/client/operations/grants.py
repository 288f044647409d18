"""Who has which role in a namespace, or in one repository of it.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Literal, TypedDict, cast

from moorage.client.api import Api


class Grant(TypedDict):
    """Who has which role; `repository` is empty where it is for all of the namespace."""

    kind: str
    principal: str
    role: str
    repository: str
    granted_at: str | None
    granted_by: str


class GrantedRole(TypedDict):
    """The role that is to be given, in the place of any other."""

    role: Literal["auditor", "maintainer", "owner", "reader", "writer"]


def list_grants(api: Api, namespace: str, *, after: str = "", limit: int = 0) -> Iterator[Grant]:
    """Ask `GET /api/v1/namespaces/{namespace}/grants`.

    Who has which role in a namespace.
    """
    return cast(
        "Iterator[Grant]", api.items("namespaces", namespace, "grants", after=after, limit=limit)
    )


def put_grant(api: Api, namespace: str, kind: str, principal: str, document: GrantedRole) -> Grant:
    """Ask `PUT /api/v1/namespaces/{namespace}/grants/{kind}/{principal}`.

    Give a role in a namespace.
    """
    return cast(
        "Grant",
        api.send("PUT", "namespaces", namespace, "grants", kind, principal, document=document),
    )


def revoke_grant(api: Api, namespace: str, kind: str, principal: str) -> None:
    """Ask `DELETE /api/v1/namespaces/{namespace}/grants/{kind}/{principal}`.

    Take a role in a namespace.
    """
    api.send("DELETE", "namespaces", namespace, "grants", kind, principal)


def list_repository_grants(
    api: Api, repository: str, *, after: str = "", limit: int = 0
) -> Iterator[Grant]:
    """Ask `GET /api/v1/repositories/{repository}/-/grants`.

    Who has which role on one repository.
    """
    return cast(
        "Iterator[Grant]",
        api.items("repositories", repository, "-", "grants", after=after, limit=limit),
    )


def put_repository_grant(
    api: Api, repository: str, kind: str, principal: str, document: GrantedRole
) -> Grant:
    """Ask `PUT /api/v1/repositories/{repository}/-/grants/{kind}/{principal}`.

    Give a role on one repository.
    """
    return cast(
        "Grant",
        api.send(
            "PUT", "repositories", repository, "-", "grants", kind, principal, document=document
        ),
    )


def revoke_repository_grant(api: Api, repository: str, kind: str, principal: str) -> None:
    """Ask `DELETE /api/v1/repositories/{repository}/-/grants/{kind}/{principal}`.

    Take a role on one repository.
    """
    api.send("DELETE", "repositories", repository, "-", "grants", kind, principal)
