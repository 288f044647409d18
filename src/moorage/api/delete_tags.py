"""`…/-/tags/-/delete`: several tags at once: what would go, what went, and all of it back."""

from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, told
from moorage.api.caller import authenticate
from moorage.api.fields import Digest, TagName
from moorage.auth.policy import require
from moorage.errors import NotFound
from moorage.model.access import Action, RepositoryTarget
from moorage.oci.digest import Digest as Parsed
from moorage.oci.names import Tag
from moorage.registry import delete_tags, rights
from moorage.registry.services import Services, change_by
from moorage.web.response import Response

_Some = Meta(min_length=1, max_length=delete_tags.MOST)


class ChosenTag(Ask, frozen=True):
    """A tag, and the digest that it must still name."""

    name: TagName
    digest: Digest


class ChosenTags(Ask, frozen=True):
    """Tags that are to go, each with the digest that it had when it was chosen."""

    tags: Annotated[list[ChosenTag], _Some]


class NamedTags(Ask, frozen=True):
    """Tags by their names."""

    tags: Annotated[list[TagName], _Some]


class EndOfTag(msgspec.Struct, frozen=True):
    """What becomes of a tag; `why` says why it stays as it is, and is empty where it does not.

    `digest` is null where it is not there, or names another image since it was chosen. `others` are
    some of the tags that its image has besides those that go.
    """

    name: str
    digest: str | None
    why: str
    others: list[str]
    more_others: bool


class EndsOfTags(msgspec.Struct, frozen=True):
    """What becomes of each tag."""

    items: list[EndOfTag]


async def preview(s: Services, call: Call) -> Response:
    """Answer with what deleting the tags would do now; nothing is changed."""
    name = call.repository
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.DELETE, name)
    asked = await call.asked(NamedTags)
    wanted = [Tag.parse(each) for each in asked.tags]
    return told(200, _told(await delete_tags.preview(s, actor, name, wanted)))


async def delete(s: Services, call: Call) -> Response:
    """Delete, in one transaction, each tag that still names its digest and that no rule keeps."""
    name = call.repository
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.DELETE, name)
    asked = await call.asked(ChosenTags)
    wanted = [(Tag.parse(each.name), Parsed.parse(each.digest)) for each in asked.tags]
    by = change_by(actor, call.request)
    return told(200, _told(await delete_tags.delete_tags(s, actor, name, wanted, by)))


async def restore(s: Services, call: Call) -> Response:
    """Have each tag name what it named when it was deleted; answer with those that do not."""
    name = call.repository
    actor = await authenticate(s, call)
    found = await rights.find(s, actor, name)
    require(actor, Action.PUSH, RepositoryTarget(name), found.facts)
    if found.repository is None:
        raise NotFound
    asked = await call.asked(NamedTags)
    wanted = [Tag.parse(each) for each in asked.tags]
    by = change_by(actor, call.request)
    return told(200, _told(await delete_tags.restore_tags(s, actor, name, wanted, by)))


def _told(ends: list[delete_tags.TagEnd]) -> EndsOfTags:
    return EndsOfTags(
        [
            EndOfTag(each.tag, each.digest, each.why, list(each.others), each.more_others)
            for each in ends
        ]
    )


ROUTES = (
    Route(
        method="POST",
        path="/repositories/{repository}/-/tags/-/delete/preview",
        name="preview-tags-deletion",
        summary="What deleting several tags would do, and why some would stay",
        action=Action.DELETE,
        handler=preview,
        takes=NamedTags,
        gives=EndsOfTags,
    ),
    Route(
        method="POST",
        path="/repositories/{repository}/-/tags/-/delete",
        name="delete-tags",
        summary="Delete several tags at once, and nothing but them",
        action=Action.DELETE,
        handler=delete,
        takes=ChosenTags,
        gives=EndsOfTags,
    ),
    Route(
        method="POST",
        path="/repositories/{repository}/-/tags/-/delete/undo",
        name="restore-tags",
        summary="Bring several deleted tags back",
        action=Action.PUSH,
        handler=restore,
        takes=NamedTags,
        gives=EndsOfTags,
    ),
)
