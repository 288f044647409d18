"""`/search`: what is found among what the visitor may read."""

from moorage.registry import search
from moorage.registry.services import Services
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, more
from moorage.ui.references import image_place, repository_place, tag_place


async def show(s: Services, visit: Visit) -> View:
    """Show what has all the words, the nearest first."""
    actor = await authenticate(s, visit)
    await search.require_search(s, actor)
    text = visit.parameter("q")
    found = await search.find(s, actor, text, after=visit.parameter("after"), limit=ROWS)
    facts = {
        "q": text,
        "hits": [_hit(each) for each in found.hits],
        "next": more(visit, found.after),
    }
    return View("search.html", f"Search for {text}" if text else "Search", facts, "images")


def _hit(hit: search.Hit) -> dict[str, object]:
    place = repository_place(hit.repository)
    if hit.digest is not None:
        place = image_place(hit.repository, hit.digest)
    elif hit.tags:
        place = tag_place(hit.repository, hit.tags[0])
    return {
        "kind": hit.kind,
        "match": hit.match,
        "repository": hit.repository,
        "tags": list(hit.tags),
        "digest": hit.digest,
        "text": hit.text,
        "page": place,
    }


PAGES = (Page(name="search", path="/search", action=None, show=show),)
