"""`/api/v1/providers`: where people from outside sign in; for administrators."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, cut, done, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import Name
from moorage.errors import Invalid
from moorage.model.access import Action
from moorage.model.providers import Provider as Record
from moorage.registry import providers, rights
from moorage.registry.services import Services, change_by
from moorage.web.response import Response

Printed = Annotated[str, Meta(min_length=1, max_length=512, pattern="^[^\\x00-\\x1f\\x7f]*$")]
Perhaps = Annotated[str, Meta(max_length=512, pattern="^[^\\x00-\\x1f\\x7f]*$")]


class NewProvider(Ask, frozen=True):
    """A provider to be registered; it must answer at its address already.

    `name_claim` and `groups_claim` are claims of its identity tokens.
    """

    name: Name
    url: Annotated[str, Meta(max_length=512, pattern="^https?://[!-~]+$")]
    client_id: Printed
    client_secret: Perhaps = ""
    scopes: Printed = "openid profile email"
    name_claim: Printed = "preferred_username"
    groups_claim: Perhaps = "groups"


class ProviderChange(Ask, frozen=True):
    """One change: whether people may sign in by it, or the registry's secret there."""

    enabled: bool | None = None
    client_secret: Perhaps | None = None


class Provider(msgspec.Struct, frozen=True):
    """A provider; its secret is never shown. `sign_in` is the path where people begin."""

    name: str
    url: str
    client_id: str
    has_secret: bool
    scopes: str
    name_claim: str
    groups_claim: str
    enabled: bool
    created_at: datetime | None
    sign_in: str


class Providers(msgspec.Struct, frozen=True):
    """A page of providers, in ASCII order."""

    items: list[Provider]


def _shown(record: Record) -> Provider:
    return Provider(
        record.name,
        record.url,
        record.client_id,
        bool(record.secret),
        record.scopes,
        record.name_claim,
        record.groups_claim,
        record.enabled,
        when(record.created_at),
        f"/sign-in/{record.name}",
    )


async def list_providers(s: Services, call: Call) -> Response:
    """Answer with a page of providers."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    page = call.page()
    rows = await providers.list_providers(s, actor, page.after, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_shown(each) for each in found], found[-1].name if more else None)


async def create_provider(s: Services, call: Call) -> Response:
    """Register a provider, once it has answered."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    asked = await call.asked(NewProvider)
    wanted = providers.NewProvider(
        asked.name,
        asked.url,
        asked.client_id,
        asked.client_secret,
        asked.scopes,
        asked.name_claim,
        asked.groups_claim,
    )
    made = await providers.add_provider(s, actor, wanted, change_by(actor, call.request))
    return told(201, _shown(made), {"Location": f"/api/v1/providers/{made.name}"})


async def get_provider(s: Services, call: Call) -> Response:
    """Answer with one provider."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    return told_one(call, _shown(await providers.find_provider(s, actor, call.name("provider"))))


async def change_provider(s: Services, call: Call) -> Response:
    """Let people sign in by a provider or not, or keep another secret for it."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    asked = await call.asked(ProviderChange)
    name, by = call.name("provider"), change_by(actor, call.request)
    if (asked.enabled is None) == (asked.client_secret is None):
        raise Invalid("one change at a time: enabled, or client_secret")
    if asked.client_secret is not None:
        return told(
            200, _shown(await providers.set_secret(s, actor, name, asked.client_secret, by))
        )
    is_enabled = bool(asked.enabled)
    return told(200, _shown(await providers.set_enabled(s, actor, name, by, enabled=is_enabled)))


async def delete_provider(s: Services, call: Call) -> Response:
    """Forget a provider that no account and no team hangs on."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    await providers.remove_provider(s, actor, call.name("provider"), change_by(actor, call.request))
    return done()


_ONE = "/providers/{provider}"
ROUTES = (
    Route(
        method="GET",
        path="/providers",
        name="list-providers",
        summary="Where people from outside sign in",
        action=Action.ADMINISTER,
        handler=list_providers,
        gives=Providers,
        pages=True,
    ),
    Route(
        method="POST",
        path="/providers",
        name="create-provider",
        summary="Register a provider that people sign in by",
        action=Action.ADMINISTER,
        handler=create_provider,
        takes=NewProvider,
        gives=Provider,
        status=201,
    ),
    Route(
        method="GET",
        path=_ONE,
        name="get-provider",
        summary="One provider",
        action=Action.ADMINISTER,
        handler=get_provider,
        gives=Provider,
    ),
    Route(
        method="PATCH",
        path=_ONE,
        name="change-provider",
        summary="Let people sign in by a provider or not, or keep another secret for it",
        action=Action.ADMINISTER,
        handler=change_provider,
        takes=ProviderChange,
        gives=Provider,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        name="delete-provider",
        summary="Forget a provider that no account and no team hangs on",
        action=Action.ADMINISTER,
        handler=delete_provider,
        status=204,
        clashes=True,
    ),
)
