"""`/n/NAME/-/trusts`: whose identity tokens stand for a robot, and how they were used."""

from moorage.errors import Invalid
from moorage.model.access import Action
from moorage.model.people import ROBOT_MARK
from moorage.model.trusts import Rule, Trust
from moorage.registry import rights, trusts
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.namespaces import crumbs_of
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.ui.references import namespace_place
from moorage.web.response import Response


async def list_trusts(s: Services, visit: Visit) -> View:
    """Show a page of the namespace's trusts."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, name)
    rows, is_more = cut(
        await trusts.list_trusts(s, actor, name, visit.parameter("after"), ROWS + 1)
    )
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "trusts": [_trust(each) for each in rows],
        "next": more(visit, rows[-1].name if is_more else None),
    }
    crumbs = crumbs_of(name, ("Trusts", ""))
    return View("trusts.html", f"Trusts of {name}", facts, "namespaces", "trusts", crumbs)


async def create(s: Services, visit: Visit) -> Response:
    """Trust a CI's own tokens: each line of the rules is a claim and what it must be."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    robot = visit.field("robot").strip()
    wanted = trusts.NewTrust(
        name=visit.field("name").strip(),
        issuer=visit.field("issuer").strip(),
        robot=robot if ROBOT_MARK in robot else f"{name}{ROBOT_MARK}{robot}",
        rules=_rules(visit.field("rules")),
    )
    await trusts.add_trust(s, actor, name, wanted, change_by(actor, visit.request))
    return go(namespace_place(name, "trusts"), "created")


async def show(s: Services, visit: Visit) -> View:
    """Show how a trust was last used, and why not."""
    name, trust = visit.namespace, visit.name("trust")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, name)
    uses = await trusts.list_uses(s, actor, name, trust)
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "trust": trust,
        "uses": [
            {
                "at": when(each.at),
                "accepted": each.accepted,
                "reason": each.reason,
                "claims": dict(each.claims),
            }
            for each in uses
        ],
    }
    crumbs = crumbs_of(name, ("Trusts", namespace_place(name, "trusts")), (trust, ""))
    return View("trust.html", f"Trust {trust}", facts, "namespaces", "trusts", crumbs)


async def enable(s: Services, visit: Visit) -> Response:
    """Put a trust in force or out of it."""
    name, trust = visit.namespace, visit.field("trust")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    enabled, by = visit.field("enabled") == "yes", change_by(actor, visit.request)
    await trusts.set_trust_enabled(s, actor, name, trust, by, enabled=enabled)
    return go(namespace_place(name, "trusts"), "enabled" if enabled else "disabled")


async def remove(s: Services, visit: Visit) -> Response:
    """End a trust."""
    name, trust = visit.namespace, visit.field("trust")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    await trusts.remove_trust(s, actor, name, trust, change_by(actor, visit.request))
    return go(namespace_place(name, "trusts"), "removed")


def _rules(text: str) -> tuple[Rule, ...]:
    """Return the rules that lines such as `repository: acme/shop` say."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        claim, colon, pattern = (part.strip() for part in line.partition(":"))
        if line.strip():
            if not colon or not claim or not pattern:
                raise Invalid("a line of the rules is no rule", hint="Write CLAIM: PATTERN")
            found.setdefault(claim, []).append(pattern)
    return tuple(Rule(claim, tuple(patterns)) for claim, patterns in found.items())


def _trust(trust: Trust) -> dict[str, object]:
    return {
        "name": trust.name,
        "page": namespace_place(trust.namespace, f"trusts/{trust.name}"),
        "robot": trust.robot,
        "audience": trust.audience,
        "rules": [{"claim": e.claim, "patterns": list(e.patterns)} for e in trust.rules],
        "enabled": trust.enabled,
        "created_at": when(trust.created_at),
        "created_by": trust.created_by,
        "last_used_at": when(trust.last_used_at),
    }


PAGES = (
    Page(
        name="trusts",
        path="/n/{namespace}/-/trusts",
        action=Action.SEE_ACCESS,
        show=list_trusts,
        acts={"create": create, "enable": enable, "remove": remove},
    ),
    Page(
        name="trust",
        path="/n/{namespace}/-/trusts/{trust}",
        action=Action.SEE_ACCESS,
        show=show,
    ),
)
