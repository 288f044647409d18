"""What is stored for whom, and what a clean-up would free.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import TypedDict, cast

from moorage.client.api import Api


class NamespaceBytes(TypedDict):
    """A namespace and its bytes, each blob counted once; null for who may not read all of it."""

    name: str
    kind: str
    bytes: int | None


class CleanUp(TypedDict):
    """What a clean-up would free: now, later, and once the candidates have gone."""

    due_objects: int
    due_bytes: int
    later_objects: int
    later_bytes: int
    first_at: str | None
    last_at: str | None
    candidates: int
    candidate_bytes: int
    paused: str
    more: bool


class RepositoryBytes(TypedDict):
    """A repository's bytes, and those that no other one of its namespace has.

    With `more`, it has more than were added up.
    """

    name: str
    bytes: int
    own: int
    blobs: int
    more: bool


class LargeBlob(TypedDict):
    """A blob, and some of the repositories of the namespace that have it."""

    digest: str
    size: int
    repositories: list[str]
    more: bool


class Largest(TypedDict):
    """The largest blobs of a namespace; with `more`, not all of it was looked at."""

    items: list[LargeBlob]
    more: bool


def list_storage(api: Api, *, after: str = "", limit: int = 0) -> Iterator[NamespaceBytes]:
    """Ask `GET /api/v1/storage`.

    How many bytes each namespace has.
    """
    return cast("Iterator[NamespaceBytes]", api.items("storage", after=after, limit=limit))


def get_clean_up(api: Api) -> CleanUp:
    """Ask `GET /api/v1/storage/clean-up`.

    What a clean-up would free now, and when the rest follows.
    """
    return cast("CleanUp", api.get("storage", "clean-up"))


def list_namespace_storage(
    api: Api, namespace: str, *, after: str = "", limit: int = 0
) -> Iterator[RepositoryBytes]:
    """Ask `GET /api/v1/namespaces/{namespace}/storage`.

    How many bytes each repository of a namespace has, and how many it has alone.
    """
    return cast(
        "Iterator[RepositoryBytes]",
        api.items("namespaces", namespace, "storage", after=after, limit=limit),
    )


def get_largest_blobs(api: Api, namespace: str) -> Largest:
    """Ask `GET /api/v1/namespaces/{namespace}/storage/largest`.

    The largest blobs of a namespace, and which of its repositories have them.
    """
    return cast("Largest", api.get("namespaces", namespace, "storage", "largest"))
