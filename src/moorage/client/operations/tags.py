"""The tags of a repository, as they are or were, and how each came to be so.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class By(TypedDict):
    """Through what something came about; by whom is null for those who may not know."""

    through: str
    through_id: str
    actor: str | None
    credential: str | None
    request: str | None


class Tag(TypedDict):
    """A tag: what it names, since when, and through what.

    Of one that was deleted it is what it named, since when it does not, and through what;
    `is_deleted` says that the image which it names, or named then, has been deleted since.
    """

    name: str
    digest: str
    version: int
    since: str | None
    by: By
    is_deleted: bool


class Move(TypedDict):
    """A move of a tag; without a digest before it was made, without one after it ended.

    What either names may have been deleted since.
    """

    version: int
    at: str | None
    before: str | None
    after: str | None
    by: By
    before_is_deleted: bool
    after_is_deleted: bool


class RestoreTag(TypedDict):
    """What a tag is to name again: of its history, by digest or by version, and not by both.

    With neither it is what it named before its last move.
    """

    digest: NotRequired[str | None]
    version: NotRequired[int | None]


class RestoredTag(TypedDict):
    """A tag as it is again, and what it named just before; `manifests` came out of the trash."""

    name: str
    digest: str
    before: str | None
    manifests: list[str]


def list_tags(
    api: Api,
    repository: str,
    *,
    as_of: str = "",
    deleted: str = "",
    after: str = "",
    limit: int = 0,
) -> Iterator[Tag]:
    """Ask `GET /api/v1/repositories/{repository}/-/tags`.

    The tags of a repository as they are or were at some time, or those deleted.
    """
    return cast(
        "Iterator[Tag]",
        api.items(
            "repositories",
            repository,
            "-",
            "tags",
            as_of=as_of,
            deleted=deleted,
            after=after,
            limit=limit,
        ),
    )


def list_tag_moves(
    api: Api, repository: str, tag: str, *, after: str = "", limit: int = 0
) -> Iterator[Move]:
    """Ask `GET /api/v1/repositories/{repository}/-/tags/{tag}/history`.

    How a tag came to be what it is, newest first.
    """
    return cast(
        "Iterator[Move]",
        api.items(
            "repositories", repository, "-", "tags", tag, "history", after=after, limit=limit
        ),
    )


def restore_tag(api: Api, repository: str, tag: str, document: RestoreTag) -> RestoredTag:
    """Ask `POST /api/v1/repositories/{repository}/-/tags/{tag}/restore`.

    Have a tag name what it named before.
    """
    return cast(
        "RestoredTag",
        api.send(
            "POST", "repositories", repository, "-", "tags", tag, "restore", document=document
        ),
    )
