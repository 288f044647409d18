"""`/n/NAME/-/trusts`: whose identity tokens stand for a robot, and how they were used."""

from moorage.auth.address import address_of
from moorage.errors import Invalid
from moorage.model import presets
from moorage.model.access import Action
from moorage.model.people import ROBOT_MARK
from moorage.model.trusts import Rule, Trust
from moorage.registry import rights, robots, trusts
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
    known = await robots.list_robots(s, actor, name, "", ROWS)
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "trusts": [_trust(each) for each in rows],
        "robots": [each.name for each in known],
        "audience": s.config.url or address_of(s.config, visit.request).base,
        "issuers": {"github": presets.GITHUB, "gitlab": presets.GITLAB},
        "next": more(visit, rows[-1].name if is_more else None),
    }
    crumbs = crumbs_of(name, ("Trusts", ""))
    return View("trusts.html", f"Trusts of {name}", facts, "namespaces", "trusts", crumbs)


async def create(s: Services, visit: Visit) -> Response:
    """Trust a CI's own tokens, by rules that are ready or by claims that are named."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    suggested, rules = _wanted(visit)
    robot = visit.field("robot").strip()
    wanted = trusts.NewTrust(
        name=visit.field("name").strip() or suggested,
        issuer=visit.field("issuer").strip(),
        robot=robot if ROBOT_MARK in robot else f"{name}{ROBOT_MARK}{robot}",
        rules=rules,
        audience=visit.field("audience").strip(),
    )
    await trusts.add_trust(s, actor, name, wanted, change_by(actor, visit.request))
    return go(namespace_place(name, f"trusts/{wanted.name}"), "created")


async def show(s: Services, visit: Visit) -> View:
    """Show a trust, what a job does to sign in by it, and how it was last used, and why not."""
    name, trust = visit.namespace, visit.name("trust")
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, name)
    found = await trusts.find_trust(s, actor, name, trust)
    uses = await trusts.list_uses(s, actor, name, trust)
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "trust": trust,
        "kind": presets.kind_of(found.rules),
        **{key: value for key, value in _trust(found).items() if key not in ("name", "page")},
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


def _wanted(visit: Visit) -> tuple[str, tuple[Rule, ...]]:
    """Return what a new trust may be called, and its rules, by the form that was sent.

    Raises:
        Invalid: it says too little.
    """
    kind = visit.field("kind")
    if kind == "github":
        what, number = _said(visit, "repository"), _said(visit, "repository_id")
        chosen = {each: visit.line(each) for each in ("branch", "tag", "environment")}
        rules = presets.github(
            what, number, **chosen, pull_requests=visit.field("requests") == "yes"
        )
    elif kind == "gitlab":
        what, number = _said(visit, "project"), _said(visit, "project_id")
        rules = presets.gitlab(
            what,
            number,
            branch=visit.line("branch"),
            ref_protected=visit.field("protected") == "yes",
            environment=visit.line("environment"),
            merge_requests=visit.field("requests") == "yes",
        )
    elif kind == "jenkins":
        jobs = _said(visit, "jobs", 2_000).split()
        what, rules = jobs[0].rstrip("/").rpartition("/")[2], presets.jenkins(jobs)
    elif kind == "kubernetes":
        what = _said(visit, "namespace")
        rules = presets.kubernetes(what, _said(visit, "accounts", 2_000).split())
    else:
        rules = _rules(visit.field("rules"))
        what, kind = rules[0].claim if rules else "", "trust"
    return presets.named(kind, what), rules


def _said(visit: Visit, name: str, most: int = 200) -> str:
    text = visit.line(name, most)
    if not text:
        raise Invalid(f"{name} is not said")
    return text


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
