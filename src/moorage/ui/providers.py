"""`/admin/providers`: the OpenID providers that people sign in by."""

from moorage.model.access import Action
from moorage.registry import providers, rights
from moorage.registry.services import Services, change_by
from moorage.ui.admin import CRUMB
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.web.response import Response


async def list_providers(s: Services, visit: Visit) -> View:
    """Show a page of the OpenID providers that people sign in by."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    rows, is_more = cut(
        await providers.list_providers(s, actor, visit.parameter("after"), ROWS + 1)
    )
    facts = {
        "providers": [
            {
                "name": each.name,
                "url": each.url,
                "client_id": each.client_id,
                "enabled": each.enabled,
                "created_at": when(each.created_at),
            }
            for each in rows
        ],
        "next": more(visit, rows[-1].name if is_more else None),
    }
    crumbs = (CRUMB, ("Providers", ""))
    return View("providers.html", "Providers", facts, "admin", "providers", crumbs)


async def change_provider(s: Services, visit: Visit) -> Response:
    """Let people sign in by a provider, or nobody from now on."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    enabled, by = visit.field("enabled") == "yes", change_by(actor, visit.request)
    await providers.set_enabled(s, actor, visit.field("name"), by, enabled=enabled)
    return go("/admin/providers", "enabled" if enabled else "disabled")


async def create(s: Services, visit: Visit) -> Response:
    """Register a provider, once it has answered; its secret is sealed and never shown."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    wanted = providers.NewProvider(
        name=visit.line("name", 64),
        url=visit.line("url", 512),
        client_id=visit.line("client", 512),
        secret=visit.line("secret", 512),
    )
    await providers.add_provider(s, actor, wanted, change_by(actor, visit.request))
    return go("/admin/providers", "created")


async def remove(s: Services, visit: Visit) -> Response:
    """Forget a provider that no account and no team hangs on."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    name = visit.field("name")
    await providers.remove_provider(s, actor, name, change_by(actor, visit.request))
    return go("/admin/providers", "removed")


PAGES = (
    Page(
        name="providers",
        path="/admin/providers",
        action=Action.ADMINISTER,
        show=list_providers,
        acts={"create": create, "change": change_provider, "remove": remove},
    ),
)
