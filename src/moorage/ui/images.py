"""`/r/NAME/-/d/DIGEST`: an image and what it is made of; `…/-/t/TAG` leads to what a tag names."""

from urllib.parse import quote

from moorage.auth.policy import require
from moorage.errors import NotFound
from moorage.model.access import Action, RepositoryTarget
from moorage.model.images import Image, Layer
from moorage.oci.digest import Digest
from moorage.oci.names import Tag
from moorage.registry import delete, images, rights
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.page import Page, View, Visit, go, when
from moorage.ui.references import image_place, repository_place
from moorage.ui.repository import opened
from moorage.web.response import Response

TABS = ("overview", "layers", "config", "attached", "raw")
# A bar of a layer is drawn on so many units.
_BAR = 100


async def go_to_tag(s: Services, visit: Visit) -> Response:
    """Send the browser to what the tag names now."""
    name, tag = visit.repository, Tag.parse(visit.text("tag"))
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    image = await images.find_image(s, actor, name, tag)
    place = f"{image_place(name, image.digest)}?tag={quote(tag)}"
    return Response(302, {"Location": place, "Cache-Control": "no-store"})


async def show(s: Services, visit: Visit) -> View:
    """Show an image, by one of its tabs."""
    name, text = visit.repository, visit.text("digest")
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    place = opened(actor, name, found)
    tab = visit.text("tab") if "{tab}" in visit.page.path else TABS[0]
    if tab not in TABS or ":" not in text:
        raise NotFound
    image = await images.find_image(s, actor, name, Digest.parse(text))
    asked = visit.parameter("tag")
    tag = asked if asked in image.tags else next(iter(image.tags), "")
    facts = {
        **place.facts(),
        "tab": tab,
        "tag": tag,
        "tabs": {
            each: image_place(name, image.digest, each if each != TABS[0] else "") for each in TABS
        },
        **_facts(image),
    }
    shown = tag or f"{image.digest[:19]}…"
    crumbs = place.crumbs((shown, ""))
    return View("image.html", f"{name}:{tag}" if tag else name, facts, "images", tab, crumbs)


async def delete_image(s: Services, visit: Visit) -> Response:
    """Put a manifest into the trash and delete its tags."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.DELETE, name)
    by = change_by(actor, visit.request)
    await delete.delete_manifest(s, actor, name, Digest.parse(visit.text("digest")), by)
    return go(repository_place(name), "deleted")


def _facts(image: Image) -> dict[str, object]:
    name, config = image.repository, image.config
    most = max((each.size for each in image.layers), default=0)
    return {
        "digest": image.digest,
        "digests": list(image.digests),
        "media_type": image.media_type,
        "artifact_type": image.artifact_type,
        "kind": image.kind,
        "size": image.size,
        "content_size": image.content_size,
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
        "config_digest": image.config_digest,
        "config": config,
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
        "used_by": list(layer.use.names),
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
        acts={"delete": delete_image},
    ),
    Page(
        name="image-tab",
        path="/r/{repository}/-/d/{digest}/{tab}",
        action=Action.PULL,
        show=show,
    ),
)
