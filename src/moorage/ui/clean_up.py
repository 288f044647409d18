"""`/storage/clean-up`: what the next clean-up would remove, and what would stay."""

from moorage.model.access import Action
from moorage.registry import collection, rights, storage
from moorage.registry.services import Services
from moorage.registry.storage import CleanUp
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, when
from moorage.ui.references import image_place, repository_place
from moorage.web.response import Response


async def show(s: Services, visit: Visit) -> View:
    """Show the first candidates, each with whether it would go, or why it would stay."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    plan = await storage.plan_clean_up(s, actor)
    planned, is_more = cut(await collection.preview(s, actor, ROWS + 1))
    facts = {
        **shown(plan),
        "planned": [
            {
                "kind": each.kind,
                "repository": each.repository,
                "page": repository_place(each.repository) if each.repository else "",
                "image": image_place(each.repository, each.digest)
                if each.kind == "manifest" and each.why == "live"
                else "",
                "digest": each.digest,
                "size": each.size,
                "goes": not each.why,
                "why": each.why,
            }
            for each in planned
        ],
        "more_planned": is_more,
        "delay_hours": s.config.collection.delay_hours,
    }
    crumbs = (("Storage", "/storage"), ("Clean-up", ""))
    return View("clean_up.html", "Clean-up", facts, "storage", crumbs=crumbs)


async def start(s: Services, visit: Visit) -> Response:
    """Start a clean-up now."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    await collection.start(s, actor)
    return go("/storage", "collected")


def shown(plan: CleanUp) -> dict[str, object]:
    """Return what a clean-up would free, as pages tell it."""
    return {
        "due_objects": plan.due_objects,
        "due_bytes": plan.due_bytes,
        "later_objects": plan.later_objects,
        "later_bytes": plan.later_bytes,
        "first_at": when(plan.first_at),
        "last_at": when(plan.last_at),
        "candidates": plan.candidates,
        "candidate_bytes": plan.candidate_bytes,
        "paused": plan.paused,
        "more": plan.more,
    }


PAGES = (
    Page(
        name="clean-up",
        path="/storage/clean-up",
        action=Action.ADMINISTER,
        show=show,
        acts={"start": start},
    ),
)
