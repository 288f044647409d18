"""`/access`: may somebody do something, and why; `/n/NAME/-/access`: who may what there."""

from moorage.auth.policy import require
from moorage.errors import Invalid
from moorage.model.access import Action, Role, System
from moorage.oci.names import RepositoryName, is_component
from moorage.registry import explain, grants, rights
from moorage.registry.grants import Where
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.namespaces import crumbs_of
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.ui.references import namespace_place
from moorage.web.numbers import whole_number
from moorage.web.response import Response

_ACTIONS = (
    Action.PULL,
    Action.PUSH,
    Action.DELETE,
    Action.CONFIGURE,
    Action.SEE_ACCESS,
    Action.MANAGE_ACCESS,
    Action.AUDIT,
)


async def explain_access(s: Services, visit: Visit) -> View:
    """Show whether somebody may do something, with the rules that say so."""
    actor = await authenticate(s, visit)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    who = visit.parameter("who").strip() or actor.name
    where, action = visit.parameter("where").strip(), visit.parameter("action") or Action.PULL.value
    actions = [each.value for each in _ACTIONS]
    facts: dict[str, object] = {
        "who": who,
        "action": action,
        "where": where,
        "actions": actions,
        "answer": None,
    }
    if where:
        if action not in actions:
            raise Invalid("action is none that somebody may do")
        found = await explain.explain(s, actor, who, Action(action), where_of(where))
        facts["answer"] = {
            "allowed": found.allowed,
            "reason": found.reason,
            "visibility": found.visibility,
            "paths": [
                {"through": each.through, "role": each.role.value, "on": each.on}
                for each in found.paths
            ],
            "scopes": None
            if found.scopes is None
            else [{"pattern": e.pattern, "actions": sorted(e.actions)} for e in found.scopes],
        }
    return View("access.html", "Access", facts, "access", crumbs=(("Access", ""),))


async def list_grants(s: Services, visit: Visit) -> View:
    """Show a page of who has which role in a namespace, and on its repositories."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, name)
    first, _, second = (visit.parameter("after") or "0.0").partition(".")
    after = (whole_number(first, "after"), whole_number(second, "after"))
    rows, is_more = cut(await grants.list_grants(s, actor, Where(name), after, ROWS + 1))
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "roles": [each.value for each in Role],
        "grants": [
            {
                "who": each.who,
                "kind": each.kind,
                "role": each.role.value,
                "repository": each.repository,
                "granted_at": when(each.granted_at),
                "granted_by": each.granted_by,
            }
            for each in rows
        ],
        "next": more(
            visit, f"{rows[-1].repository_id}.{rows[-1].principal_id}" if is_more else None
        ),
    }
    crumbs = crumbs_of(name, ("Access", ""))
    return View("grants.html", f"Access to {name}", facts, "namespaces", "access", crumbs)


async def grant(s: Services, visit: Visit) -> Response:
    """Give a role in the namespace, or on one repository of it."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    where, who = _place(name, visit.field("repository").strip()), visit.field("who").strip()
    try:
        role = Role(visit.field("role"))
    except ValueError:
        raise Invalid(f"a role is one of {', '.join(Role)}") from None
    await grants.put_grant(s, actor, where, who, role, change_by(actor, visit.request))
    return go(namespace_place(name, "access"), "granted")


async def revoke(s: Services, visit: Visit) -> Response:
    """Take the role that somebody has exactly there."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    where = _place(name, visit.field("repository"))
    by = change_by(actor, visit.request)
    await grants.revoke_grant(s, actor, where, visit.field("who"), by)
    return go(namespace_place(name, "access"), "removed")


def where_of(text: str) -> Where:
    """Return the place that a person names: a repository, or all of a namespace as `web/**`.

    Raises:
        Invalid, NameInvalid: it names none.
    """
    namespace = text.removesuffix("/**")
    if is_component(namespace):
        return Where(namespace)
    return Where.of(RepositoryName.parse(text))


def _place(namespace: str, repository: str) -> Where:
    if not repository:
        return Where(namespace)
    where = Where.of(RepositoryName.parse(repository))
    if where.namespace != namespace:
        raise Invalid(f"{repository} is not in {namespace}", hint="Open the page of its namespace")
    return where


PAGES = (
    Page(name="access", path="/access", action=Action.PING, show=explain_access),
    Page(
        name="grants",
        path="/n/{namespace}/-/access",
        action=Action.SEE_ACCESS,
        show=list_grants,
        acts={"grant": grant, "revoke": revoke},
    ),
)
