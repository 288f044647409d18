"""`/api/v1/issuers`: whose identity tokens machines may sign in with; for administrators."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, cut, done, told, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import Line
from moorage.errors import Invalid
from moorage.model.access import Action
from moorage.model.trusts import Issuer as Record
from moorage.model.trusts import IssuerKind
from moorage.registry import issuers, rights
from moorage.registry.services import Services, change_by
from moorage.web.response import Response

Keys = Annotated[str, Meta(max_length=64 << 10, pattern="^[^\\x00]*$")]


class NewIssuer(Ask, frozen=True):
    """An issuer to be registered; `jwks` is its set of keys, as a text, if it can't be reached."""

    url: Annotated[str, Meta(max_length=512, pattern="^https?://[!-~]+$")]
    kind: IssuerKind = "generic"
    shared: bool = False
    jwks: Keys = ""
    ca_file: Line = ""


class IssuerChange(Ask, frozen=True):
    """One change: whether the issuer is in force, or its keys; none to have them fetched."""

    enabled: bool | None = None
    jwks: Keys | None = None


class Issuer(msgspec.Struct, frozen=True):
    """An issuer; `shared` if strangers run workloads there too."""

    id: int
    url: str
    kind: str
    shared: bool
    own_keys: bool
    ca_file: str
    enabled: bool
    created_at: datetime | None
    created_by: str


class Issuers(msgspec.Struct, frozen=True):
    """A page of issuers, in the order of their ids."""

    items: list[Issuer]


def _shown(record: Record) -> Issuer:
    return Issuer(
        record.id,
        record.url,
        record.kind,
        record.shared,
        bool(record.jwks),
        record.ca_file,
        record.enabled,
        when(record.created_at),
        record.created_by,
    )


async def list_issuers(s: Services, call: Call) -> Response:
    """Answer with a page of issuers."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    page = call.page()
    rows = await issuers.list_issuers(s, actor, page.after_number, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_shown(each) for each in found], found[-1].id if more else None)


async def create_issuer(s: Services, call: Call) -> Response:
    """Register an issuer, once its keys have been seen."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    asked = await call.asked(NewIssuer)
    wanted = issuers.NewIssuer(
        asked.url, asked.kind, asked.shared, asked.jwks.encode(), asked.ca_file
    )
    made = await issuers.add_issuer(s, actor, wanted, change_by(actor, call.request))
    return told(201, _shown(made))


async def change_issuer(s: Services, call: Call) -> Response:
    """Put an issuer in or out of force, or give it other keys."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    asked = await call.asked(IssuerChange)
    number, by = call.number("issuer"), change_by(actor, call.request)
    if (asked.enabled is None) == (asked.jwks is None):
        raise Invalid("one change at a time: enabled, or jwks")
    if asked.jwks is not None:
        changed = await issuers.set_issuer_keys(s, actor, number, asked.jwks.encode(), by)
        return told(200, _shown(changed))
    is_enabled = bool(asked.enabled)
    changed = await issuers.set_issuer_enabled(s, actor, number, by, enabled=is_enabled)
    return told(200, _shown(changed))


async def delete_issuer(s: Services, call: Call) -> Response:
    """Forget an issuer that no trust names."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    by = change_by(actor, call.request)
    await issuers.remove_issuer(s, actor, call.number("issuer"), by)
    return done()


_ONE = "/issuers/{issuer}"
ROUTES = (
    Route(
        method="GET",
        path="/issuers",
        name="list-issuers",
        summary="Whose identity tokens may be trusted",
        action=Action.ADMINISTER,
        handler=list_issuers,
        gives=Issuers,
        pages=True,
    ),
    Route(
        method="POST",
        path="/issuers",
        name="create-issuer",
        summary="Register an issuer",
        action=Action.ADMINISTER,
        handler=create_issuer,
        takes=NewIssuer,
        gives=Issuer,
        status=201,
    ),
    Route(
        method="PATCH",
        path=_ONE,
        name="change-issuer",
        summary="Put an issuer in or out of force, or give it other keys",
        action=Action.ADMINISTER,
        handler=change_issuer,
        takes=IssuerChange,
        gives=Issuer,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        name="delete-issuer",
        summary="Forget an issuer that no trust names",
        action=Action.ADMINISTER,
        handler=delete_issuer,
        status=204,
        clashes=True,
    ),
)
