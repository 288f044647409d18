"""`…/-/tags/{tag}` and `…/-/manifests/{digest}`: set, copied and deleted by hand."""

from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, done, told
from moorage.api.caller import authenticate
from moorage.api.fields import Digest, Repository
from moorage.auth.policy import require
from moorage.db.tags import Condition
from moorage.errors import Conflicting, ManifestUnknown, NotFound, Unsupported
from moorage.model.access import Action, TagOf
from moorage.oci.digest import Digest as Parsed
from moorage.oci.names import RepositoryName
from moorage.oci.names import Tag as TagName
from moorage.registry import delete, rights, tagging
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class SetTag(Ask, frozen=True):
    """What a tag is to name: a tag, a digest, or the beginning of one.

    It is looked for in `source`, another repository, and copied from there; without one, in the
    tag's own. Where `expected` is given, only a tag that names this digest is moved.
    """

    reference: Annotated[str, Meta(min_length=1, max_length=200)]
    source: Repository | None = None
    expected: Digest | None = None


class SetTagDone(msgspec.Struct, frozen=True):
    """What a tag names now and named before; `manifests` and `blobs` were not there and are now."""

    name: str
    digest: str
    before: str | None
    manifests: int
    blobs: int


async def set_tag(s: Services, call: Call) -> Response:
    """Have a tag name what another one does, or a digest."""
    name, tag = call.repository, TagName.parse(call.text("tag"))
    actor = await authenticate(s, call)
    require(actor, Action.PUSH, TagOf(name, tag), (await rights.find(s, actor, name)).facts)
    asked = await call.asked(SetTag)
    source = RepositoryName.parse(asked.source) if asked.source is not None else name
    expected = (Parsed.parse(asked.expected),) if asked.expected is not None else ()
    made = await tagging.set_tag(
        s,
        actor,
        name,
        tag,
        (source, asked.reference),
        change_by(actor, call.request),
        condition=Condition(match=expected),
    )
    return told(200, SetTagDone(made.tag, made.digest, made.before, made.manifests, made.blobs))


async def delete_tag(s: Services, call: Call) -> Response:
    """Delete a tag; its image stays."""
    name, tag = call.repository, TagName.parse(call.text("tag"))
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.DELETE, name)
    by = change_by(actor, call.request)
    try:
        await delete.delete_tag(s, actor, name, tag, Condition(), by)
    except ManifestUnknown as error:
        raise NotFound(error.message) from None
    return done()


async def delete_manifest(s: Services, call: Call) -> Response:
    """Put a manifest into the trash, and delete all its tags."""
    name, digest = call.repository, Parsed.parse(call.text("digest"))
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.DELETE, name)
    by = change_by(actor, call.request)
    try:
        await delete.delete_manifest(s, actor, name, digest, by)
    except ManifestUnknown as error:
        raise NotFound(error.message) from None
    except Unsupported as error:
        raise Conflicting(error.message, hint=error.hint) from None
    return done()


ROUTES = (
    Route(
        method="PUT",
        path="/repositories/{repository}/-/tags/{tag}",
        name="set-tag",
        summary="Have a tag name an image of this repository, or of another one, which is copied",
        action=Action.PUSH,
        handler=set_tag,
        takes=SetTag,
        gives=SetTagDone,
        clashes=True,
    ),
    Route(
        method="DELETE",
        path="/repositories/{repository}/-/tags/{tag}",
        name="delete-tag",
        summary="Delete a tag, and nothing but that",
        action=Action.DELETE,
        handler=delete_tag,
        status=204,
    ),
    Route(
        method="DELETE",
        path="/repositories/{repository}/-/manifests/{digest}",
        name="delete-manifest",
        summary="Put a manifest into the trash, and delete its tags",
        action=Action.DELETE,
        handler=delete_manifest,
        status=204,
        clashes=True,
    ),
)
