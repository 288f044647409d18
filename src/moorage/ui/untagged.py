"""`/r/NAME/-/untagged`: images that no tag names, and that are pulled by their digests."""

from moorage.auth.policy import require
from moorage.model.access import Action, RepositoryTarget
from moorage.oci.digest import Digest
from moorage.registry import rights, untagged
from moorage.registry.services import Services
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, more, when
from moorage.ui.references import image_place
from moorage.ui.repository import opened


async def show(s: Services, visit: Visit) -> View:
    """Show a page of them, in the order of their digests."""
    name = visit.repository
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    place = opened(actor, name, found)
    after = visit.parameter("after")
    page = await untagged.list_untagged(
        s, actor, name, Digest.parse(after) if after else None, ROWS
    )
    facts = {
        **place.facts(),
        "is_first": not after,
        "images": [
            {
                "digest": each.digest,
                "image": image_place(name, each.digest),
                "kind": each.kind,
                "pushed_at": when(each.pushed_at),
                "content_size": each.content_size,
            }
            for each in page.rows
        ],
        "next": more(visit, page.after),
    }
    crumbs = place.crumbs(("Without a tag", ""))
    return View("untagged.html", f"Untagged of {name}", facts, "images", "tags", crumbs)


PAGES = (Page(name="untagged", path="/r/{repository}/-/untagged", action=Action.PULL, show=show),)
