"""Content is removed at once and for good, everywhere.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class AskedPurge(TypedDict):
    """What is to go, and why, for the trail; with `dry_run` it is only told what would go."""

    digest: str
    dry_run: bool
    reason: NotRequired[str]


class Affected(TypedDict):
    """A repository, and what goes from it."""

    name: str
    manifests: list[str]
    tags: list[str]


class Holding(TypedDict):
    """A backup that holds it still; where that can't be looked up from the server, it may."""

    id: str
    host: str
    place: str
    taken_at: str | None
    certain: bool


class Purged(TypedDict):
    """What goes, or would; `objects` are the files or objects with the bytes of a blob."""

    digest: str
    done: bool
    repositories: list[Affected]
    objects: int
    backups: list[Holding]


def purge_content(api: Api, document: AskedPurge) -> Purged:
    """Ask `POST /api/v1/purge`.

    Remove content at once and for good, everywhere, or tell what would go.
    """
    return cast("Purged", api.send("POST", "purge", document=document))
