"""`/r/NAME/-/d/DIGEST`: an image and what it is made of; `…/-/t/TAG` leads to what a tag names."""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from moorage.auth.policy import require
from moorage.errors import NotFound
from moorage.model.access import Action, RepositoryTarget
from moorage.model.images import Image, Layer
from moorage.oci.digest import Digest
from moorage.oci.names import Tag
from moorage.registry import delete, delete_tags, history, images, restore, rights, trash
from moorage.registry.services import Services, change_by
from moorage.ui import manifest_text, source
from moorage.ui.caller import authenticate
from moorage.ui.delete_tags import not_restored
from moorage.ui.page import Page, View, Visit, go, when
from moorage.ui.references import image_place, repository_place
from moorage.ui.repository import Opened, opened
from moorage.web.response import Response

TABS = ("overview", "layers", "config", "attached", "raw")
# A bar of a layer is drawn on so many units.
_BAR = 100
# So many tags of an image that is deleted are brought back with it: an address has them all.
_MOST_UNDONE = 20
# Before Docker's first year, nothing was built: builders that make the same bytes again say so.
_FIRST_YEAR = 2013


async def go_to_tag(s: Services, visit: Visit) -> View | Response:
    """Send the browser to what the tag names now, or tell that it was deleted."""
    name, tag = visit.repository, Tag.parse(visit.text("tag"))
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    try:
        image = await images.find_image(s, actor, name, tag)
    except NotFound:
        # One that never was has no moves either, and is refused by that.
        moves = await history.list_moves(s, actor, name, tag, 0, 1)
        if moves[0].after is not None:
            raise
        return _gone(opened(actor, name, found), tag=tag)
    place = f"{image_place(name, image.digest)}?tag={quote(tag)}"
    return Response(302, {"Location": place, "Cache-Control": "no-store"})


async def show(s: Services, visit: Visit) -> View:
    """Show an image, by one of its tabs; of one that was deleted, how it comes back."""
    name, text = visit.repository, visit.text("digest")
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    place = opened(actor, name, found)
    tab = visit.text("tab") if "{tab}" in visit.page.path else TABS[0]
    if tab not in TABS or ":" not in text:
        raise NotFound
    digest = Digest.parse(text)
    try:
        image = await images.find_image(s, actor, name, digest)
    except NotFound:
        until = await trash.find_deleted(s, actor, name, digest)
        if not until:
            raise
        tags = [Tag.parse(each) for each in visit.parameters("was")[:_MOST_UNDONE]]
        return _gone(place, digest=digest, until=until, tags=tags)
    asked = visit.parameter("tag")
    tag = asked if asked in image.tags else next(iter(image.tags), "")
    facts: dict[str, object] = {
        **place.facts(),
        "tab": tab,
        "tag": tag,
        "tabs": {
            each: image_place(name, image.digest, each if each != TABS[0] else "") for each in TABS
        },
        **_facts(image),
    }
    if tab == "raw":
        facts["pieces"] = manifest_text.pieces(image.raw, _places(image))
    shown = tag or f"{image.digest[:19]}…"
    crumbs = place.crumbs((shown, ""))
    return View("image.html", f"{name}:{tag}" if tag else name, facts, "images", tab, crumbs)


async def delete_image(s: Services, visit: Visit) -> Response:
    """Put a manifest into the trash, delete its tags, and go to where that is undone."""
    name, digest = visit.repository, Digest.parse(visit.text("digest"))
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.DELETE, name)
    by = change_by(actor, visit.request)
    image = await images.find_image(s, actor, name, digest)
    await delete.delete_manifest(s, actor, name, digest, by)
    was = urlencode([("was", each) for each in image.tags[:_MOST_UNDONE]])
    return go(image_place(name, digest) + (f"?{was}" if was else ""), "deleted")


async def undo(s: Services, visit: Visit) -> View | Response:
    """Take the image out of the trash, and have the chosen tags name it again that it had."""
    name, digest = visit.repository, Digest.parse(visit.text("digest"))
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.DELETE, name)
    place = opened(actor, name, await rights.find(s, actor, name))
    by = change_by(actor, visit.request)
    tags = [Tag.parse(each) for each in visit.fields("tag")]
    await restore.restore_manifest(s, actor, name, digest, by)
    failed = []
    if tags:
        failed = await delete_tags.restore_tags(s, actor, name, tags, by, digest=digest)
    return not_restored(place, failed) if failed else go(image_place(name, digest), "restored")


def _gone(
    place: Opened,
    *,
    digest: Digest | None = None,
    until: int = 0,
    tag: Tag | None = None,
    tags: Sequence[Tag] = (),
) -> View:
    """Return the page of what was deleted: an image, or a tag that names nothing any more."""
    facts = {
        **place.facts(),
        "status": 404,
        "digest": digest,
        "image": image_place(place.name, digest) if digest is not None else "",
        "until": when(until),
        "tag": tag,
        "tags": list(tags),
        "history": repository_place(place.name, f"history?tag={tag}" if tag else "history"),
    }
    shown = tag or f"{str(digest)[:19]}…"
    title = f"{shown} of {place.name} was deleted"
    crumbs = place.crumbs((shown, ""))
    return View("image_gone.html", title, facts, "images", "tags", crumbs, 404)


def _facts(image: Image) -> dict[str, object]:
    name = image.repository
    most = max((each.size for each in image.layers), default=0)
    return {
        "digest": image.digest,
        "digests": list(image.digests),
        "media_type": image.media_type,
        "artifact_type": image.artifact_type,
        "kind": image.kind,
        "size": image.size,
        "content_size": image.content_size,
        "own_size": _own_size(image),
        "pushed_at": when(image.pushed_at),
        "actor": image.by.actor or None if image.by is not None else None,
        "cause": image.by.cause if image.by is not None else None,
        "tags": list(image.tags),
        "more_tags": image.more_tags,
        "platform": image.platform,
        "platforms": [
            {
                "digest": each.digest,
                "image": image_place(name, each.digest),
                "platform": each.platform,
                "kind": each.kind,
                "content_size": each.content_size,
                "is_here": each.is_here,
                "attests": each.attests,
            }
            for each in image.platforms
        ],
        **_config(image),
        "layers": [_layer(number, each, most) for number, each in enumerate(image.layers, 1)],
        "annotations": dict(image.annotations),
        "subject": image.subject,
        "subject_image": image_place(name, image.subject)
        if image.subject and image.has_subject
        else "",
        "attached": [
            {
                "digest": each.digest,
                "image": image_place(name, each.digest),
                "artifact_type": each.artifact_type or each.media_type,
                "kind": each.kind,
                "size": each.size,
                "annotations": dict(each.annotations),
            }
            for each in image.attached
        ],
        "more_attached": image.more_attached,
        "parents": [
            {
                "digest": each.digest,
                "image": image_place(name, each.digest),
                "tags": list(each.tags),
            }
            for each in image.parents
        ],
        "problems": list(image.problems),
        "raw": image.raw.decode("utf-8", "replace"),
    }


def _config(image: Image) -> dict[str, object]:
    """Return what the image runs as, and where it says that it comes from."""
    config = image.config
    return {
        "config_digest": image.config_digest,
        "config": config,
        "is_root": config is not None and config.is_root,
        "built_at": _built_at(config.created) if config is not None else None,
        "source": source.source_of(image.fields),
    }


def _places(image: Image) -> dict[str, str]:
    """Return where the digests in the manifest lead, of what is here."""
    name, digest = image.repository, image.digest
    layers = image_place(name, digest, "layers")
    places = {str(each.digest): layers for each in image.layers if each.digest is not None}
    if image.config is not None:
        places[str(image.config_digest)] = image_place(name, digest, "config")
    if image.subject is not None and image.has_subject:
        places[image.subject] = image_place(name, image.subject)
    return places | {
        each.digest: image_place(name, each.digest) for each in image.platforms if each.is_here
    }


def _own_size(image: Image) -> int | None:
    """Return how many bytes of the layers no other repository has that the visitor may read."""
    layers = {each.digest: each for each in image.layers if each.digest is not None}
    alone = [each.size for each in layers.values() if not each.use.count and not each.use.more]
    return sum(alone) if layers else None


def _built_at(text: str) -> datetime | None:
    """Return the time that a configuration names; None for what is no time of a build."""
    try:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        return found.astimezone(UTC) if found.year >= _FIRST_YEAR else None
    except (ValueError, OverflowError):
        return None


def _layer(number: int, layer: Layer, most: int) -> dict[str, object]:
    return {
        "number": number,
        "digest": layer.digest,
        "media_type": layer.media_type,
        "size": layer.size,
        "share": round(layer.size * _BAR / most, 1) if most else 0,
        "instruction": layer.instruction,
        "created": layer.created,
        "is_here": layer.is_here,
        "used_in": [{"name": each, "page": repository_place(each)} for each in layer.use.names],
        "used": layer.use.count,
        "more_uses": layer.use.more,
    }


PAGES = (
    Page(
        name="tag",
        path="/r/{repository}/-/t/{tag}",
        action=Action.PULL,
        show=go_to_tag,
        twin=False,
    ),
    Page(
        name="image",
        path="/r/{repository}/-/d/{digest}",
        action=Action.PULL,
        show=show,
        acts={"delete": delete_image, "undo": undo},
    ),
    Page(
        name="image-tab",
        path="/r/{repository}/-/d/{digest}/{tab}",
        action=Action.PULL,
        show=show,
    ),
)
