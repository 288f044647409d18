"""`/r/NAME`: a repository's tags, and how its neighbours are reached."""

from collections.abc import Sequence

import msgspec

from moorage.auth.policy import decide, require
from moorage.db.access import Found
from moorage.db.tags import Condition
from moorage.errors import NotFound
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.images import TagRow
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import about, delete, feed, rights, tag_table
from moorage.registry.services import Services, change_by
from moorage.ui import plain
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, go, more, when
from moorage.ui.references import compare_place, image_place, repository_place
from moorage.web.response import Response

_ACTIONS = (Action.PUSH, Action.DELETE, Action.CONFIGURE, Action.SEE_ACCESS, Action.AUDIT)


class Opened(msgspec.Struct, frozen=True):
    """A repository that the visitor may read, and what else he may do there."""

    name: RepositoryName
    visibility: str
    may: frozenset[Action]

    def facts(self) -> dict[str, object]:
        """Return what all pages of a repository show."""
        return {
            "repository": self.name,
            "namespace": self.name.namespace,
            "visibility": self.visibility,
            "page": repository_place(self.name),
            "may": sorted(each.value for each in self.may),
        }

    def crumbs(self, *behind: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        """Return where a page of the repository stands."""
        place = repository_place(self.name) if behind else ""
        return (("Images", "/images"), (self.name, place), *behind)


def opened(actor: Actor, name: RepositoryName, found: Found) -> Opened:
    """Return the repository for its pages, once it is decided that the actor may read it.

    A name that it had before leads to it, and its pages go on under the name that it has.

    Raises:
        NotFound: there is none.
    """
    if found.repository is None:
        raise NotFound
    may = {e for e in _ACTIONS if decide(actor, e, RepositoryTarget(name), found.facts).allowed}
    return Opened(found.repository.name, found.repository.visibility, frozenset(may))


async def list_tags(s: Services, visit: Visit) -> View:
    """Show a page of the tags, with what each stands for and how it is pulled."""
    name = visit.repository
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    place = opened(actor, name, found)
    feed_place = await feed.find_place(s)
    sort, pattern = visit.parameter("sort") or tag_table.NEWEST, visit.parameter("filter")
    rows = plain.LINES if visit.as_text else ROWS
    page = await tag_table.list_rows(
        s, actor, name, visit.parameter("after"), rows, sort=sort, pattern=pattern
    )
    told = await about.find_about(s, actor, name)
    facts = {
        **place.facts(),
        "place": feed_place,
        "description": told.shown,
        "tags": _rows(name, page.rows, are_newest=sort == tag_table.NEWEST),
        "sort": sort,
        "filter": pattern,
        "is_first": not visit.parameter("after"),
        "next": more(visit, page.after),
    }
    return View("tags.html", name, facts, "images", "tags", place.crumbs())


async def delete_tag(s: Services, visit: Visit) -> Response:
    """Delete a tag, and go to its history, which keeps what it named and restores it."""
    name, tag = visit.repository, Tag.parse(visit.field("tag"))
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.DELETE, name)
    by = change_by(actor, visit.request)
    await delete.delete_tag(s, actor, name, tag, Condition(), by)
    return go(repository_place(name, f"history?tag={tag}"), "tag-deleted")


def _rows(
    name: RepositoryName, rows: Sequence[TagRow], *, are_newest: bool
) -> list[dict[str, object]]:
    """Return the rows; those of one image that stand together are told to be a group.

    Where the newest is first, each has the tag of the image before, which it is compared with.
    """
    digests = [each.digest for each in rows]
    told = []
    for place, row in enumerate(rows):
        is_first = place == 0 or digests[place - 1] != row.digest
        is_last = place + 1 == len(rows) or digests[place + 1] != row.digest
        others = (each for each in rows[place + 1 :] if each.digest != row.digest)
        before = next((each.name for each in others), "") if are_newest else ""
        told.append(
            {
                **_row(name, row),
                "is_grouped": not (is_first and is_last),
                "is_last": is_last,
                "before": before,
                "compare": compare_place(name, before, row.name) if before else "",
            }
        )
    return told


def _row(name: RepositoryName, row: TagRow) -> dict[str, object]:
    return {
        "name": row.name,
        "digest": row.digest,
        "image": f"{image_place(name, row.digest)}?tag={row.name}",
        "at": when(row.at),
        "actor": row.by.actor,
        "cause": row.by.cause,
        "kind": row.kind,
        "platforms": list(row.platforms),
        "content_size": row.content_size,
        "grown": row.grown,
    }


PAGES = (
    Page(
        name="repository",
        path="/r/{repository}",
        action=Action.PULL,
        show=list_tags,
        acts={"delete-tag": delete_tag},
        text=plain.repository,
    ),
    Page(
        name="repository-tags",
        path="/r/{repository}/-/tags",
        action=Action.PULL,
        show=list_tags,
        acts={"delete-tag": delete_tag},
        text=plain.repository,
    ),
)
