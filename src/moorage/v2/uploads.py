"""`/v2/<name>/blobs/uploads/`: end-4 to end-6, end-11, end-13 and end-14."""

from collections.abc import Iterator
from contextlib import contextmanager

from moorage.auth.policy import require
from moorage.clock import HOUR
from moorage.errors import (
    DigestInvalid,
    NameInvalid,
    RangeInvalid,
    SizeInvalid,
)
from moorage.model.access import Action, RepositoryTarget, UploadOf
from moorage.model.artifacts import Upload
from moorage.oci.digest import Digest, parse_algorithm
from moorage.oci.names import RepositoryName
from moorage.registry import rights, uploads
from moorage.registry.mounts import mount
from moorage.registry.services import Services
from moorage.v2.paths import Route
from moorage.web.ranges import Span, parse_content_range
from moorage.web.request import Request
from moorage.web.response import Response, answer

# A layer may take longer than the token lasts that its upload was begun with, and not every client
# asks for another one in the middle. The subject's standing and its right are looked at all the
# same, and the session's address is no credential.
_GRACE = 12 * HOUR


async def post_upload(s: Services, request: Request, route: Route) -> Response:
    """Open a session, take a whole blob at once (`digest`), or mount one (`mount`)."""
    name = RepositoryName.parse(route.name)
    actor = await s.auth.authenticate(request)
    require(actor, Action.PUSH, RepositoryTarget(name), (await rights.find(s, actor, name)).facts)
    mounted = request.parameter("mount")
    if mounted is not None:
        digest = _mountable(mounted)
        source, named = _source(request)
        if digest and named and await mount(s, actor, name, digest, source):
            return _created(name, digest)
    wanted = request.parameter("digest")
    if wanted is not None:
        digest = Digest.parse(wanted)
        await uploads.push_whole(
            s, actor, name, uploads.Body(request.chunks(), length=request.content_length), digest
        )
        return _created(name, digest)
    algorithm = parse_algorithm(request.parameter("digest-algorithm") or "sha256")
    upload = await uploads.open_upload(s, actor, name, algorithm)
    # An empty session says 0-0 here, as every registry does (distribution-spec issue 578).
    return Response(202, {**_where(name, upload), "Range": "0-0"})


async def get_upload(s: Services, request: Request, route: Route) -> Response:
    """Answer with how far the session is (end-13)."""
    name = RepositoryName.parse(route.name)
    actor = await s.auth.authenticate(request, grace=_GRACE)
    target = UploadOf(name, route.reference)
    require(actor, Action.PUSH, target, (await rights.find(s, actor, name)).facts)
    upload = await uploads.find_upload(s, actor, name, route.reference)
    return Response(204, _where(name, upload))


async def patch_upload(s: Services, request: Request, route: Route) -> Response:
    """Append the body, at the range that `Content-Range` names or wherever the session is."""
    name = RepositoryName.parse(route.name)
    actor = await s.auth.authenticate(request, grace=_GRACE)
    target = UploadOf(name, route.reference)
    require(actor, Action.PUSH, target, (await rights.find(s, actor, name)).facts)
    with _with_range(name, route.reference):
        body = uploads.Body(request.chunks(), _span(request), request.content_length)
        upload = await uploads.append(s, actor, name, route.reference, body)
    return Response(202, _where(name, upload))


async def put_upload(s: Services, request: Request, route: Route) -> Response:
    """Append what is left, verify the digest and make the blob part of the repository (end-6)."""
    name = RepositoryName.parse(route.name)
    actor = await s.auth.authenticate(request, grace=_GRACE)
    target = UploadOf(name, route.reference)
    require(actor, Action.PUSH, target, (await rights.find(s, actor, name)).facts)
    digest = _wanted_digest(request)
    with _with_range(name, route.reference):
        body = uploads.Body(request.chunks(), _span(request), request.content_length)
        await uploads.finish(s, actor, name, route.reference, body, digest)
    return _created(name, digest)


async def delete_upload(s: Services, request: Request, route: Route) -> Response:
    """Cancel the session (end-14); the right to push is enough."""
    name = RepositoryName.parse(route.name)
    actor = await s.auth.authenticate(request, grace=_GRACE)
    target = UploadOf(name, route.reference)
    require(actor, Action.PUSH, target, (await rights.find(s, actor, name)).facts)
    await uploads.cancel(s, actor, name, route.reference)
    return answer(204)


def _created(name: RepositoryName, digest: Digest) -> Response:
    return answer(201, Location=f"/v2/{name}/blobs/{digest}", Docker_Content_Digest=digest)


def _location(name: RepositoryName, upload_id: str) -> str:
    # Relative: a proxy may rename the host, and nothing here trusts the request's.
    return f"/v2/{name}/blobs/uploads/{upload_id}"


def _where(name: RepositoryName, upload: Upload) -> dict[str, str]:
    return {
        "Location": _location(name, upload.id),
        "Range": f"0-{upload.offset - 1}",
        "Docker-Upload-UUID": upload.id,
        "Cache-Control": "no-store",
    }


@contextmanager
def _with_range(name: RepositoryName, upload_id: str) -> Iterator[None]:
    """Have a refused range say where to go on: some clients resume from that alone."""
    try:
        yield
    except RangeInvalid as error:
        offset = (error.detail or {}).get("offset", 0)
        error.headers = {
            "Location": _location(name, upload_id),
            "Range": f"0-{offset - 1}",
            "Docker-Upload-UUID": upload_id,
        }
        raise


# A malformed range follows nothing, so it is refused with the place where to go on.
_NOWHERE = Span(-1, -1)


def _span(request: Request) -> Span | None:
    header = request.headers.get("Content-Range")
    if header is None:
        return None
    span = parse_content_range(header)
    if span is None:
        return _NOWHERE
    length = request.content_length
    if length is not None and length != span.length:
        raise SizeInvalid(f"the range has {span.length} bytes, the body {length}")
    return span


def _wanted_digest(request: Request) -> Digest:
    wanted = request.parameters("digest")
    if len(wanted) != 1:
        raise DigestInvalid("finishing an upload takes one digest parameter")
    return Digest.parse(wanted[0])


def _mountable(text: str) -> Digest | None:
    """Return the digest to mount; a malformed one is only a mount that finds nothing."""
    try:
        return Digest.parse(text)
    except DigestInvalid:
        return None


def _source(request: Request) -> tuple[RepositoryName | None, bool]:
    """Return the repository to mount from, None for any, and whether that can be one at all."""
    text = request.parameter("from")
    if text is None:
        return None, True
    try:
        return RepositoryName.parse(text), True
    except NameInvalid:
        return None, False
