"""A description and a README.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class About(TypedDict):
    """What a repository is about.

    `description` is what was written, and `shown` that or what the newest image says of itself.
    """

    repository: str
    description: str
    shown: str
    readme: str
    version: int
    changed_at: str | None


class NewAbout(TypedDict):
    """What a repository is to be about: both are replaced, and empty where they are left out."""

    description: NotRequired[str]
    readme: NotRequired[str]


def get_about(api: Api, repository: str) -> About:
    """Ask `GET /api/v1/repositories/{repository}/-/about`.

    What a repository is about.
    """
    return cast("About", api.get("repositories", repository, "-", "about"))


def put_about(api: Api, repository: str, document: NewAbout, *, match: str = "") -> About:
    """Ask `PUT /api/v1/repositories/{repository}/-/about`.

    Set the description and the README of a repository.
    """
    return cast(
        "About",
        api.send("PUT", "repositories", repository, "-", "about", document=document, match=match),
    )
