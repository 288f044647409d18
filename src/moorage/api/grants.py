"""`…/grants`: who has which role in a namespace, or in one repository of it."""

from datetime import datetime

import msgspec

from moorage.api.call import Ask, Call, Handler, Route, cut, done, told, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import RoleName
from moorage.db.members import home_of
from moorage.errors import NotFound
from moorage.model.access import Action, Actor, Role
from moorage.model.people import GrantRecord
from moorage.registry import grants, rights
from moorage.registry.grants import Where
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class GrantedRole(Ask, frozen=True):
    """The role that is to be given, in the place of any other."""

    role: RoleName


class Grant(msgspec.Struct, frozen=True):
    """Who has which role; `repository` is empty where it is for all of the namespace."""

    kind: str
    principal: str
    role: str
    repository: str
    granted_at: datetime | None
    granted_by: str


class Grants(msgspec.Struct, frozen=True):
    """A page of grants."""

    items: list[Grant]


def shown(record: GrantRecord) -> Grant:
    """Return a grant as answers have it."""
    return Grant(
        record.kind,
        record.who,
        record.role.value,
        record.repository,
        when(record.granted_at),
        record.granted_by,
    )


async def list_grants(s: Services, call: Call) -> Response:
    """Answer with a page of the namespace's grants, those on its repositories among them."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)
    return await _told_page(s, actor, call, Where(call.namespace))


async def put_grant(s: Services, call: Call) -> Response:
    """Give a role in all of the namespace."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    return await _put(s, actor, call, Where(call.namespace))


async def revoke_grant(s: Services, call: Call) -> Response:
    """Take the role that somebody has in all of the namespace."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    return await _revoke(s, actor, call, Where(call.namespace))


async def list_repository_grants(s: Services, call: Call) -> Response:
    """Answer with a page of the grants on one repository alone."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.SEE_ACCESS, call.repository)
    return await _told_page(s, actor, call, Where.of(call.repository))


async def put_repository_grant(s: Services, call: Call) -> Response:
    """Give a role on one repository."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.MANAGE_ACCESS, call.repository)
    return await _put(s, actor, call, Where.of(call.repository))


async def revoke_repository_grant(s: Services, call: Call) -> Response:
    """Take the role that somebody has on one repository."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.MANAGE_ACCESS, call.repository)
    return await _revoke(s, actor, call, Where.of(call.repository))


async def _told_page(s: Services, actor: Actor, call: Call, where: Where) -> Response:
    page = call.page()
    rows = await grants.list_grants(s, actor, where, page.after_pair, page.limit + 1)
    found, more = cut(rows, page.limit)
    after = f"{found[-1].repository_id}.{found[-1].principal_id}" if more else None
    return told_page(call, [shown(each) for each in found], after)


async def _put(s: Services, actor: Actor, call: Call, where: Where) -> Response:
    who = _principal(call)
    asked = await call.asked(GrantedRole)
    by = change_by(actor, call.request)
    return told(200, shown(await grants.put_grant(s, actor, where, who, Role(asked.role), by)))


async def _revoke(s: Services, actor: Actor, call: Call, where: Where) -> Response:
    await grants.revoke_grant(s, actor, where, _principal(call), change_by(actor, call.request))
    return done()


def _principal(call: Call) -> str:
    """Return the account, robot or team in the path.

    Raises:
        NotFound: nothing of that kind can have the name.
    """
    who = call.text("principal")
    kind, _ = home_of(who)
    if kind != call.text("kind"):
        raise NotFound
    return who


def _routes(
    path: str, of: str, where: str, handlers: tuple[Handler, Handler, Handler]
) -> tuple[Route, ...]:
    return (
        Route(
            method="GET",
            path=path,
            name=f"list-{of}s",
            summary=f"Who has which role {where}",
            action=Action.SEE_ACCESS,
            handler=handlers[0],
            gives=Grants,
            pages=True,
        ),
        Route(
            method="PUT",
            path=path + "/{kind}/{principal}",
            name=f"put-{of}",
            summary=f"Give a role {where}",
            action=Action.MANAGE_ACCESS,
            handler=handlers[1],
            takes=GrantedRole,
            gives=Grant,
            clashes=True,
        ),
        Route(
            method="DELETE",
            path=path + "/{kind}/{principal}",
            name=f"revoke-{of}",
            summary=f"Take a role {where}",
            action=Action.MANAGE_ACCESS,
            handler=handlers[2],
            status=204,
            clashes=True,
        ),
    )


ROUTES = (
    *_routes(
        "/namespaces/{namespace}/grants",
        "grant",
        "in a namespace",
        (list_grants, put_grant, revoke_grant),
    ),
    *_routes(
        "/repositories/{repository}/-/grants",
        "repository-grant",
        "on one repository",
        (list_repository_grants, put_repository_grant, revoke_repository_grant),
    ),
)
