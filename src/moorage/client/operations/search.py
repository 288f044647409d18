"""Names, tags, labels, digests and descriptions that the caller may read.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Literal, NotRequired, TypedDict, cast

from moorage.client.api import Api


class Hit(TypedDict):
    """Something that was found; it has the fields that its kind has.

    `match` is `exact`, `prefix` or `part`. `tags` are of the image that has the digest or label,
    up to five of them.
    """

    kind: Literal["digest", "label", "repository", "tag"]
    match: Literal["exact", "part", "prefix"]
    repository: str
    tags: NotRequired[list[str]]
    digest: NotRequired[str]
    label: NotRequired[str]
    description: NotRequired[str]


def search(
    api: Api, *, q: str = "", kind: str = "", after: str = "", limit: int = 0
) -> Iterator[Hit]:
    """Ask `GET /api/v1/search`.

    What has all the words of a text, of what the caller may read.
    """
    return cast("Iterator[Hit]", api.items("search", q=q, kind=kind, after=after, limit=limit))
