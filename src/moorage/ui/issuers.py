"""`/admin/issuers`: whose identity tokens the trusts of namespaces may name."""

from typing import cast, get_args

from moorage.errors import Invalid
from moorage.model.access import Action
from moorage.model.trusts import IssuerKind
from moorage.registry import issuers, rights
from moorage.registry.services import Services, change_by
from moorage.ui.admin import CRUMB
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.web.response import Response

# The last is what it is where nothing is known of it.
KINDS: tuple[str, ...] = get_args(IssuerKind)


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
        "kinds": KINDS,
        "next": more(visit, rows[-1].id if is_more else None),
    }
    crumbs = (CRUMB, ("Issuers", ""))
    return View("issuers.html", "Issuers", facts, "admin", "issuers", crumbs)


async def change_issuer(s: Services, visit: Visit) -> Response:
    """Put an issuer in force or out of it."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    enabled, by = visit.field("enabled") == "yes", change_by(actor, visit.request)
    number = visit.field_number("issuer")
    await issuers.set_issuer_enabled(s, actor, number, by, enabled=enabled)
    return go("/admin/issuers", "enabled" if enabled else "disabled")


async def create(s: Services, visit: Visit) -> Response:
    """Register an issuer, once its keys have been seen."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    wanted = issuers.NewIssuer(
        url=visit.line("url", 512),
        kind=_kind(visit.field("kind")),
        shared=visit.field("shared") == "yes",
        jwks=visit.field("jwks").strip().encode(),
    )
    await issuers.add_issuer(s, actor, wanted, change_by(actor, visit.request))
    return go("/admin/issuers", "created")


async def remove(s: Services, visit: Visit) -> Response:
    """Forget an issuer that no trust names."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    number = visit.field_number("issuer")
    await issuers.remove_issuer(s, actor, number, change_by(actor, visit.request))
    return go("/admin/issuers", "removed")


def _kind(text: str) -> IssuerKind:
    if text not in KINDS:
        raise Invalid("an issuer is of no such kind", hint=f"It is one of {', '.join(KINDS)}")
    return cast("IssuerKind", text)


PAGES = (
    Page(
        name="issuers",
        path="/admin/issuers",
        action=Action.ADMINISTER,
        show=list_issuers,
        acts={"create": create, "change": change_issuer, "remove": remove},
    ),
)
