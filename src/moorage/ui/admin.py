"""`/admin`: accounts and links for new ones, and who else says who somebody is."""

from collections.abc import Mapping

from moorage.auth.address import address_of
from moorage.model.access import Action
from moorage.registry import accounts, issuers, links, providers, rights
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, Show, View, Visit, cut, go, more, when
from moorage.web.response import Response

_CRUMB = ("Admin", "/admin")


async def list_accounts(s: Services, visit: Visit) -> View:
    """Show a page of the accounts."""
    return await _accounts(s, visit)


async def make_link(s: Services, visit: Visit) -> View:
    """Make a link for a new account or a new password; it is on this one page only."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    name, by = visit.field("name").strip(), change_by(actor, visit.request)
    if visit.field("kind") == "password":
        made = await links.make_password_link(s, actor, name, by)
    else:
        made = await links.invite(s, actor, by, name=name)
    base = address_of(s.config, visit.request).base
    told: dict[str, object] = {
        "kind": made.kind,
        "name": made.name,
        "address": base + made.path(),
        "expires_at": when(made.expires_at),
    }
    return await _accounts(s, visit, told)


async def change_account(s: Services, visit: Visit) -> Response:
    """Put an account in force or out of it, or make it an administrator's or nobody's."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    name, by, to = visit.field("name"), change_by(actor, visit.request), visit.field("to")
    if to in ("enabled", "disabled"):
        await accounts.set_enabled(s, actor, name, by, enabled=to == "enabled")
        return go("/admin/accounts", to)
    is_to_be = to == "administrator"
    await accounts.set_administrator(s, actor, name, by, administrator=is_to_be)
    return go("/admin/accounts", "changed")


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
    crumbs = (_CRUMB, ("Providers", ""))
    return View("providers.html", "Providers", facts, "admin", "providers", crumbs)


async def change_provider(s: Services, visit: Visit) -> Response:
    """Let people sign in by a provider, or nobody from now on."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    enabled, by = visit.field("enabled") == "yes", change_by(actor, visit.request)
    await providers.set_enabled(s, actor, visit.field("name"), by, enabled=enabled)
    return go("/admin/providers", "enabled" if enabled else "disabled")


async def list_issuers(s: Services, visit: Visit) -> View:
    """Show a page of the issuers of identity tokens that trusts may name."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    rows, is_more = cut(await issuers.list_issuers(s, actor, visit.number("after"), ROWS + 1))
    facts = {
        "issuers": [
            {
                "id": each.id,
                "url": each.url,
                "kind": each.kind,
                "shared": each.shared,
                "enabled": each.enabled,
                "created_at": when(each.created_at),
            }
            for each in rows
        ],
        "next": more(visit, rows[-1].id if is_more else None),
    }
    crumbs = (_CRUMB, ("Issuers", ""))
    return View("issuers.html", "Issuers", facts, "admin", "issuers", crumbs)


async def change_issuer(s: Services, visit: Visit) -> Response:
    """Put an issuer in force or out of it."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    enabled, by = visit.field("enabled") == "yes", change_by(actor, visit.request)
    number = visit.field_number("issuer")
    await issuers.set_issuer_enabled(s, actor, number, by, enabled=enabled)
    return go("/admin/issuers", "enabled" if enabled else "disabled")


async def _accounts(s: Services, visit: Visit, made: dict[str, object] | None = None) -> View:
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    rows, is_more = cut(await accounts.list_accounts(s, actor, visit.parameter("after"), ROWS + 1))
    facts = {
        "accounts": [
            {
                "name": each.name,
                "full_name": each.full_name,
                "email": each.email,
                "enabled": each.enabled,
                "administrator": each.administrator,
                "has_totp": each.has_totp,
                "provider": each.provider,
                "created_at": when(each.created_at),
            }
            for each in rows
        ],
        "made": made,
        "next": more(visit, rows[-1].name if is_more else None),
    }
    crumbs = (_CRUMB, ("Accounts", ""))
    return View("accounts.html", "Accounts", facts, "admin", "accounts", crumbs)


_ACCOUNT_ACTS: Mapping[str, Show] = {"link": make_link, "change": change_account}
PAGES = (
    Page(
        name="admin",
        path="/admin",
        action=Action.ADMINISTER,
        show=list_accounts,
        acts=_ACCOUNT_ACTS,
    ),
    Page(
        name="accounts",
        path="/admin/accounts",
        action=Action.ADMINISTER,
        show=list_accounts,
        acts=_ACCOUNT_ACTS,
    ),
    Page(
        name="providers",
        path="/admin/providers",
        action=Action.ADMINISTER,
        show=list_providers,
        acts={"change": change_provider},
    ),
    Page(
        name="issuers",
        path="/admin/issuers",
        action=Action.ADMINISTER,
        show=list_issuers,
        acts={"change": change_issuer},
    ),
)
