"""`/v2/<name>/blobs/<digest>`: end-2 and end-10."""

from functools import partial

from moorage.auth.policy import decide, require
from moorage.blobs.store import LocalFile, Redirect
from moorage.clock import new_id
from moorage.errors import BlobUnknown, RangeInvalid
from moorage.model.access import Action, RepositoryTarget
from moorage.model.artifacts import Blob, Repository
from moorage.oci.digest import Digest
from moorage.oci.media_types import OCTET_STREAM
from moorage.oci.names import RepositoryName
from moorage.registry import delete, pull, rights
from moorage.registry.services import Services, change_by
from moorage.v2.paths import Route
from moorage.web.clients import is_within
from moorage.web.conditions import is_unmodified, range_holds
from moorage.web.ranges import Span, parse_range
from moorage.web.request import Request
from moorage.web.response import (
    IMMUTABLE,
    FileBody,
    Response,
    StreamBody,
    answer,
    open_body,
    open_stream,
)


async def get_blob(s: Services, request: Request, route: Route) -> Response:
    """Answer with the blob, or the ranges asked for; HEAD also renews a pusher's lease."""
    name, digest = RepositoryName.parse(route.name), Digest.parse(route.reference)
    actor = await s.auth.authenticate(request)
    target = RepositoryTarget(name)
    found, stored, leased_until = await pull.find_blob(s, actor, name, digest)
    require(actor, Action.PULL, target, found.facts)
    repository, blob = pull.known_blob(found.repository, stored, name, digest)
    pushes = request.method == "HEAD" and decide(actor, Action.PUSH, target, found.facts).allowed
    if pushes and not await pull.extend_lease(s, repository, blob, leased_until):
        raise BlobUnknown(f"{name} has no blob {digest}", detail={"digest": digest})
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
    return await _content(s, request, repository, blob, digest, headers)


async def delete_blob(s: Services, request: Request, route: Route) -> Response:
    """Take the blob from this repository."""
    name, digest = RepositoryName.parse(route.name), Digest.parse(route.reference)
    actor = await s.auth.authenticate(request)
    target = RepositoryTarget(name)
    require(actor, Action.DELETE, target, (await rights.find(s, actor, name)).facts)
    await delete.delete_blob(s, actor, name, digest, change_by(actor, request))
    return answer(202)


async def _content(
    s: Services,
    request: Request,
    repository: Repository,
    blob: Blob,
    digest: Digest,
    headers: dict[str, str],
) -> Response:
    spans = _spans(request, blob, digest)
    if spans == ():
        raise RangeInvalid(
            f"the blob has {blob.size} bytes",
            headers={"Content-Range": f"bytes */{blob.size}", "Accept-Ranges": "bytes"},
        )
    several = spans is not None and len(spans) > 1
    boundary = new_id() if several else ""  # nobody can have pushed content that contains it
    # A store that does not know several ranges would send the whole blob in place of some of it.
    elsewhere = not several and _may_go_elsewhere(s, request, repository.name)
    located = await pull.locate(s, blob, redirect=elsewhere)
    if isinstance(located, Redirect):
        there = {"Location": located.url, "Cache-Control": "no-store"}
        return Response(307, {**there, "Docker-Content-Digest": digest})
    body = await _body(s, blob, located, (digest, spans or (Span(0, blob.size),), boundary))
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


async def _body(
    s: Services,
    blob: Blob,
    located: LocalFile | None,
    shape: tuple[Digest, tuple[Span, ...], str],
) -> FileBody | StreamBody | None:
    """Return what sends the spans, None if the bytes are not there."""
    if located is not None:
        return open_body(located.path, blob.size, *shape)
    try:
        return await open_stream(pull.read(s, blob), blob.size, *shape)
    except (FileNotFoundError, EOFError):
        return None


def _may_go_elsewhere(s: Services, request: Request, name: RepositoryName) -> bool:
    """Tell whether the settings send this client to the object store itself."""
    redirect = s.config.redirect
    is_exception = not {name, name.namespace}.isdisjoint(redirect.except_repositories)
    if not is_exception and redirect.except_clients:
        client = s.proxies.client_of(request)
        is_exception = client is not None and is_within(client, redirect.except_clients)
    return redirect.blobs != is_exception


def _spans(request: Request, blob: Blob, digest: Digest) -> tuple[Span, ...] | None:
    header = request.headers.get("Range")
    if header is None or not range_holds(request.headers.get("If-Range"), digest):
        return None
    return parse_range(header, blob.size)
