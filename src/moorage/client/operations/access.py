"""May somebody do something, and why; and who may what somewhere.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import TypedDict, cast

from moorage.client.api import Api


class Path(TypedDict):
    """A grant that counts: whose it is, the account's own or a team's, and what it is on."""

    through: str
    role: str
    on: str


class Scope(TypedDict):
    """What the token that was asked about is confined to."""

    pattern: str
    actions: list[str]


class Explanation(TypedDict):
    """Whether it is allowed and why, by which grants, the visibility and the token's scopes."""

    allowed: bool
    reason: str
    paths: list[Path]
    visibility: str
    scopes: list[Scope] | None


class Row(TypedDict):
    """Who may do what on what, by which role."""

    who: str
    kind: str
    on: str
    role: str
    may: list[str]


def explain_access(
    api: Api,
    *,
    action: str,
    who: str = "",
    namespace: str = "",
    repository: str = "",
    token: int = 0,
) -> Explanation:
    """Ask `GET /api/v1/access/can`.

    Whether somebody may do something there, and why.
    """
    return cast(
        "Explanation",
        api.get(
            "access",
            "can",
            action=action,
            who=who,
            namespace=namespace,
            repository=repository,
            token=token,
        ),
    )


def report_access(
    api: Api, *, namespace: str = "", repository: str = "", after: str = "", limit: int = 0
) -> Iterator[Row]:
    """Ask `GET /api/v1/access/report`.

    Who may what on a namespace or a repository.
    """
    return cast(
        "Iterator[Row]",
        api.items(
            "access", "report", namespace=namespace, repository=repository, after=after, limit=limit
        ),
    )
