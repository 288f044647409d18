"""What was pushed last, of what the caller may read.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import TypedDict, cast

from moorage.client.api import Api


class Push(TypedDict):
    """A manifest that was pushed, with the tags that named it from then on.

    `is_deleted` says that it has been deleted since.
    """

    repository: str
    digest: str
    media_type: str
    tags: list[str]
    at: str | None
    is_deleted: bool


def list_pushes(api: Api, *, limit: int = 0) -> Iterator[Push]:
    """Ask `GET /api/v1/pushes`.

    What was pushed last, newest first.
    """
    return cast("Iterator[Push]", api.items("pushes", limit=limit))
