"""`/api/v1/namespaces`: personal ones and organisations."""

import msgspec

from moorage.api.call import Ask, Call, Route, cut, done, told, told_one, told_page
from moorage.api.caller import authenticate
from moorage.api.fields import Name, Visibility
from moorage.auth.policy import require
from moorage.model.access import Action, System
from moorage.model.people import NamespaceRecord
from moorage.registry import namespaces, rights
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class NewNamespace(Ask, frozen=True):
    """An organisation to be; its repositories will be as visible as it says."""

    name: Name
    visibility: Visibility = "private"


class NamespaceChange(Ask, frozen=True):
    """How visible repositories are to be that are made from now on."""

    visibility: Visibility


class Namespace(msgspec.Struct, frozen=True):
    """A namespace; `visibility` is that of the repositories which will be made in it."""

    name: str
    kind: str
    visibility: str


class Namespaces(msgspec.Struct, frozen=True):
    """A page of namespaces, in ASCII order."""

    items: list[Namespace]


def _shown(record: NamespaceRecord) -> Namespace:
    return Namespace(record.name, record.kind, record.visibility)


async def list_namespaces(s: Services, call: Call) -> Response:
    """Answer with the namespaces in which the caller has any right; administrators see all."""
    actor = await authenticate(s, call)
    require(actor, Action.CATALOG, System(), await rights.find_standing(s, actor))
    page = call.page()
    found, more = cut(
        await namespaces.list_namespaces(s, actor, page.after, page.limit + 1), page.limit
    )
    return told_page(call, [_shown(each) for each in found], found[-1].name if more else None)


async def create_namespace(s: Services, call: Call) -> Response:
    """Make an organisation, whose owner is whoever made it."""
    actor = await authenticate(s, call)
    require(actor, Action.CREATE_NAMESPACE, System(), await rights.find_standing(s, actor))
    asked = await call.asked(NewNamespace)
    by = change_by(actor, call.request)
    made = await namespaces.create_organisation(
        s, actor, asked.name, by, visibility=asked.visibility
    )
    return told(201, _shown(made), {"Location": f"/api/v1/namespaces/{made.name}"})


async def get_namespace(s: Services, call: Call) -> Response:
    """Answer with one namespace."""
    actor = await authenticate(s, call)
    found = await rights.require_namespace(s, actor, Action.PULL, call.namespace)
    return told_one(call, _shown(found))


async def change_namespace(s: Services, call: Call) -> Response:
    """Say how visible new repositories of the namespace are to be."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.CONFIGURE, call.namespace)
    asked = await call.asked(NamespaceChange)
    by = change_by(actor, call.request)
    changed = await namespaces.set_default_visibility(
        s, actor, call.namespace, asked.visibility, by
    )
    return told(200, _shown(changed))


async def delete_namespace(s: Services, call: Call) -> Response:
    """Remove a namespace that has nothing in it any more."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    await namespaces.delete_namespace(s, actor, call.namespace, change_by(actor, call.request))
    return done()


_PATH = "/namespaces"
_ONE = "/namespaces/{namespace}"
ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        name="list-namespaces",
        summary="The namespaces in which the caller has any right",
        action=Action.CATALOG,
        handler=list_namespaces,
        gives=Namespaces,
        pages=True,
    ),
    Route(
        method="POST",
        path=_PATH,
        name="create-namespace",
        summary="Make an organisation",
        action=Action.CREATE_NAMESPACE,
        handler=create_namespace,
        takes=NewNamespace,
        gives=Namespace,
        status=201,
    ),
    Route(
        method="GET",
        path=_ONE,
        name="get-namespace",
        summary="One namespace",
        action=Action.PULL,
        handler=get_namespace,
        gives=Namespace,
    ),
    Route(
        method="PATCH",
        path=_ONE,
        name="change-namespace",
        summary="Set how visible new repositories are",
        action=Action.CONFIGURE,
        handler=change_namespace,
        takes=NamespaceChange,
        gives=Namespace,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        name="delete-namespace",
        summary="Remove an empty namespace",
        action=Action.MANAGE_ACCESS,
        handler=delete_namespace,
        status=204,
        clashes=True,
    ),
)
