"""Manifests, and repositories as a whole.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class Deleted(TypedDict):
    """Something that was deleted; it can be restored until then."""

    id: int
    digest: str
    media_type: str
    size: int
    until: str | None


class Restored(TypedDict):
    """A manifest that is there again; `manifests` and so many blobs came out of the trash."""

    digest: str
    manifests: list[str]
    blobs: int


class RestoreRepository(TypedDict):
    """Which of the deleted repositories of that name, if not the last one, and under what name."""

    id: NotRequired[int | None]
    name: NotRequired[str | None]


class Repository(TypedDict):
    """A repository that is there again."""

    name: str
    namespace: str
    visibility: str


class Removed(TypedDict):
    """A repository that was deleted; it can be restored until then."""

    id: int
    name: str
    visibility: str
    until: str | None


class Usage(TypedDict):
    """Bytes of a namespace's blobs, each counted once; those of `trash` only the trash holds."""

    bytes: int
    trash: int


def delete_repository(api: Api, repository: str) -> None:
    """Ask `DELETE /api/v1/repositories/{repository}`.

    Put a repository into the trash.
    """
    api.send("DELETE", "repositories", repository)


def list_trashed_manifests(
    api: Api, repository: str, *, after: str = "", limit: int = 0
) -> Iterator[Deleted]:
    """Ask `GET /api/v1/repositories/{repository}/-/trash/manifests`.

    The manifests of a repository that were deleted and can be restored.
    """
    return cast(
        "Iterator[Deleted]",
        api.items("repositories", repository, "-", "trash", "manifests", after=after, limit=limit),
    )


def list_trashed_blobs(
    api: Api, repository: str, *, after: str = "", limit: int = 0
) -> Iterator[Deleted]:
    """Ask `GET /api/v1/repositories/{repository}/-/trash/blobs`.

    The blobs of a repository that were deleted by themselves.
    """
    return cast(
        "Iterator[Deleted]",
        api.items("repositories", repository, "-", "trash", "blobs", after=after, limit=limit),
    )


def restore_manifest(api: Api, repository: str, digest: str) -> Restored:
    """Ask `POST /api/v1/repositories/{repository}/-/manifests/{digest}/restore`.

    Take a manifest out of the trash, with what it names.
    """
    return cast(
        "Restored",
        api.send("POST", "repositories", repository, "-", "manifests", digest, "restore"),
    )


def restore_repository(api: Api, repository: str, document: RestoreRepository) -> Repository:
    """Ask `POST /api/v1/repositories/{repository}/-/restore`.

    Bring back a repository that was deleted.
    """
    return cast(
        "Repository",
        api.send("POST", "repositories", repository, "-", "restore", document=document),
    )


def list_removed_repositories(
    api: Api, namespace: str, *, after: str = "", limit: int = 0
) -> Iterator[Removed]:
    """Ask `GET /api/v1/namespaces/{namespace}/trash`.

    The repositories of a namespace that were deleted and can be restored.
    """
    return cast(
        "Iterator[Removed]", api.items("namespaces", namespace, "trash", after=after, limit=limit)
    )


def get_usage(api: Api, namespace: str) -> Usage:
    """Ask `GET /api/v1/namespaces/{namespace}/usage`.

    How many bytes a namespace takes, and how many only its trash holds.
    """
    return cast("Usage", api.get("namespaces", namespace, "usage"))
