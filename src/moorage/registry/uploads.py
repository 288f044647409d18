"""Uploads: open, append, finish, cancel, mount (distribution-spec, section "Pushing blobs").

The order of a finish is that of docs/architecture.md, "Bytes that are never lost": bytes written,
digest and size verified, file synced, renamed, directory synced, one transaction, then 201.
"""

from collections.abc import AsyncIterator

from moorage.auth.policy import decide
from moorage.blobs.store import SessionBusy, SessionLost, UploadSession
from moorage.clock import HOUR, new_id
from moorage.db import blobs, manifests, repositories, uploads
from moorage.db.engine import Tx
from moorage.errors import (
    BlobUploadUnknown,
    DigestInvalid,
    InsufficientStorage,
    RangeInvalid,
    SizeInvalid,
    TooManyRequests,
)
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.artifacts import Repository, Upload
from moorage.oci.digest import Digest, Hasher
from moorage.oci.names import RepositoryName
from moorage.registry.hashing import Hashed
from moorage.registry.pull import LEASE, facts_of
from moorage.registry.services import Services
from moorage.web.ranges import Span

# A location stays this long after its row went, for pulls that are still reading it.
KEEP_REPLACED = 24 * HOUR
_MAX_HOLDERS = 100


async def open_upload(s: Services, actor: Actor, name: RepositoryName, algorithm: str) -> Upload:
    """Return a new session, its repository made if this is the first push to it.

    Raises:
        InsufficientStorage: the disk is below its watermark.
        TooManyRequests: the repository has too many unfinished sessions.
    """
    await check_space(s)
    now = s.clock.now()
    state = await s.blobs.begin(None)
    limit = s.config.limits.uploads_per_repository

    async def write(tx: Tx) -> Upload:
        repository, _ = await repositories.put_repository(tx, name, s.config.visibility, now)
        if await uploads.has_more_than(tx, repository.id, limit):
            raise TooManyRequests(
                f"{name} has more than {limit} unfinished uploads",
                hint="Finish or cancel some; each ends by itself a day after its last byte",
            )
        session = Upload(new_id(), repository.id, algorithm, state, 0, None, 1, now + _lifetime(s))
        await uploads.add_upload(tx, session, actor.name, now)
        return session

    return await s.db.write(write)


async def find_upload(s: Services, name: RepositoryName, upload_id: str) -> Upload:
    """Return the session of that repository.

    Raises:
        BlobUploadUnknown: there is none, or its time is over.
    """

    async def read(tx: Tx) -> Upload | None:
        repository = await repositories.find_repository(tx, name)
        if repository is None:
            return None
        return await uploads.find_upload(tx, repository.id, upload_id)

    found = await s.db.read(read)
    if found is None or found.expires_at <= s.clock.now():
        raise BlobUploadUnknown
    return found


async def append(
    s: Services,
    name: RepositoryName,
    upload_id: str,
    chunks: AsyncIterator[bytes],
    span: Span | None,
) -> Upload:
    """Append the chunks, of a declared span or wherever the session is, and return the session.

    Raises:
        RangeInvalid: they do not follow what is there, or another writer is at work; nothing was
            appended.
        Disconnected, BodyTimeout: the client stopped; what had arrived is kept.
    """
    await check_space(s)
    seen = await find_upload(s, name, upload_id)
    try:
        async with s.blobs.session(seen.state) as session:
            upload = await find_upload(s, name, upload_id)
            _check_start(upload, span)
            hasher = s.hashes.take(upload)
            state, offset, broken = await _receive(s, session, upload, chunks, hasher, span)
            if offset > upload.offset:
                await session.sync()
            upload = await _advance(s, upload, state, offset, hasher)
    except SessionBusy as error:
        raise _busy(seen) from error
    except SessionLost as error:
        raise BlobUploadUnknown from error
    if broken is not None:
        raise broken
    return upload


async def finish(
    s: Services,
    name: RepositoryName,
    upload_id: str,
    chunks: AsyncIterator[bytes],
    span: Span | None,
    digest: Digest,
) -> None:
    """Append the last chunks, verify, and make the blob part of the repository, durably.

    Raises:
        DigestInvalid: the content has another digest; the session is gone.
        RangeInvalid, Disconnected, BodyTimeout: as `append`; the session is kept.
    """
    seen = await find_upload(s, name, upload_id)
    try:
        async with s.blobs.session(seen.state) as session:
            upload = await find_upload(s, name, upload_id)
            _check_start(upload, span)
            hasher = s.hashes.take(upload)
            state, offset, broken = await _receive(s, session, upload, chunks, hasher, span)
            if broken is not None:
                await session.sync()
                await _advance(s, upload, state, offset, hasher)
                raise broken
            found = await _digests(s, session, upload, offset, hasher, digest)
            if found is None:
                await session.abort()
                await forget(s, upload)
                raise DigestInvalid(
                    f"the {offset} bytes received do not have the digest {digest}",
                    detail={"digest": digest},
                    hint="Start the upload again",
                )
            location = await session.finish()
            try:
                await _publish(s, name, upload, found, offset, location)
            except BlobUploadUnknown:
                await s.blobs.delete(location)  # another writer finished first; no row names it
                raise
    except SessionBusy as error:
        raise _busy(seen) from error
    except SessionLost as error:
        # Being finished by somebody else just now, or lost with the power; it expires by itself.
        raise BlobUploadUnknown from error


async def cancel(s: Services, name: RepositoryName, upload_id: str) -> None:
    """Give up the session and its bytes (distribution-spec, end-14)."""
    seen = await find_upload(s, name, upload_id)
    try:
        async with s.blobs.session(seen.state) as session:
            upload = await find_upload(s, name, upload_id)
            await session.abort()
            await forget(s, upload)
    except SessionBusy as error:
        raise _busy(seen) from error
    except SessionLost:
        await forget(s, seen)


async def mount(
    s: Services, actor: Actor, name: RepositoryName, digest: Digest, source: RepositoryName | None
) -> bool:
    """Link a blob of another repository that the caller may read; False when there is none.

    Never tells a caller that content exists where it may not read (security: no oracle).
    """

    async def read(tx: Tx) -> list[Repository]:
        if source is None:
            return await blobs.list_holders(tx, digest, _MAX_HOLDERS)
        named = await repositories.find_repository(tx, source)
        return [named] if named is not None else []

    readable = [
        holder
        for holder in await s.db.read(read)
        if decide(actor, Action.PULL, RepositoryTarget(holder.name), facts_of(holder)).allowed
    ]
    now = s.clock.now()

    async def write(tx: Tx) -> bool:
        for holder in readable:
            blob = await blobs.find_linked(tx, holder.id, digest)
            if blob is not None:
                target, _ = await repositories.put_repository(tx, name, s.config.visibility, now)
                await _link(tx, target, blob.id, blob.size, now)
                return True
        return False

    return bool(readable) and await s.db.write(write)


async def forget(s: Services, upload: Upload) -> None:
    """Remove the session's row."""

    async def write(tx: Tx) -> None:
        await uploads.end_upload(tx, upload)

    await s.db.write(write)


async def check_space(s: Services) -> None:
    """Refuse to take bytes when the disk is below its watermark; pulls and deletes go on.

    Raises:
        InsufficientStorage: it is.
    """
    free = await s.blobs.free()
    if free is not None and free < s.config.limits.free_bytes:
        raise InsufficientStorage(
            hint="Free some space, or lower limits.free_bytes; the client may try again later"
        )


async def _receive(
    s: Services,
    session: UploadSession,
    upload: Upload,
    chunks: AsyncIterator[bytes],
    hasher: Hasher | None,
    span: Span | None,
) -> tuple[bytes, int, Exception | None]:
    """Write the chunks; nothing of a body that is not of its declared span is kept."""
    body = Hashed(chunks, hasher, s.hashes.pool, most=span.length if span is not None else None)
    state, offset = await session.append(upload.offset, aiter(body))
    if span is not None and body.broken is None and offset != span.end:
        raise SizeInvalid(f"the range has {span.length} bytes, the body {offset - span.start}")
    return state, offset, body.broken


async def _advance(
    s: Services, upload: Upload, state: bytes, offset: int, hasher: Hasher | None
) -> Upload:
    prefix = hasher.digest() if hasher is not None else None
    expires_at = s.clock.now() + _lifetime(s)

    async def write(tx: Tx) -> bool:
        return await uploads.advance_upload(tx, upload, state, offset, prefix, expires_at)

    if not await s.db.write(write):
        raise _busy(upload)
    if hasher is not None:
        s.hashes.keep(upload.id, offset, upload.epoch + 1, hasher)
    return Upload(
        upload.id,
        upload.repository_id,
        upload.algorithm,
        state,
        offset,
        prefix,
        upload.epoch + 1,
        expires_at,
    )


async def _digests(
    s: Services,
    session: UploadSession,
    upload: Upload,
    size: int,
    hasher: Hasher | None,
    wanted: Digest,
) -> tuple[Digest, ...] | None:
    """Return the identity and, if it is another, the wanted digest; None if it does not hold."""
    identity = hasher.digest() if hasher is not None else None
    if identity is None and size == upload.offset:
        identity = upload.prefix
    found = hasher.digest(wanted.algorithm) if hasher is not None else None
    if wanted.algorithm == "sha256":
        found = identity
    if identity is None or found is None:
        # The bytes came through another process, or the algorithm was not told at the start.
        again = Hasher(wanted.algorithm)
        body = Hashed(session.read(0, size), again, s.hashes.pool)
        async for _ in body:
            pass
        identity, found = again.digest(), again.digest(wanted.algorithm)
    if identity is None or found != wanted:
        return None
    return (identity,) if identity == wanted else (identity, wanted)


async def _publish(
    s: Services,
    name: RepositoryName,
    upload: Upload,
    digests: tuple[Digest, ...],
    size: int,
    location: str,
) -> None:
    now = s.clock.now()

    async def write(tx: Tx) -> None:
        if not await uploads.end_upload(tx, upload):
            raise BlobUploadUnknown
        repository, _ = await repositories.put_repository(tx, name, s.config.visibility, now)
        number = await blobs.put_blob(tx, digests, size, location, now, now + KEEP_REPLACED)
        await _link(tx, repository, number, size, now)

    await s.db.write(write)


async def _link(tx: Tx, repository: Repository, blob_id: int, size: int, now: int) -> None:
    await blobs.link_blob(tx, repository, blob_id, size, now, now + LEASE)
    for digest in await blobs.list_digests(tx, blob_id):
        await manifests.resolve(tx, repository.id, digest, "blob", blob_id)


def _check_start(upload: Upload, span: Span | None) -> None:
    if span is not None and span.start != upload.offset:
        raise RangeInvalid(
            f"the session has {upload.offset} bytes, the range begins at {span.start}",
            detail={"offset": upload.offset},
            hint="Go on from the Range of this answer",
        )


def _busy(upload: Upload) -> RangeInvalid:
    return RangeInvalid(
        SessionBusy.message,
        detail={"offset": upload.offset},
        hint="Ask for the session's Range and go on from there",
    )


def _lifetime(s: Services) -> int:
    return int(s.config.limits.upload_hours * HOUR)
