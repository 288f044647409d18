"""`/api/v1/repositories`: what the caller may see of them."""

import msgspec

from moorage.api.call import Call, Route, told_one, told_page
from moorage.api.caller import authenticate
from moorage.auth.policy import require
from moorage.errors import NotFound
from moorage.model.access import Action, RepositoryTarget, System
from moorage.registry import listing, rights
from moorage.registry.services import Services
from moorage.web.response import Response


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
    return told_one(call, Shown(name, name.namespace, found.repository.visibility))


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
        method="GET",
        path="/repositories/{repository}",
        name="get-repository",
        summary="One repository",
        action=Action.PULL,
        handler=get_repository,
        gives=Shown,
    ),
)
