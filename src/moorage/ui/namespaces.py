"""`/n`: namespaces; `/n/NAME`: what is in one, for whoever may see any of it."""

from moorage.auth.policy import decide, require
from moorage.db import access
from moorage.db.access import FoundNamespace
from moorage.errors import NotFound
from moorage.model.access import Action, Actor, Namespace, System
from moorage.oci.names import RepositoryName
from moorage.registry import namespaces, repositories, repository_table, rights
from moorage.registry.namespaces import VISIBILITIES
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.home import repository_row
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.ui.references import namespace_place
from moorage.web.response import Response

_ACTIONS = (Action.PUSH, Action.DELETE, Action.CONFIGURE, Action.SEE_ACCESS, Action.MANAGE_ACCESS)


async def list_all(s: Services, visit: Visit) -> View:
    """Show a page of the namespaces that the visitor was given anything in."""
    actor = await authenticate(s, visit)
    standing = await rights.find_standing(s, actor)
    found = []
    if actor.kind != "anonymous" or actor.refusal:
        require(actor, Action.CATALOG, System(), standing)
        found = await namespaces.list_namespaces(s, actor, visit.parameter("after"), ROWS + 1)
    rows, is_more = cut(found)
    facts = {
        "namespaces": [
            {
                "name": e.name,
                "page": namespace_place(e.name),
                "kind": e.kind,
                "visibility": e.visibility,
            }
            for e in rows
        ],
        "may_create": decide(actor, Action.CREATE_NAMESPACE, System(), standing).allowed,
        "visibilities": list(VISIBILITIES),
        "next": more(visit, rows[-1].name if is_more else None),
    }
    crumbs = (("Namespaces", ""),)
    return View("namespaces.html", "Namespaces", facts, "namespaces", crumbs=crumbs)


async def create(s: Services, visit: Visit) -> Response:
    """Make an organisation, whose owner is who makes it."""
    actor = await authenticate(s, visit)
    require(actor, Action.CREATE_NAMESPACE, System(), await rights.find_standing(s, actor))
    name = visit.field("name").strip()
    by = change_by(actor, visit.request)
    await namespaces.create_organisation(s, actor, name, by, visibility=visit.field("visibility"))
    return go(namespace_place(name), "created")


async def show(s: Services, visit: Visit) -> View:
    """Show the repositories in it that the visitor may read; there is none without any."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    found = await find_place(s, actor, name)
    place = Namespace(name)
    may = allowed(actor, name, found)
    page = await repository_table.list_rows(
        s, actor, visit.parameter("after"), ROWS, namespace=name
    )
    is_first = not visit.parameter("after")
    may_see = decide(actor, Action.PULL, place, found.facts).allowed
    # On every page of the list: else a page behind the last would tell that there is one.
    if found.namespace is None or not (page.rows or may_see):
        require(actor, Action.PULL, place, found.facts)
        raise NotFound
    removed = []
    if Action.DELETE.value in may and is_first:
        removed = await repositories.list_removed(s, actor, name, 0, ROWS)
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "kind": found.namespace.kind,
        "visibility": found.namespace.visibility if may_see else "",
        "visibilities": list(VISIBILITIES),
        "may": may,
        "repositories": [repository_row(each) for each in page.rows],
        "removed": [
            {"id": each.id, "name": each.name, "until": when(each.until)} for each in removed
        ],
        "next": more(visit, page.after),
    }
    crumbs = (("Namespaces", "/n"), (name, ""))
    return View("namespace.html", name, facts, "namespaces", "repositories", crumbs)


async def set_visibility(s: Services, visit: Visit) -> Response:
    """Say how visible the repositories are that pushes will make."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.CONFIGURE, name)
    by = change_by(actor, visit.request)
    await namespaces.set_default_visibility(s, actor, name, visit.field("visibility"), by)
    return go(namespace_place(name), "visibility")


async def restore(s: Services, visit: Visit) -> Response:
    """Bring back a repository that was deleted."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.DELETE, name)
    repository, number = RepositoryName.parse(visit.field("repository")), visit.field_number("id")
    by = change_by(actor, visit.request)
    await repositories.restore_repository(s, actor, repository, by, number=number)
    return go(namespace_place(name), "restored")


async def delete(s: Services, visit: Visit) -> Response:
    """Remove a namespace that has nothing in it any more."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)
    await namespaces.delete_namespace(s, actor, name, change_by(actor, visit.request))
    return go("/n", "removed")


def allowed(actor: Actor, name: str, found: FoundNamespace) -> list[str]:
    """Return what the actor may do in the namespace besides looking at what he may read of it."""
    place = Namespace(name)
    return [each.value for each in _ACTIONS if decide(actor, each, place, found.facts).allowed]


def crumbs_of(name: str, *behind: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return what a page of the namespace is in, and what is behind that."""
    return (("Namespaces", "/n"), (name, namespace_place(name)), *behind)


async def find_place(s: Services, actor: Actor, name: str) -> FoundNamespace:
    """Return the namespace, if there is one, with the facts about the actor."""
    return await s.db.read(lambda tx: access.find_namespace_target(tx, actor.subject, name))


PAGES = (
    Page(name="namespaces", path="/n", action=None, show=list_all, acts={"create": create}),
    Page(
        name="namespace",
        path="/n/{namespace}",
        action=Action.PULL,
        show=show,
        acts={"visibility": set_visibility, "restore": restore, "delete": delete},
    ),
)
