"""`/api/v1/search`: names, tags, labels, digests and descriptions that the caller may read."""

from typing import Literal

import msgspec

from moorage.api.call import Call, Route, told_page
from moorage.api.caller import authenticate
from moorage.errors import Invalid
from moorage.registry import search
from moorage.registry.services import Services
from moorage.web.response import Response

_KINDS = ("repository", "tag", "label", "digest")


class Hit(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that was found; it has the fields that its kind has.

    `match` is `exact`, `prefix` or `part`. `tags` are of the image that has the digest or label,
    up to five of them.
    """

    kind: Literal["repository", "tag", "label", "digest"]
    match: Literal["exact", "prefix", "part"]
    repository: str
    tags: list[str] = []
    digest: str = ""
    label: str = ""
    description: str = ""


class Hits(msgspec.Struct, frozen=True):
    """A page of what was found, the nearest first; it may have less than it could."""

    items: list[Hit]


async def find(s: Services, call: Call) -> Response:
    """Answer with what has all the words; whoever is not signed in finds what is public."""
    actor = await authenticate(s, call)
    await search.require_search(s, actor)
    kind = call.parameter("kind")
    if kind and kind not in _KINDS:
        raise Invalid(f"kind is one of {', '.join(_KINDS)}")
    text = call.parameter("q")
    page = call.page()
    limit = min(page.limit, search.MOST)
    found = await search.find(s, actor, text, kind=kind, after=page.after, limit=limit)
    return told_page(call, [_told(each) for each in found.hits], found.after or None)


def _told(hit: search.Hit) -> Hit:
    is_label = hit.kind == "label"
    return Hit(
        kind=hit.kind,
        match=hit.match,
        repository=hit.repository,
        tags=list(hit.tags),
        digest=hit.digest or "",
        label=hit.text if is_label else "",
        description="" if is_label else hit.text,
    )


ROUTES = (
    Route(
        method="GET",
        path="/search",
        name="search",
        summary="What has all the words of a text, of what the caller may read",
        action=None,
        handler=find,
        gives=Hits,
        pages=True,
        query=("q", "kind"),
    ),
)
