"""`/v2/<name>/blobs/<digest>`: end-2 and end-10."""

from functools import partial

from moorage.auth.policy import decide, require
from moorage.blobs.store import LocalFile
from moorage.clock import new_id
from moorage.errors import BlobUnknown, RangeInvalid, Unavailable
from moorage.model.access import Action, RepositoryTarget
from moorage.model.artifacts import Blob
from moorage.oci.digest import Digest
from moorage.oci.media_types import OCTET_STREAM
from moorage.oci.names import RepositoryName
from moorage.registry import delete, listing, pull
from moorage.registry.services import Services, change_by
from moorage.v2.paths import Route
from moorage.web.conditions import is_unmodified, range_holds
from moorage.web.ranges import Span, parse_range
from moorage.web.request import Request
from moorage.web.response import IMMUTABLE, Response, answer, open_body


async def get_blob(s: Services, request: Request, route: Route) -> Response:
    """Answer with the blob, or the ranges asked for; HEAD also renews a pusher's lease."""
    name, digest = RepositoryName.parse(route.name), Digest.parse(route.reference)
    actor = await s.auth.authenticate(request)
    target = RepositoryTarget(name)
    found = await pull.find_blob(s, name, digest)
    facts = pull.facts_of(found[0])
    require(actor, Action.PULL, target, facts)
    repository, blob = pull.known_blob(found[0], found[1], name, digest)
    if request.method == "HEAD" and decide(actor, Action.PUSH, target, facts).allowed:
        await pull.extend_lease(s, repository, blob, found[2])
    headers = {
        "Content-Type": OCTET_STREAM,
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": IMMUTABLE,
        # A blob is whatever somebody pushed; opened in a browser it must not run on our origin.
        "Content-Security-Policy": "sandbox",
    }
    if is_unmodified(request.headers.get("If-None-Match"), digest):
        del headers["Content-Type"]
        return Response(304, headers)
    if request.method == "HEAD":
        headers["Content-Length"] = str(blob.size)
        return Response(200, headers)
    return await _content(s, request, blob, digest, headers)


async def delete_blob(s: Services, request: Request, route: Route) -> Response:
    """Take the blob from this repository."""
    name, digest = RepositoryName.parse(route.name), Digest.parse(route.reference)
    actor = await s.auth.authenticate(request)
    facts = pull.facts_of(await listing.find_repository(s, name))
    require(actor, Action.DELETE, RepositoryTarget(name), facts)
    await delete.delete_blob(s, name, digest, change_by(actor, request))
    return answer(202)


async def _content(
    s: Services, request: Request, blob: Blob, digest: Digest, headers: dict[str, str]
) -> Response:
    spans = _spans(request, blob, digest)
    if spans == ():
        raise RangeInvalid(
            f"the blob has {blob.size} bytes",
            headers={"Content-Range": f"bytes */{blob.size}", "Accept-Ranges": "bytes"},
        )
    several = spans is not None and len(spans) > 1
    boundary = new_id() if several else ""  # nobody can have pushed content that contains it
    located = await pull.locate(s, blob)
    if not isinstance(located, LocalFile):
        raise Unavailable("the blob is kept where this release can't send it from")
    whole = (Span(0, blob.size),)
    body = open_body(located.path, blob.size, digest, spans or whole, boundary)
    if body is None:
        await pull.note_damage(s, blob)
        raise BlobUnknown(
            f"the bytes of {digest} are damaged or gone",
            hint="Push the image again: that puts them back",
        )
    damaged = partial(pull.note_damage, s, blob)
    if spans is None:
        return Response(200, headers, body, damaged)
    if several:
        headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    else:
        headers["Content-Range"] = f"bytes {spans[0].start}-{spans[0].end - 1}/{blob.size}"
    return Response(206, headers, body, damaged)


def _spans(request: Request, blob: Blob, digest: Digest) -> tuple[Span, ...] | None:
    header = request.headers.get("Range")
    if header is None or not range_holds(request.headers.get("If-Range"), digest):
        return None
    return parse_range(header, blob.size)
