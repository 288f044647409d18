"""`/storage/clean-up`: what the next clean-up would remove, and what would stay."""

from moorage.model.access import Action
from moorage.registry import collection, rights, storage
from moorage.registry.collection import Planned
from moorage.registry.services import Services
from moorage.registry.storage import CleanUp
from moorage.ui.caller import authenticate
from moorage.ui.page import Page, View, Visit, cut, go, when
from moorage.ui.references import image_place, repository_place
from moorage.web.response import Response

_MOST = 1_000


async def show(s: Services, visit: Visit) -> View:
    """Show what of the first candidates would go, and why the others would stay."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    plan = await storage.plan_clean_up(s, actor)
    planned = await collection.preview(s, actor, _MOST)
    going, more_going = cut([each for each in planned if not each.why])
    staying, more_staying = cut([each for each in planned if each.why])
    facts = {
        **shown(plan),
        "going": [_planned(each) for each in going],
        "more_going": more_going or plan.more,
        "staying": [_planned(each) for each in staying],
        "more_staying": more_staying or plan.more,
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


def _planned(planned: Planned) -> dict[str, object]:
    is_page = planned.kind == "manifest" and planned.why == "live"
    return {
        "kind": planned.kind,
        "repository": planned.repository,
        "page": repository_place(planned.repository) if planned.repository else "",
        "image": image_place(planned.repository, planned.digest) if is_page else "",
        "digest": planned.digest,
        "size": planned.size,
        "why": planned.why,
    }


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
