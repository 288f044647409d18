"""`/r/NAME/-/delete-tags`: several tags are deleted at once, and what that does is told before."""

from collections.abc import Mapping, Sequence

from moorage.errors import Invalid
from moorage.model.access import Action
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import delete_tags, rights
from moorage.registry.delete_tags import TagEnd
from moorage.registry.services import Services, change_by
from moorage.registry.trash import kept_until
from moorage.ui.caller import authenticate
from moorage.ui.page import Page, View, Visit, go, when
from moorage.ui.references import image_place, repository_place
from moorage.ui.repository import Opened, opened
from moorage.web.response import Response

_TITLE = "Delete tags"


async def confirm(s: Services, visit: Visit) -> View:
    """Show which of the chosen tags would go and which would stay, and ask."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.DELETE, name)
    place = opened(actor, name, await rights.find(s, actor, name))
    chosen = [Tag.parse(each) for each in visit.parameters("tag")]
    planned = await delete_tags.preview(s, actor, name, chosen)
    facts = {"state": "asked", "until": when(kept_until(s, s.clock.now())), "failed": False}
    return _view(place, planned, facts)


async def delete(s: Services, visit: Visit) -> View:
    """Delete the tags, and show what became of each; those that went can be brought back."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.DELETE, name)
    place = opened(actor, name, await rights.find(s, actor, name))
    wanted = [_pinned(each) for each in visit.fields("tag")]
    ends = await delete_tags.delete_tags(s, actor, name, wanted, change_by(actor, visit.request))
    return _view(place, ends, {"state": "done", "until": None, "failed": False})


async def undo(s: Services, visit: Visit) -> View | Response:
    """Bring the tags back that were deleted, and go to the list; what did not come is told."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.DELETE, name)
    await rights.require_repository(s, actor, Action.PUSH, name)
    place = opened(actor, name, await rights.find(s, actor, name))
    wanted = [Tag.parse(each) for each in visit.fields("tag")]
    failed = await delete_tags.restore_tags(s, actor, name, wanted, change_by(actor, visit.request))
    if not failed:
        return go(repository_place(place.name), "restored")
    return not_restored(place, failed)


def not_restored(place: Opened, failed: Sequence[TagEnd]) -> View:
    """Return the page of the tags that did not come back, where others did."""
    return _view(place, failed, {"state": "done", "until": None, "failed": True})


def _view(place: Opened, ends: Sequence[TagEnd], facts: Mapping[str, object]) -> View:
    told = [_end(place.name, each) for each in ends]
    shown = {
        **place.facts(),
        **facts,
        "going": [each for each in told if not each["why"]],
        "staying": [each for each in told if each["why"]],
    }
    title = f"{_TITLE} of {place.name}"
    return View("delete_tags.html", title, shown, "images", "tags", place.crumbs((_TITLE, "")))


def _pinned(text: str) -> tuple[Tag, Digest]:
    """Return a tag and the digest that it had where it was chosen."""
    tag, at, digest = text.partition("@")
    if not at:
        raise Invalid("each tag is named with the digest that it is to have", hint="Choose again")
    return Tag.parse(tag), Digest.parse(digest)


def _end(name: RepositoryName, end: TagEnd) -> dict[str, object]:
    return {
        "name": end.tag,
        "digest": end.digest,
        "image": image_place(name, end.digest) if end.digest is not None else "",
        "history": repository_place(name, f"history?tag={end.tag}"),
        "why": end.why,
        "others": list(end.others),
        "more_others": end.more_others,
    }


PAGES = (
    Page(
        name="delete-tags",
        path="/r/{repository}/-/delete-tags",
        action=Action.DELETE,
        show=confirm,
        acts={"delete": delete, "undo": undo},
    ),
)
