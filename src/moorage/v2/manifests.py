"""`/v2/<name>/manifests/<tag or digest>`: end-3, end-7 and end-9."""

import asyncio

from moorage.auth.policy import require
from moorage.db.tags import Condition, Present
from moorage.errors import DigestInvalid, PreconditionFailed, SignInNeeded, TooManyTags
from moorage.model.access import Action, RepositoryTarget, TagOf
from moorage.oci.digest import Digest
from moorage.oci.manifest import Manifest, parse_manifest
from moorage.oci.names import Reference, RepositoryName, Tag, parse_reference
from moorage.registry import delete, pull, push, rights
from moorage.registry.services import Services, change_by
from moorage.v2.paths import Route
from moorage.web.conditions import etags, is_unmodified
from moorage.web.request import Request
from moorage.web.response import IMMUTABLE, Response, answer

# Parsing holds the interpreter; above this size another thread does it, so that others get turns.
_PARSE_INLINE = 64 << 10


async def get_manifest(s: Services, request: Request, route: Route) -> Response:
    """Answer with the manifest's bytes as pushed; HEAD differs only in having no body."""
    name, reference = RepositoryName.parse(route.name), parse_reference(route.reference)
    actor = await s.auth.authenticate(request)
    raw = request.method != "HEAD"
    found, stored = await pull.find_manifest(s, actor, name, reference, raw=raw)
    require(actor, Action.PULL, _target(name, reference), found.facts)
    manifest = pull.known_manifest(found.repository, stored, name, reference)
    digest = manifest.digest
    is_by_digest = isinstance(reference, Digest)
    headers = {
        "Content-Type": manifest.media_type,
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Cache-Control": IMMUTABLE if is_by_digest else "no-cache",
    }
    if s.fair_use.is_on and actor.kind == "anonymous":
        headers |= _fair_share(s, request)
    if raw and found.repository is not None:
        s.pulls.count(found.repository.id, manifest.id, "" if is_by_digest else reference)
    if is_unmodified(request.headers.get("If-None-Match"), digest):
        del headers["Content-Type"]
        return Response(304, headers)
    headers["Content-Length"] = str(manifest.size)
    return Response(200, headers, manifest.raw)


async def put_manifest(s: Services, request: Request, route: Route) -> Response:
    """Store a manifest under a digest, a tag, or a digest with several tags (end-7a, end-7b)."""
    name, reference = RepositoryName.parse(route.name), parse_reference(route.reference)
    tags = _tags(s, request, reference)
    actor = await s.auth.authenticate(request)
    target = _target(name, reference)
    require(actor, Action.PUSH, target, (await rights.find(s, actor, name)).facts)
    raw = await request.body(s.config.limits.manifest_bytes)
    manifest = await _parse(raw, request.headers.get("Content-Type", ""))
    digest = reference if isinstance(reference, Digest) else None
    prepared = push.prepare(name, raw, manifest, digest, tags, _condition(request))
    await push.put_manifest(s, actor, prepared, change_by(actor, request))
    made = answer(
        201,
        Location=f"/v2/{name}/manifests/{prepared.digest}",
        Docker_Content_Digest=prepared.digest,
    )
    if manifest.subject is not None:
        made.headers["OCI-Subject"] = manifest.subject.digest
    if digest is not None and tags:
        made.headers["OCI-Tag"] = ", ".join(tags)
    return made


async def delete_manifest(s: Services, request: Request, route: Route) -> Response:
    """Delete a tag, or a manifest with all its tags."""
    name, reference = RepositoryName.parse(route.name), parse_reference(route.reference)
    actor = await s.auth.authenticate(request)
    target = _target(name, reference)
    require(actor, Action.DELETE, target, (await rights.find(s, actor, name)).facts)
    by = change_by(actor, request)
    if isinstance(reference, Digest):
        await delete.delete_manifest(s, actor, name, reference, by)
    else:
        await delete.delete_tag(s, actor, name, reference, _condition(request), by)
    return answer(202)


def _fair_share(s: Services, request: Request) -> dict[str, str]:
    """Count what somebody pulls without signing in, and return the headers that tell what is left.

    A HEAD counts nothing. With nothing left, who shows no credentials is asked for some first:
    containerd and others have them, but send them only then. Those who have none come again with a
    token for nobody.

    Raises:
        SignInNeeded: nothing is left, and the client may not know yet that it can sign in.
        TooManyRequests: nothing is left.
    """
    if "Authorization" not in request.headers:
        share = s.fair_use.look(request.client)
        if not share.left:
            refused = SignInNeeded(share.words())
            refused.headers = share.headers()
            raise refused
    if request.method == "HEAD":
        return s.fair_use.look(request.client).headers()
    return s.fair_use.take(request.client).headers()


def _target(name: RepositoryName, reference: Reference) -> RepositoryTarget | TagOf:
    return RepositoryTarget(name) if isinstance(reference, Digest) else TagOf(name, reference)


def _tags(s: Services, request: Request, reference: Reference) -> tuple[Tag, ...]:
    if not isinstance(reference, Digest):
        return (reference,)
    asked = request.parameters("tag")
    if len(asked) > s.config.limits.tags_per_push:
        raise TooManyTags(f"one push takes at most {s.config.limits.tags_per_push} tags")
    return tuple(dict.fromkeys(Tag.parse(text) for text in asked))


async def _parse(raw: bytes, content_type: str) -> Manifest:
    if len(raw) <= _PARSE_INLINE:
        return parse_manifest(raw, content_type)
    return await asyncio.to_thread(parse_manifest, raw, content_type)


def _condition(request: Request) -> Condition:
    """Return what `If-Match` and `If-None-Match` ask of the tag.

    Raises:
        PreconditionFailed: a value is no digest, so no manifest can have it.
    """
    match = request.headers.get("If-Match")
    unless = request.headers.get("If-None-Match")
    if match is None and unless is None:
        return Condition()
    wanted = etags(match or "")
    unwanted = etags(unless or "")
    if len(unwanted) > 1:
        raise PreconditionFailed("If-None-Match takes * or one digest here")
    if match is not None and not wanted:
        raise PreconditionFailed("If-Match names nothing")
    present = Present.ANY
    if wanted == ["*"]:
        present, wanted = Present.REQUIRED, []
    if unwanted == ["*"]:
        present, unwanted = Present.FORBIDDEN, []
    return Condition(present, _digests(wanted), _digests(unwanted))


def _digests(values: list[str]) -> tuple[Digest, ...]:
    """Return the digests among the values: no manifest can match any other value."""
    found = [digest for digest in map(_digest, values) if digest is not None]
    if values and not found:
        raise PreconditionFailed("the condition names no digest, so no manifest can match")
    return tuple(found)


def _digest(value: str) -> Digest | None:
    try:
        return Digest.parse(value)
    except DigestInvalid:
        return None
