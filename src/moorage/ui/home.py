"""`/`: what was pushed last, or how to push the first image; and `/images`, the list of them."""

from urllib.parse import urlencode

import msgspec

from moorage.auth.policy import decide, require
from moorage.model.access import Action, Actor, System
from moorage.model.images import RepositoryRow
from moorage.registry import condition, feed, namespaces, repository_table, rights
from moorage.registry.services import Services
from moorage.ui.caller import authenticate
from moorage.ui.concerns import shown as concern
from moorage.ui.page import ROWS, Page, View, Visit, more, when
from moorage.ui.references import image_place, repository_place

_RECENT = 20
_SHOWN = 10
_MOST_CHOICES = 100


async def show_home(s: Services, visit: Visit) -> View:
    """Show the newest pushes of what the visitor may read, or how to begin."""
    actor = await authenticate(s, visit)
    standing = await rights.find_standing(s, actor)
    if actor.refusal:
        # Before there are accounts: what to do is told, and not that nothing is public.
        require(actor, Action.CATALOG, System(), standing)
    decision = decide(actor, Action.CATALOG, System(), standing)
    place = await feed.find_place(s)
    shown_all = await repository_table.list_rows(
        s, actor, "", _SHOWN, sort=repository_table.CHANGED
    )
    recent = await feed.list_pushes(s, actor, _RECENT) if shown_all.rows else []
    concerns = await condition.list_concerns(s, actor, standing)
    facts = {
        "place": place,
        "concerns": [concern(each) for each in concerns],
        "recent": [shown(each) for each in _together(recent)],
        "repositories": [repository_row(each) for each in shown_all.rows],
        "more": bool(shown_all.after),
        "may_push": decision.allowed,
        "example": _example(actor),
    }
    return View("home.html", "Home", facts, section="home", crumbs=(("Home", ""),))


async def list_images(s: Services, visit: Visit) -> View:
    """Show a page of the repositories that the visitor may read."""
    actor = await authenticate(s, visit)
    standing = await rights.find_standing(s, actor)
    if actor.kind != "anonymous" or actor.refusal:
        require(actor, Action.CATALOG, System(), standing)
    sort = visit.parameter("sort") or repository_table.BY_NAME
    facets = {name: visit.parameter(name) for name in ("namespace", "visibility", "type", "pulled")}
    page = await repository_table.list_rows(
        s,
        actor,
        visit.parameter("after"),
        ROWS,
        sort=sort,
        namespace=facets["namespace"],
        visibility=facets["visibility"],
        kind=facets["type"],
        pulled=facets["pulled"],
    )
    choices = []
    if actor.kind != "anonymous":
        choices = await namespaces.list_namespaces(s, actor, "", _MOST_CHOICES)
    facts = {
        "repositories": [repository_row(each) for each in page.rows],
        "sort": sort,
        "sorts": {each: _sorted_by(visit, each) for each in repository_table.SORTS},
        **facets,
        "namespaces": [each.name for each in choices],
        "types": list(repository_table.TYPES),
        "example": _example(actor),
        "next": more(visit, page.after),
    }
    return View("images.html", "Images", facts, section="images", crumbs=(("Images", ""),))


def repository_row(row: RepositoryRow) -> dict[str, object]:
    """Return a repository as lists show it."""
    return {
        "name": row.name,
        "page": repository_place(row.name),
        "visibility": row.visibility,
        "type": row.kind,
        "changed_at": when(row.changed_at),
        "newest": row.newest,
        "newest_at": when(row.newest_at),
        "tags": row.tags,
        "more_tags": row.more_tags,
        "content_size": row.content_size,
        "more_content": row.more_content,
    }


def shown(push: feed.Push) -> dict[str, object]:
    """Return a push as pages and the stream of them show it.

    What was deleted since has no page: its tags lead to their history, which restores them.
    """
    return {
        "repository": push.repository,
        "page": repository_place(push.repository),
        "tags": list(push.tags),
        "digest": push.digest,
        "image": "" if push.is_deleted else image_place(push.repository, push.digest),
        "is_deleted": push.is_deleted,
        "at": when(push.at),
    }


def _together(pushes: list[feed.Push]) -> list[feed.Push]:
    """Return the pushes, with those of one image that came one after the other as one."""
    found: list[feed.Push] = []
    for push in pushes:
        last = found[-1] if found else None
        if last and (last.repository, last.digest) == (push.repository, push.digest):
            tags = tuple(dict.fromkeys((*last.tags, *push.tags)))
            found[-1] = msgspec.structs.replace(last, tags=tags)
        else:
            found.append(push)
    return found


def _sorted_by(visit: Visit, sort: str) -> str:
    """Return the address of the same list in that order, from its beginning."""
    dropped = ("sort", "after", "done")
    kept = [(key, value) for key, value in visit.request.query if key not in dropped]
    return f"/images?{urlencode([*kept, ('sort', sort)])}"


def _example(actor: Actor) -> str:
    """Return a name that the actor could push to."""
    return f"{actor.name}/app" if actor.kind == "account" else "web/app"


PAGES = (
    Page(name="home", path="/", action=None, show=show_home),
    Page(name="images", path="/images", action=None, show=list_images),
)
