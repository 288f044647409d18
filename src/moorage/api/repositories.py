"""`/api/v1/repositories`: what the caller may see of them, and who else may."""

import msgspec

from moorage.api.call import Ask, Call, Route, told, told_one, told_page
from moorage.api.caller import authenticate
from moorage.api.fields import Repository, Visibility
from moorage.auth.policy import require
from moorage.errors import NotFound
from moorage.model.access import Action, RepositoryTarget, System
from moorage.model.artifacts import Repository as Record
from moorage.oci.names import RepositoryName
from moorage.registry import listing, namespaces, renaming, rights
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class NewRepository(Ask, frozen=True):
    """An empty repository to be; without a visibility, it is as its namespace says."""

    name: Repository
    visibility: Visibility | None = None


class Rename(Ask, frozen=True):
    """What the repository is to be called, in its own namespace."""

    name: Repository


class RepositoryChange(Ask, frozen=True):
    """How visible the repository is to be."""

    visibility: Visibility


class Named(msgspec.Struct, frozen=True):
    """A repository in a list."""

    name: str


class Repositories(msgspec.Struct, frozen=True):
    """A page of repositories, in ASCII order."""

    items: list[Named]


class Shown(msgspec.Struct, frozen=True):
    """A repository."""

    name: str
    namespace: str
    visibility: str


async def list_repositories(s: Services, call: Call) -> Response:
    """Answer with a page of the repositories that the caller may read."""
    actor = await authenticate(s, call)
    require(actor, Action.CATALOG, System(), await rights.find_standing(s, actor))
    page = call.page()
    found = await listing.list_repositories(s, actor, page.after, page.limit)
    items = [Named(name) for name in found.names]
    return told_page(call, items, found.names[-1] if found.more else None)


async def get_repository(s: Services, call: Call) -> Response:
    """Answer with one repository."""
    name = call.repository
    actor = await authenticate(s, call)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    if found.repository is None:
        raise NotFound
    return told_one(call, _shown(found.repository))


async def create_repository(s: Services, call: Call) -> Response:
    """Make an empty repository; a push makes one as well."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    asked = await call.asked(NewRepository)
    name = RepositoryName.parse(asked.name)
    by = change_by(actor, call.request)
    made = await namespaces.create_repository(s, actor, name, by, visibility=asked.visibility or "")
    return told(201, _shown(made), {"Location": f"/api/v1/repositories/{name}"})


async def change_repository(s: Services, call: Call) -> Response:
    """Say who finds and reads the repository besides those with a right in it."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.CONFIGURE, call.repository)
    asked = await call.asked(RepositoryChange)
    by = change_by(actor, call.request)
    changed = await namespaces.set_visibility(s, actor, call.repository, asked.visibility, by)
    return told(200, _shown(changed))


async def rename_repository(s: Services, call: Call) -> Response:
    """Give the repository another name; the one before leads to it."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.CONFIGURE, call.repository)
    asked = await call.asked(Rename)
    by = change_by(actor, call.request)
    wanted = RepositoryName.parse(asked.name)
    made = await renaming.rename_repository(s, actor, call.repository, wanted, by)
    return told(200, _shown(made))


def _shown(repository: Record) -> Shown:
    return Shown(repository.name, repository.name.namespace, repository.visibility)


ROUTES = (
    Route(
        method="GET",
        path="/repositories",
        name="list-repositories",
        summary="The repositories that the caller may read",
        action=Action.CATALOG,
        handler=list_repositories,
        gives=Repositories,
        pages=True,
    ),
    Route(
        method="POST",
        path="/repositories",
        name="create-repository",
        summary="Make an empty repository",
        action=Action.PUSH,
        handler=create_repository,
        takes=NewRepository,
        gives=Shown,
        status=201,
    ),
    Route(
        method="PATCH",
        path="/repositories/{repository}",
        name="change-repository",
        summary="Set how visible a repository is",
        action=Action.CONFIGURE,
        handler=change_repository,
        takes=RepositoryChange,
        gives=Shown,
    ),
    Route(
        method="POST",
        path="/repositories/{repository}/-/rename",
        name="rename-repository",
        summary="Give a repository another name; the one before leads to it",
        action=Action.CONFIGURE,
        handler=rename_repository,
        takes=Rename,
        gives=Shown,
    ),
    Route(
        method="GET",
        path="/repositories/{repository}",
        name="get-repository",
        summary="One repository",
        action=Action.PULL,
        handler=get_repository,
        gives=Shown,
    ),
)
