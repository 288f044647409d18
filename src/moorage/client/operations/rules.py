"""Who may make, move and delete which tags, in a namespace or in one repository.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Literal, NotRequired, TypedDict, cast

from moorage.client.api import Api


class Rule(TypedDict):
    """A rule."""

    id: int
    pattern: str
    exceptions: list[str]
    create: str
    move: str
    delete: str
    created_at: str | None
    created_by: str


class NewRule(TypedDict):
    """A rule to be: the least role that may make, move and delete the tags of the pattern.

    As it comes, they are immutable: who may push makes one, and nobody moves or deletes it.
    """

    pattern: str
    exceptions: NotRequired[list[str]]
    create: NotRequired[Literal["maintainer", "nobody", "owner", "reader", "writer"]]
    move: NotRequired[Literal["maintainer", "nobody", "owner", "reader", "writer"]]
    delete: NotRequired[Literal["maintainer", "nobody", "owner", "reader", "writer"]]


class AskedTrial(TypedDict):
    """A pattern that is to be tried on the tags that there are, behind `after`."""

    pattern: str
    exceptions: NotRequired[list[str]]
    after: NotRequired[str]


class Trial(TypedDict):
    """The tags that a pattern is for; `after` begins the next page, empty behind the last."""

    tags: list[str]
    after: str


def list_rules(api: Api, namespace: str, *, after: str = "", limit: int = 0) -> Iterator[Rule]:
    """Ask `GET /api/v1/namespaces/{namespace}/rules`.

    The rules for tags of a namespace.
    """
    return cast(
        "Iterator[Rule]", api.items("namespaces", namespace, "rules", after=after, limit=limit)
    )


def create_rule(api: Api, namespace: str, document: NewRule) -> Rule:
    """Ask `POST /api/v1/namespaces/{namespace}/rules`.

    Add a rule for tags of a namespace.
    """
    return cast("Rule", api.send("POST", "namespaces", namespace, "rules", document=document))


def delete_rule(api: Api, namespace: str, rule: str) -> None:
    """Ask `DELETE /api/v1/namespaces/{namespace}/rules/{rule}`.

    Remove a rule for tags of a namespace.
    """
    api.send("DELETE", "namespaces", namespace, "rules", rule)


def list_repository_rules(
    api: Api, repository: str, *, after: str = "", limit: int = 0
) -> Iterator[Rule]:
    """Ask `GET /api/v1/repositories/{repository}/-/rules`.

    The rules for tags of one repository.
    """
    return cast(
        "Iterator[Rule]",
        api.items("repositories", repository, "-", "rules", after=after, limit=limit),
    )


def create_repository_rule(api: Api, repository: str, document: NewRule) -> Rule:
    """Ask `POST /api/v1/repositories/{repository}/-/rules`.

    Add a rule for tags of one repository.
    """
    return cast(
        "Rule", api.send("POST", "repositories", repository, "-", "rules", document=document)
    )


def delete_repository_rule(api: Api, repository: str, rule: str) -> None:
    """Ask `DELETE /api/v1/repositories/{repository}/-/rules/{rule}`.

    Remove a rule for tags of one repository.
    """
    api.send("DELETE", "repositories", repository, "-", "rules", rule)


def try_rule(api: Api, repository: str, document: AskedTrial) -> Trial:
    """Ask `POST /api/v1/repositories/{repository}/-/rules/-/try`.

    The tags that a rule would be for.
    """
    return cast(
        "Trial",
        api.send("POST", "repositories", repository, "-", "rules", "-", "try", document=document),
    )
