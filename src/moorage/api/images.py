"""`/api/v1/images` and `…/-/images`: repositories and tags in tables, one image, and two."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from moorage.api.call import Call, Route, component, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.api.image_types import By, Image, Layer, told_by, told_image, told_layer
from moorage.auth.policy import require
from moorage.errors import Invalid
from moorage.model.access import Action, RepositoryTarget, System
from moorage.model.comparison import Comparison as Compared
from moorage.model.comparison import Difference as Differs
from moorage.model.comparison import Side as OneSide
from moorage.model.images import RepositoryRow, TagRow
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName
from moorage.registry import compare, images, repository_table, rights, tag_table, untagged
from moorage.registry.services import Services
from moorage.web.response import Response


class Newest(msgspec.Struct, frozen=True):
    """A repository with what was pushed last; numbers with `…_more` are at least so much.

    `type` is what its newest image is: image, chart, artifact, wasm, signature, sbom or provenance;
    null without tags. `changed_at` is when a tag last moved or was deleted, else when the
    repository was made. Both are some seconds behind what happens.
    """

    name: str
    namespace: str
    visibility: str
    type: str | None
    changed_at: datetime | None
    newest: str | None
    newest_at: datetime | None
    tags: int
    tags_more: bool
    content_size: int
    content_more: bool


class Images(msgspec.Struct, frozen=True):
    """A page of repositories, in ASCII order unless `sort` says `changed`: the last change first.

    With a filter it may have fewer than were asked for, or none, and more behind it.
    """

    items: list[Newest]


class TagLine(msgspec.Struct, frozen=True):
    """A tag with what its image is; `grown` is by how much that is larger than the one before."""

    name: str
    digest: str
    since: datetime | None
    by: By
    kind: str
    media_type: str
    platforms: Sequence[str]
    content_size: int
    grown: int | None


class TagLines(msgspec.Struct, frozen=True):
    """A page of tags in the order that was asked for."""

    items: list[TagLine]


class Untagged(msgspec.Struct, frozen=True):
    """An image that no tag names."""

    digest: str
    kind: str
    media_type: str
    size: int
    content_size: int
    pushed_at: datetime | None


class UntaggedImages(msgspec.Struct, frozen=True):
    """A page of them in the order of their digests; it may have none and more behind it."""

    items: list[Untagged]


class Side(msgspec.Struct, frozen=True):
    """One of two images."""

    repository: str
    digest: str
    tags: Sequence[str]
    kind: str
    platform: str
    content_size: int
    layers: int


class Difference(msgspec.Struct, frozen=True):
    """A field of two images; null where one has none."""

    section: str
    name: str
    a: str | None
    b: str | None
    same: bool


class Pair(msgspec.Struct, frozen=True):
    """A platform of two indexes; null where one has none of it."""

    platform: str
    a: str | None
    b: str | None
    a_size: int
    b_size: int


class Comparison(msgspec.Struct, frozen=True):
    """Two images side by side; `grown` is by how many bytes the second one is larger."""

    a: Side
    b: Side
    summary: str
    grown: int
    config: list[Difference]
    annotations: list[Difference]
    shared: list[Layer]
    common: list[Layer]
    only_a: list[Layer]
    only_b: list[Layer]
    platforms: list[Pair]
    problems: Sequence[str]


async def list_images(s: Services, call: Call) -> Response:
    """Answer with a page of the repositories that the caller may read."""
    actor = await authenticate(s, call)
    require(actor, Action.CATALOG, System(), await rights.find_standing(s, actor))
    page = call.page()
    namespace = call.parameter("namespace")
    found = await repository_table.list_rows(
        s,
        actor,
        page.after,
        page.limit,
        sort=call.parameter("sort") or repository_table.BY_NAME,
        namespace=component(namespace, "namespace") if namespace else "",
        visibility=call.parameter("visibility"),
        kind=call.parameter("type"),
        pulled=call.parameter("pulled"),
    )
    return told_page(call, [_newest(each) for each in found.rows], found.after or None)


async def list_lines(s: Services, call: Call) -> Response:
    """Answer with a page of a repository's tags, and what each stands for."""
    name = call.repository
    actor = await authenticate(s, call)
    require(actor, Action.PULL, RepositoryTarget(name), (await rights.find(s, actor, name)).facts)
    page = call.page()
    found = await tag_table.list_rows(
        s,
        actor,
        name,
        page.after,
        page.limit,
        sort=call.parameter("sort") or tag_table.BY_NAME,
        pattern=call.parameter("filter"),
    )
    return told_page(call, [_line(each) for each in found.rows], found.after or None)


async def list_untagged(s: Services, call: Call) -> Response:
    """Answer with a page of the images that no tag names."""
    name = call.repository
    actor = await authenticate(s, call)
    require(actor, Action.PULL, RepositoryTarget(name), (await rights.find(s, actor, name)).facts)
    page = call.page()
    after = Digest.parse(page.after) if page.after else None
    found = await untagged.list_untagged(s, actor, name, after, page.limit)
    items = [
        Untagged(
            each.digest,
            each.kind,
            each.media_type,
            each.size,
            each.content_size,
            when(each.pushed_at),
        )
        for each in found.rows
    ]
    return told_page(call, items, found.after or None)


async def get_image(s: Services, call: Call) -> Response:
    """Answer with one image."""
    name = call.repository
    actor = await authenticate(s, call)
    require(actor, Action.PULL, RepositoryTarget(name), (await rights.find(s, actor, name)).facts)
    found = await images.find_image(s, actor, name, call.text("reference"))
    return told_one(call, told_image(found))


async def compare_images(s: Services, call: Call) -> Response:
    """Answer with two images side by side."""
    name = call.repository
    actor = await authenticate(s, call)
    require(actor, Action.PULL, RepositoryTarget(name), (await rights.find(s, actor, name)).facts)
    text = call.parameter("with")
    if not text:
        raise Invalid("with is needed: the tag or digest of the other image")
    of_other = call.parameter("other")
    other = RepositoryName.parse(of_other) if of_other else name
    require(actor, Action.PULL, RepositoryTarget(other), (await rights.find(s, actor, other)).facts)
    found = await compare.compare(
        s,
        actor,
        (name, call.text("reference")),
        (other, text),
        platform=call.parameter("platform"),
    )
    return told(200, _comparison(found))


def _newest(row: RepositoryRow) -> Newest:
    return Newest(
        row.name,
        row.name.namespace,
        row.visibility,
        row.kind or None,
        when(row.changed_at),
        row.newest or None,
        when(row.newest_at),
        row.tags,
        row.more_tags,
        row.content_size,
        row.more_content,
    )


def _line(row: TagRow) -> TagLine:
    return TagLine(
        row.name,
        row.digest,
        when(row.at),
        told_by(row.by),
        row.kind,
        row.media_type,
        row.platforms,
        row.content_size,
        row.grown,
    )


def _comparison(found: Compared) -> Comparison:
    return Comparison(
        a=_side(found.a),
        b=_side(found.b),
        summary=found.summary,
        grown=found.grown,
        config=[_difference(each) for each in found.config],
        annotations=[_difference(each) for each in found.annotations],
        shared=[told_layer(each) for each in found.shared],
        common=[told_layer(each) for each in found.common],
        only_a=[told_layer(each) for each in found.only_a],
        only_b=[told_layer(each) for each in found.only_b],
        platforms=[
            Pair(each.platform, each.a, each.b, each.a_size, each.b_size)
            for each in found.platforms
        ],
        problems=found.problems,
    )


def _side(side: OneSide) -> Side:
    return Side(
        side.repository,
        side.digest,
        side.tags,
        side.kind,
        side.platform,
        side.content_size,
        side.layers,
    )


def _difference(found: Differs) -> Difference:
    return Difference(found.section, found.name, found.a, found.b, found.is_same)


ROUTES = (
    Route(
        method="GET",
        path="/images",
        name="list-images",
        summary="The repositories that the caller may read, with what is newest in each",
        action=Action.CATALOG,
        handler=list_images,
        gives=Images,
        pages=True,
        query=("sort", "namespace", "visibility", "type", "pulled"),
    ),
    Route(
        method="GET",
        path="/repositories/{repository}/-/tags/-/table",
        name="list-tag-lines",
        summary="The tags of a repository by name or newest first, with what each stands for",
        action=Action.PULL,
        handler=list_lines,
        gives=TagLines,
        pages=True,
        query=("sort", "filter"),
    ),
    Route(
        method="GET",
        path="/repositories/{repository}/-/untagged",
        name="list-untagged",
        summary="The images of a repository that no tag names",
        action=Action.PULL,
        handler=list_untagged,
        gives=UntaggedImages,
        pages=True,
    ),
    Route(
        method="GET",
        path="/repositories/{repository}/-/images/{reference}",
        name="get-image",
        summary="The image behind a tag, a digest, or the beginning of one",
        action=Action.PULL,
        handler=get_image,
        gives=Image,
        clashes=True,
    ),
    Route(
        method="GET",
        path="/repositories/{repository}/-/images/{reference}/compare",
        name="compare-images",
        summary="How another image differs, of the same repository or another one",
        action=Action.PULL,
        handler=compare_images,
        gives=Comparison,
        query=("with", "other", "platform"),
        clashes=True,
    ),
)
