"""`/storage`: what is stored for whom, what a clean-up would free, and the last ones."""

from moorage.auth.policy import decide, require
from moorage.model.access import Action, System
from moorage.registry import collection, rights, storage
from moorage.registry.services import Services, change_by
from moorage.ui import clean_up as clean_ups
from moorage.ui import namespaces, treemap
from moorage.ui.caller import authenticate
from moorage.ui.namespaces import crumbs_of
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.ui.references import namespace_place, repository_place
from moorage.web.response import Response

_LARGEST = 10
_RUNS = 10


async def show(s: Services, visit: Visit) -> View:
    """Show what each namespace takes; to administrators also what a clean-up would free."""
    actor = await authenticate(s, visit)
    standing = await rights.find_standing(s, actor)
    require(actor, Action.CATALOG, System(), standing)
    rows, is_more = cut(await storage.list_namespaces(s, actor, visit.parameter("after"), ROWS + 1))
    most = max((each.bytes or 0 for each in rows), default=0)
    clean_up: dict[str, object] | None = None
    free: int | None = None
    runs = []
    if decide(actor, Action.ADMINISTER, System(), standing).allowed:
        plan = await storage.plan_clean_up(s, actor)
        clean_up = clean_ups.shown(plan)
        free = await s.blobs.free()
        runs = await collection.list_runs(s, actor, 0, _RUNS)
    facts = {
        "namespaces": [
            {
                "name": each.name,
                "page": namespace_place(each.name, "storage"),
                "bytes": each.bytes,
                "share": round(100 * (each.bytes or 0) / most, 1) if most else 0,
            }
            for each in rows
        ],
        "treemap": treemap.cells(
            [(each.name, each.bytes or 0, namespace_place(each.name, "storage")) for each in rows]
        ),
        "clean_up": clean_up,
        "free": free,
        "runs": [
            {
                "kind": each.kind,
                "state": each.state,
                "reason": each.reason,
                "started_at": when(each.started_at),
                "ended_at": when(each.ended_at),
                "looked": each.looked,
                "objects": each.objects,
                "bytes": each.bytes,
            }
            for each in runs
        ],
        "next": more(visit, rows[-1].name if is_more else None),
    }
    return View("storage.html", "Storage", facts, "storage", crumbs=(("Storage", ""),))


async def show_namespace(s: Services, visit: Visit) -> View:
    """Show what each repository of a namespace takes, and its largest blobs."""
    name = visit.namespace
    actor = await authenticate(s, visit)
    await rights.require_namespace(s, actor, Action.PULL, name)
    found = await namespaces.find_place(s, actor, name)
    page = await storage.list_repositories(s, actor, name, visit.parameter("after"), ROWS)
    largest = await storage.list_largest(s, actor, name, _LARGEST)
    most = max((each.bytes for each in page.rows), default=0)
    facts = {
        "namespace": name,
        "page": namespace_place(name),
        "may": namespaces.allowed(actor, name, found),
        "repositories": [
            {
                "name": each.name,
                "page": repository_place(each.name),
                "bytes": each.bytes,
                "own": each.own,
                "blobs": each.blobs,
                "more": each.more,
                "share": round(100 * each.bytes / most, 1) if most else 0,
            }
            for each in page.rows
        ],
        # In a namespace, what all names begin with tells nothing.
        "treemap": treemap.cells(
            [
                (each.name.removeprefix(f"{name}/"), each.bytes, repository_place(each.name))
                for each in page.rows
            ]
        ),
        "largest": [
            {
                "digest": each.digest,
                "size": each.size,
                "repositories": list(each.repositories),
                "more": each.more,
            }
            for each in largest.rows
        ],
        "next": more(visit, page.after),
    }
    crumbs = crumbs_of(name, ("Storage", ""))
    return View("usage.html", f"Storage of {name}", facts, "namespaces", "storage", crumbs)


async def resume(s: Services, visit: Visit) -> Response:
    """Let the clean-up go on that was paused."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    await collection.resume(s, actor, change_by(actor, visit.request))
    return go("/storage", "changed")


PAGES = (
    Page(
        name="storage",
        path="/storage",
        action=Action.CATALOG,
        show=show,
        acts={"resume": resume},
    ),
    Page(
        name="namespace-storage",
        path="/n/{namespace}/-/storage",
        action=Action.PULL,
        show=show_namespace,
    ),
)
