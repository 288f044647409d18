"""`…/-/trash` and what comes out of it: manifests, and repositories as a whole."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, cut, done, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import Repository as RepositoryField
from moorage.auth.policy import require
from moorage.errors import NotFound
from moorage.model.access import Action, RepositoryTarget
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName
from moorage.registry import repositories, restore, rights, trash, usage
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class Deleted(msgspec.Struct, frozen=True):
    """Something that was deleted; it can be restored until then."""

    id: int
    digest: str
    media_type: str
    size: int
    until: datetime | None


class Trash(msgspec.Struct, frozen=True):
    """A page of what is in a repository's trash, in the order of ids."""

    items: list[Deleted]


class Removed(msgspec.Struct, frozen=True):
    """A repository that was deleted; it can be restored until then."""

    id: int
    name: str
    visibility: str
    until: datetime | None


class RemovedRepositories(msgspec.Struct, frozen=True):
    """A page of deleted repositories, in the order of ids."""

    items: list[Removed]


class Restored(msgspec.Struct, frozen=True):
    """A manifest that is there again; `manifests` and so many blobs came out of the trash."""

    digest: str
    manifests: list[str]
    blobs: int


class RestoreRepository(Ask, frozen=True):
    """Which of the deleted repositories of that name, if not the last one, and under what name."""

    id: Annotated[int, Meta(ge=1, le=10**15)] | None = None
    name: RepositoryField | None = None


class Repository(msgspec.Struct, frozen=True):
    """A repository that is there again."""

    name: str
    namespace: str
    visibility: str


class Usage(msgspec.Struct, frozen=True):
    """Bytes of a namespace's blobs, each counted once; those of `trash` only the trash holds."""

    bytes: int
    trash: int


async def list_manifests(s: Services, call: Call) -> Response:
    """Answer with a page of the manifests in a repository's trash."""
    return await _told_page(s, call, "manifest")


async def list_blobs(s: Services, call: Call) -> Response:
    """Answer with a page of the blobs in a repository's trash."""
    return await _told_page(s, call, "blob")


async def restore_manifest(s: Services, call: Call) -> Response:
    """Take a manifest out of the trash, with what it names."""
    name = call.repository
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.DELETE, name)
    digest = Digest.parse(call.text("digest"))
    by = change_by(actor, call.request)
    made = await restore.restore_manifest(s, actor, name, digest, by)
    return told(200, Restored(made.digest, list(made.manifests), made.blobs))


async def delete_repository(s: Services, call: Call) -> Response:
    """Put a repository into the trash, with all that is in it."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.DELETE, call.repository)
    by = change_by(actor, call.request)
    await repositories.delete_repository(s, actor, call.repository, by)
    return done()


async def restore_repository(s: Services, call: Call) -> Response:
    """Bring back a repository that was deleted."""
    name = call.repository
    actor = await authenticate(s, call)
    await repositories.require_removed(s, actor, name)
    asked = await call.asked(RestoreRepository)
    made = await repositories.restore_repository(
        s,
        actor,
        name,
        change_by(actor, call.request),
        number=asked.id or 0,
        new_name=RepositoryName.parse(asked.name) if asked.name is not None else None,
    )
    return told(200, Repository(made.name, made.name.namespace, made.visibility))


async def list_removed(s: Services, call: Call) -> Response:
    """Answer with a page of the repositories in a namespace's trash."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.DELETE, call.namespace)
    page = call.page()
    rows = await repositories.list_removed(
        s, actor, call.namespace, page.after_number, page.limit + 1
    )
    found, more = cut(rows, page.limit)
    items = [Removed(each.id, each.name, each.visibility, when(each.until)) for each in found]
    return told_page(call, items, found[-1].id if more else None)


async def get_usage(s: Services, call: Call) -> Response:
    """Answer with what a namespace takes."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.PULL, call.namespace)
    found = await usage.namespace_usage(s, actor, call.namespace)
    return told_one(call, Usage(found.bytes, found.trash))


async def _told_page(s: Services, call: Call, kind: str) -> Response:
    name = call.repository
    actor = await authenticate(s, call)
    found = await rights.find(s, actor, name)
    require(actor, Action.DELETE, RepositoryTarget(name), found.facts)
    if found.repository is None:
        raise NotFound
    page = call.page()
    rows = await trash.list_items(s, actor, name, kind, page.after_number, page.limit + 1)
    items, more = cut(rows, page.limit)
    told_items = [
        Deleted(each.id, each.digest, each.media_type, each.size, when(each.until))
        for each in items
    ]
    return told_page(call, told_items, items[-1].id if more else None)


ROUTES = (
    Route(
        method="GET",
        path="/repositories/{repository}/-/trash/manifests",
        name="list-trashed-manifests",
        summary="The manifests of a repository that were deleted and can be restored",
        action=Action.DELETE,
        handler=list_manifests,
        gives=Trash,
        pages=True,
    ),
    Route(
        method="GET",
        path="/repositories/{repository}/-/trash/blobs",
        name="list-trashed-blobs",
        summary="The blobs of a repository that were deleted by themselves",
        action=Action.DELETE,
        handler=list_blobs,
        gives=Trash,
        pages=True,
    ),
    Route(
        method="POST",
        path="/repositories/{repository}/-/manifests/{digest}/restore",
        name="restore-manifest",
        summary="Take a manifest out of the trash, with what it names",
        action=Action.DELETE,
        handler=restore_manifest,
        gives=Restored,
    ),
    Route(
        method="DELETE",
        path="/repositories/{repository}",
        name="delete-repository",
        summary="Put a repository into the trash",
        action=Action.DELETE,
        handler=delete_repository,
        status=204,
    ),
    Route(
        method="POST",
        path="/repositories/{repository}/-/restore",
        name="restore-repository",
        summary="Bring back a repository that was deleted",
        action=Action.DELETE,
        handler=restore_repository,
        takes=RestoreRepository,
        gives=Repository,
    ),
    Route(
        method="GET",
        path="/namespaces/{namespace}/trash",
        name="list-removed-repositories",
        summary="The repositories of a namespace that were deleted and can be restored",
        action=Action.DELETE,
        handler=list_removed,
        gives=RemovedRepositories,
        pages=True,
    ),
    Route(
        method="GET",
        path="/namespaces/{namespace}/usage",
        name="get-usage",
        summary="How many bytes a namespace takes, and how many only its trash holds",
        action=Action.PULL,
        handler=get_usage,
        gives=Usage,
    ),
)
