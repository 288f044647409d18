"""What the caller may see of them, and who else may.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Literal, NotRequired, TypedDict, cast

from moorage.client.api import Api


class Named(TypedDict):
    """A repository in a list."""

    name: str


class NewRepository(TypedDict):
    """An empty repository to be; without a visibility, it is as its namespace says."""

    name: str
    visibility: NotRequired[Literal["internal", "private", "public"] | None]


class Shown(TypedDict):
    """A repository."""

    name: str
    namespace: str
    visibility: str


class RepositoryChange(TypedDict):
    """How visible the repository is to be."""

    visibility: Literal["internal", "private", "public"]


class Rename(TypedDict):
    """What the repository is to be called, in its own namespace."""

    name: str


def list_repositories(api: Api, *, after: str = "", limit: int = 0) -> Iterator[Named]:
    """Ask `GET /api/v1/repositories`.

    The repositories that the caller may read.
    """
    return cast("Iterator[Named]", api.items("repositories", after=after, limit=limit))


def create_repository(api: Api, document: NewRepository) -> Shown:
    """Ask `POST /api/v1/repositories`.

    Make an empty repository.
    """
    return cast("Shown", api.send("POST", "repositories", document=document))


def change_repository(api: Api, repository: str, document: RepositoryChange) -> Shown:
    """Ask `PATCH /api/v1/repositories/{repository}`.

    Set how visible a repository is.
    """
    return cast("Shown", api.send("PATCH", "repositories", repository, document=document))


def get_repository(api: Api, repository: str) -> Shown:
    """Ask `GET /api/v1/repositories/{repository}`.

    One repository.
    """
    return cast("Shown", api.get("repositories", repository))


def rename_repository(api: Api, repository: str, document: Rename) -> Shown:
    """Ask `POST /api/v1/repositories/{repository}/-/rename`.

    Give a repository another name; the one before leads to it.
    """
    return cast(
        "Shown", api.send("POST", "repositories", repository, "-", "rename", document=document)
    )
