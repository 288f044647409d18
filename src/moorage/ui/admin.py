"""`/admin`: accounts, and links for new ones."""

from collections.abc import Mapping

from moorage.auth.address import address_of
from moorage.model.access import Action
from moorage.registry import accounts, links, rights
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, Show, View, Visit, cut, go, more, when
from moorage.web.response import Response

CRUMB = ("Admin", "/admin")


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


async def withdraw_link(s: Services, visit: Visit) -> Response:
    """Have a link be good for nothing any more."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    by = change_by(actor, visit.request)
    await links.withdraw_link(s, actor, visit.field("link"), by)
    return go("/admin/accounts", "withdrawn")


async def _accounts(s: Services, visit: Visit, made: dict[str, object] | None = None) -> View:
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    open_links = await links.list_links(s, actor, (0, ""), ROWS + 1)
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
        "links": [
            {
                "id": each.id,
                "kind": each.kind,
                "name": each.name,
                "created_by": each.created_by,
                "expires_at": when(each.expires_at),
            }
            for each in open_links[:ROWS]
        ],
        "more_links": len(open_links) > ROWS,
        "next": more(visit, rows[-1].name if is_more else None),
    }
    crumbs = (CRUMB, ("Accounts", ""))
    return View("accounts.html", "Accounts", facts, "admin", "accounts", crumbs)


_ACCOUNT_ACTS: Mapping[str, Show] = {
    "link": make_link,
    "withdraw": withdraw_link,
    "change": change_account,
}
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
)
