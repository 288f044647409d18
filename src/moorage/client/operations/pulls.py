"""How often a repository was pulled from.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import TypedDict, cast

from moorage.client.api import Api


class PullDay(TypedDict):
    """The pulls of a day, UTC."""

    day: str
    pulls: int


class Pulls(TypedDict):
    """The days on which there were pulls, in order; `pulls` is their sum.

    `last_pulled_at` is of all time; it may be five seconds late.
    """

    repository: str
    pulls: int
    last_pulled_at: str | None
    days: list[PullDay]


class TagPulls(TypedDict):
    """How often a tag was ever pulled, whatever it named then."""

    name: str
    pulls: int
    last_pulled_at: str | None


def get_pulls(api: Api, repository: str, *, days: int = 0) -> Pulls:
    """Ask `GET /api/v1/repositories/{repository}/-/pulls`.

    How often a repository was pulled from, day by day.
    """
    return cast("Pulls", api.get("repositories", repository, "-", "pulls", days=days))


def list_tag_pulls(
    api: Api, repository: str, *, after: str = "", limit: int = 0
) -> Iterator[TagPulls]:
    """Ask `GET /api/v1/repositories/{repository}/-/pulls/tags`.

    How often the tags of a repository were pulled, and when last.
    """
    return cast(
        "Iterator[TagPulls]",
        api.items("repositories", repository, "-", "pulls", "tags", after=after, limit=limit),
    )
