"""Who did what, and what was refused, newest first.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Any, TypedDict, cast

from moorage.client.api import Api


class Entry(TypedDict):
    """An entry; `place` is 0 and `seal` empty before it is sealed."""

    id: int
    at: str | None
    actor: str
    credential: str
    address: str
    request: str
    action: str
    namespace_id: int
    repository_id: int
    detail: dict[str, Any]
    place: int
    seal: str


def list_entries(
    api: Api,
    *,
    namespace: str = "",
    repository: str = "",
    actor: str = "",
    event: str = "",
    after: str = "",
    limit: int = 0,
) -> Iterator[Entry]:
    """Ask `GET /api/v1/audit`.

    Who did what, newest first.
    """
    return cast(
        "Iterator[Entry]",
        api.items(
            "audit",
            namespace=namespace,
            repository=repository,
            actor=actor,
            event=event,
            after=after,
            limit=limit,
        ),
    )
