"""`/api/v1/storage` and `…/storage`: what is stored for whom, and what a clean-up would free."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from moorage.api.call import Call, Route, cut, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.auth.policy import require
from moorage.model.access import Action, System
from moorage.registry import rights, storage
from moorage.registry.services import Services
from moorage.web.response import Response

_LARGEST = 20


class NamespaceBytes(msgspec.Struct, frozen=True):
    """A namespace and its bytes, each blob counted once; null for who may not read all of it."""

    name: str
    kind: str
    bytes: int | None


class NamespacesBytes(msgspec.Struct, frozen=True):
    """A page of namespaces, in ASCII order."""

    items: list[NamespaceBytes]


class RepositoryBytes(msgspec.Struct, frozen=True):
    """A repository's bytes, and those that no other one of its namespace has.

    With `more`, it has more than were added up.
    """

    name: str
    bytes: int
    own: int
    blobs: int
    more: bool


class RepositoriesBytes(msgspec.Struct, frozen=True):
    """A page of repositories, in ASCII order."""

    items: list[RepositoryBytes]


class LargeBlob(msgspec.Struct, frozen=True):
    """A blob, and some of the repositories of the namespace that have it."""

    digest: str
    size: int
    repositories: Sequence[str]
    more: bool


class Largest(msgspec.Struct, frozen=True):
    """The largest blobs of a namespace; with `more`, not all of it was looked at."""

    items: list[LargeBlob]
    more: bool


class CleanUp(msgspec.Struct, frozen=True):
    """What a clean-up would free: now, later, and once the candidates have gone."""

    due_objects: int
    due_bytes: int
    later_objects: int
    later_bytes: int
    first_at: datetime | None
    last_at: datetime | None
    candidates: int
    candidate_bytes: int
    paused: str
    more: bool


async def list_namespaces(s: Services, call: Call) -> Response:
    """Answer with a page of the namespaces that the caller sees, with their bytes."""
    actor = await authenticate(s, call)
    require(actor, Action.CATALOG, System(), await rights.find_standing(s, actor))
    page = call.page()
    rows = await storage.list_namespaces(s, actor, page.after, page.limit + 1)
    found, more = cut(rows, page.limit)
    items = [NamespaceBytes(each.name, each.kind, each.bytes) for each in found]
    return told_page(call, items, found[-1].name if more else None)


async def list_repositories(s: Services, call: Call) -> Response:
    """Answer with a page of a namespace's repositories, with their bytes."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.PULL, call.namespace)
    page = call.page()
    found = await storage.list_repositories(s, actor, call.namespace, page.after, page.limit)
    items = [
        RepositoryBytes(each.name, each.bytes, each.own, each.blobs, each.more)
        for each in found.rows
    ]
    return told_page(call, items, found.after or None)


async def get_largest(s: Services, call: Call) -> Response:
    """Answer with the largest blobs of a namespace."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.PULL, call.namespace)
    found = await storage.list_largest(s, actor, call.namespace, _LARGEST)
    items = [LargeBlob(each.digest, each.size, each.repositories, each.more) for each in found.rows]
    return told_one(call, Largest(items, found.more))


async def get_clean_up(s: Services, call: Call) -> Response:
    """Answer with what a clean-up would free."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    found = await storage.plan_clean_up(s, actor)
    told = CleanUp(
        found.due_objects,
        found.due_bytes,
        found.later_objects,
        found.later_bytes,
        when(found.first_at),
        when(found.last_at),
        found.candidates,
        found.candidate_bytes,
        found.paused,
        found.more,
    )
    return told_one(call, told)


ROUTES = (
    Route(
        method="GET",
        path="/storage",
        name="list-storage",
        summary="How many bytes each namespace has",
        action=Action.CATALOG,
        handler=list_namespaces,
        gives=NamespacesBytes,
        pages=True,
    ),
    Route(
        method="GET",
        path="/storage/clean-up",
        name="get-clean-up",
        summary="What a clean-up would free now, and when the rest follows",
        action=Action.ADMINISTER,
        handler=get_clean_up,
        gives=CleanUp,
    ),
    Route(
        method="GET",
        path="/namespaces/{namespace}/storage",
        name="list-namespace-storage",
        summary="How many bytes each repository of a namespace has, and how many it has alone",
        action=Action.PULL,
        handler=list_repositories,
        gives=RepositoriesBytes,
        pages=True,
    ),
    Route(
        method="GET",
        path="/namespaces/{namespace}/storage/largest",
        name="get-largest-blobs",
        summary="The largest blobs of a namespace, and which of its repositories have them",
        action=Action.PULL,
        handler=get_largest,
        gives=Largest,
    ),
)
