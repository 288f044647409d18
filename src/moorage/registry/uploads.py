"""Uploads: open, append, finish, cancel (distribution-spec, section "Pushing blobs").

The order of a finish is that of docs/explanation/architecture.md, "Bytes that are never lost":
bytes written, digest and size verified, file and directory synced, one transaction, then 201.
"""

from collections.abc import AsyncIterator

import msgspec

from moorage.blobs.store import Finished, SessionBusy, SessionLost, UploadSession, keep_nowhere
from moorage.clock import HOUR
from moorage.db import blobs, uploads
from moorage.db.engine import StoreUnavailable, Tx
from moorage.errors import (
    BlobUploadUnknown,
    DigestInvalid,
    RangeInvalid,
    RegistryError,
    SizeInvalid,
    TooManyRequests,
    Unavailable,
)
from moorage.model.access import Actor, RepositoryTarget
from moorage.model.artifacts import Repository, Upload
from moorage.oci.digest import Digest, Hasher
from moorage.oci.names import RepositoryName
from moorage.registry import damage
from moorage.registry.hashing import Hashed
from moorage.registry.mounts import link
from moorage.registry.rights import hold_for_push
from moorage.registry.services import Services
from moorage.registry.sessions import FRESH, LONGEST
from moorage.registry.space import check_space
from moorage.web.ranges import Span


class Body(msgspec.Struct, frozen=True):
    """Bytes on their way into a session: the chunks, their declared span and number, if any."""

    chunks: AsyncIterator[bytes]
    span: Span | None = None
    length: int | None = None


class _Received(msgspec.Struct, frozen=True):
    """What became of a body: the offset behind it, and why it ended early."""

    offset: int
    hasher: Hasher | None
    broken: Exception | None


async def open_upload(s: Services, actor: Actor, name: RepositoryName, algorithm: str) -> Upload:
    """Return a new session; nothing is written, its id carries what there is to know.

    Raises:
        InsufficientStorage: the disk is below its watermark.
    """
    await check_space(s)
    now = s.clock.now()
    number = s.session_ids.issue(actor.owner, name, algorithm, now)
    return Upload(number, 0, algorithm, b"", 0, None, 0, now + FRESH)


async def find_upload(s: Services, actor: Actor, name: RepositoryName, upload_id: str) -> Upload:
    """Return the caller's session of that repository.

    Raises:
        BlobUploadUnknown: there is none, or its time is over.
    """
    claim = s.session_ids.read(actor.owner, name, upload_id)
    if claim is None:
        raise BlobUploadUnknown

    async def read(tx: Tx) -> Upload | None:
        return await uploads.find_upload(tx, upload_id)

    found = await s.db.read(read)
    if found is None:
        found = Upload(upload_id, 0, claim.algorithm, b"", 0, None, 0, claim.expires_at)
    elif not found.state:
        raise BlobUploadUnknown
    if found.expires_at <= s.clock.now():
        raise BlobUploadUnknown
    return found


async def append(
    s: Services, actor: Actor, name: RepositoryName, upload_id: str, body: Body
) -> Upload:
    """Append a body at its declared span or wherever the session is, and return the session.

    Raises:
        RangeInvalid: it does not follow what is there, or another writer is at work; nothing was
            appended.
        SizeInvalid: it is not as long as its span; nothing was appended.
        Disconnected, BodyTimeout: the client stopped; what had arrived is kept.
    """
    await check_space(s)
    row = _Row(s, actor, name, await find_upload(s, actor, name, upload_id))
    try:
        async with s.blobs.session(await _state(s, row.upload, body), row.keep) as session:
            await row.hold(session)
            received = await _receive(s, session, row.upload, body)
            if received.offset > row.upload.offset:
                await _keep(row, session, received)
    except SessionBusy as error:
        raise _busy(row.upload) from error
    except SessionLost as error:
        # Being finished by somebody else just now, or lost with the power; it expires by itself.
        raise BlobUploadUnknown from error
    if received.broken is not None:
        raise received.broken
    return row.upload


async def finish(
    s: Services, actor: Actor, name: RepositoryName, upload_id: str, body: Body, digest: Digest
) -> None:
    """Append the last bytes, verify, and make the blob part of the repository, durably.

    Raises:
        DigestInvalid: the content has another digest; the session is gone.
        RangeInvalid, SizeInvalid, Disconnected, BodyTimeout: as `append`; the session is kept.
    """
    await check_space(s)
    row = _Row(s, actor, name, await find_upload(s, actor, name, upload_id))
    try:
        async with s.blobs.session(await _state(s, row.upload, body), row.keep) as session:
            await row.hold(session)
            received = await _receive(s, session, row.upload, body)
            if received.broken is not None:
                if received.offset > row.upload.offset:
                    await _keep(row, session, received)
                raise received.broken
            found = await _digests(s, session, row.upload, received, digest)
            finished = await _finish(s, session, found, received.offset) if found else None
            if found is None or finished is None:
                # Ended first: until then somebody else may make these bytes a blob.
                await _end(s, actor, row.upload)
                await session.abort()
                raise _mismatch(received.offset, digest)
            await _publish(row, finished, found, received.offset, ends=True)
    except SessionBusy as error:
        raise _busy(row.upload) from error
    except SessionLost as error:
        raise BlobUploadUnknown from error


async def push_whole(
    s: Services, actor: Actor, name: RepositoryName, body: Body, digest: Digest
) -> None:
    """Take a blob that comes in one request (end-4b); no session is left, whatever happens.

    Raises:
        DigestInvalid: the content has another digest; nothing is stored.
        Unavailable: the store lost bytes that it had taken.
        Disconnected, BodyTimeout: the client stopped; nothing is stored.
    """
    upload = await open_upload(s, actor, name, digest.algorithm)
    try:
        async with s.blobs.session(await _state(s, upload, body), keep_nowhere) as session:
            received = await _receive(s, session, upload, body)
            if received.broken is not None:
                await session.abort()
                raise received.broken
            found = await _digests(s, session, upload, received, digest)
            finished = await _finish(s, session, found, received.offset) if found else None
            if found is None or finished is None:
                await session.abort()
                raise _mismatch(received.offset, digest)
            row = _Row(s, actor, name, upload)
            await _publish(row, finished, found, received.offset, ends=False)
    except SessionLost as error:
        raise Unavailable from error


async def cancel(s: Services, actor: Actor, name: RepositoryName, upload_id: str) -> None:
    """Give up the session and its bytes (distribution-spec, end-14)."""
    seen = await find_upload(s, actor, name, upload_id)
    if not seen.epoch:
        await _end(s, actor, seen)
        return
    try:
        async with s.blobs.session(seen.state, keep_nowhere) as session:
            upload = await find_upload(s, actor, name, upload_id)
            await _end(s, actor, upload)
            await session.abort()
    except SessionBusy as error:
        raise _busy(seen) from error
    except SessionLost:
        await _end(s, actor, seen)


async def _state(s: Services, upload: Upload, body: Body) -> bytes:
    return upload.state or await s.blobs.begin(upload.id, body.length)


class _Row:
    """The session's row as one request sees it, and brings it forward."""

    def __init__(self, s: Services, actor: Actor, name: RepositoryName, upload: Upload) -> None:
        self.s = s
        self.actor = actor
        self.name = name
        self.upload = upload

    async def hold(self, session: UploadSession) -> None:
        """Look again now that nobody else can write to the session, where that is needed."""
        if session.is_current:
            return  # who ended it meanwhile, unused, is found out by the transaction
        seen = self.upload
        self.upload = await find_upload(self.s, self.actor, self.name, seen.id)
        if self.upload.epoch and not seen.epoch:
            raise SessionBusy  # it was begun by somebody else since we saw it empty

    async def keep(self, state: bytes) -> None:
        """Keep a state of the store's in the middle of a request; the session has no more bytes."""
        await self.advance(state, self.upload.offset, self.upload.prefix)

    async def advance(self, state: bytes, offset: int, prefix: Digest | None) -> None:
        """Bring the row forward, durably; the first time, add it.

        Raises:
            SessionBusy: another writer came in between.
        """
        s, seen = self.s, self.upload
        now = s.clock.now()
        claim = s.session_ids.read(self.actor.owner, self.name, seen.id)
        begun_at = claim.expires_at - FRESH if claim is not None else now
        rests = int(s.config.limits.upload_hours * HOUR)
        expires_at = min(now + rests, begun_at + LONGEST)

        async def write(tx: Tx) -> Upload | None:
            repository_id = seen.repository_id
            if not seen.epoch:
                found = await hold_for_push(s, tx, self.actor, RepositoryTarget(self.name))
                repository_id = found.id
                await _check_count(s, tx, found)
            epoch = seen.epoch + 1
            algorithm = seen.algorithm
            kept = Upload(
                seen.id, repository_id, algorithm, state, offset, prefix, epoch, expires_at
            )
            if not seen.epoch:
                return kept if await uploads.add_upload(tx, kept, self.actor.owner, now) else None
            return kept if await uploads.advance_upload(tx, seen, kept) else None

        kept = await s.db.write(write)
        if kept is None:
            raise SessionBusy
        self.upload = kept


async def _receive(s: Services, session: UploadSession, upload: Upload, body: Body) -> _Received:
    """Write the body; nothing of one that is not of its declared span is kept."""
    span = body.span
    if span is not None and span.start != upload.offset:
        raise RangeInvalid(
            f"the session has {upload.offset} bytes, and the range does not begin there",
            detail={"offset": upload.offset},
            hint="Go on from the Range of this answer",
        )
    hasher = s.hashes.take(upload)
    most = span.length if span is not None else None
    hashed = Hashed(body.chunks, hasher, s.hashes.pool, most=most)
    offset = await session.append(upload.offset, aiter(hashed))
    if span is not None and hashed.broken is None and offset != span.end:
        raise SizeInvalid(f"the range has {span.length} bytes, the body {offset - span.start}")
    return _Received(offset, hasher, hashed.broken)


async def _keep(row: _Row, session: UploadSession, received: _Received) -> None:
    """Make what was received durable and part of the session."""
    state = await session.sync()
    hasher = received.hasher
    is_first = not row.upload.epoch
    try:
        await row.advance(state, received.offset, hasher.digest() if hasher is not None else None)
    except StoreUnavailable:
        raise  # a row may name these bytes all the same
    except RegistryError:
        # No row names what was written.
        await (session.abort() if is_first else session.withdraw())
        raise
    if hasher is not None:
        kept = row.upload
        row.s.hashes.keep(kept.id, kept.offset, kept.epoch, hasher)


async def _check_count(s: Services, tx: Tx, repository: Repository) -> None:
    limit = s.config.limits.uploads_per_repository
    if await uploads.has_more_than(tx, repository.id, limit):
        raise TooManyRequests(
            f"{repository.name} has {limit} unfinished uploads",
            hint="Finish or cancel some; each ends by itself some time after its last byte",
        )


async def _end(s: Services, actor: Actor, upload: Upload) -> None:
    """End the session; its id stays known until it would have expired."""

    async def write(tx: Tx) -> None:
        await _end_in(s, tx, actor, upload)

    await s.db.write(write)


async def _end_in(s: Services, tx: Tx, actor: Actor, upload: Upload) -> None:
    now = s.clock.now()
    until = now + FRESH
    if upload.epoch:
        ended = await uploads.end_upload(tx, upload, until)
    else:
        mark = Upload(upload.id, 0, upload.algorithm, b"", 0, None, 0, until)
        ended = await uploads.add_upload(tx, mark, actor.owner, now)
    if not ended:
        raise BlobUploadUnknown


async def _digests(
    s: Services, session: UploadSession, upload: Upload, received: _Received, wanted: Digest
) -> tuple[Digest, ...] | None:
    """Return the identity and, if it is another, the wanted digest; None if it does not hold."""
    hasher = received.hasher
    identity = hasher.digest() if hasher is not None else None
    if identity is None and received.offset == upload.offset:
        identity = upload.prefix
    found = hasher.digest(wanted.algorithm) if hasher is not None else None
    if wanted.algorithm == "sha256":
        found = identity
    if identity is None or found is None:
        # The bytes came through another process, or the algorithm was not told at the start.
        again = Hasher(wanted.algorithm)
        async for _ in Hashed(session.read(0, received.offset), again, s.hashes.pool):
            pass
        identity, found = again.digest(), again.digest(wanted.algorithm)
    if identity is None or found != wanted:
        return None
    return (identity,) if identity == wanted else (identity, wanted)


async def _finish(
    s: Services, session: UploadSession, digests: tuple[Digest, ...], size: int
) -> Finished | None:
    """Make the session's bytes an object; None if it turns out to have other bytes."""
    finished = await session.finish()
    if finished.is_certain:
        return finished
    wanted = digests[-1]
    again = Hasher(wanted.algorithm)
    async for _ in Hashed(s.blobs.read(finished.location, 0, size), again, s.hashes.pool):
        pass
    return finished if again.digest(wanted.algorithm) == wanted else None


async def _publish(
    row: _Row, finished: Finished, digests: tuple[Digest, ...], size: int, *, ends: bool
) -> None:
    """Make the object the repository's blob, and end the session where there is one."""
    s = row.s
    location = finished.location
    now = s.clock.now()

    async def write(tx: Tx) -> None:
        repository = await hold_for_push(s, tx, row.actor, RepositoryTarget(row.name))
        if ends:
            await _end_in(s, tx, row.actor, row.upload)
        until = now + int(s.config.collection.delay_hours * HOUR)
        put = await blobs.put_blob(tx, digests, size, location, now, until)
        await blobs.queue_deletes(tx, dict.fromkeys(finished.leftovers, 0), now, "leftover")
        await link(s, tx, repository, put.id, put.digests, size, now=now)
        if put.was_lost:
            await damage.heal(s, tx, repository, put, row.actor)

    try:
        await s.db.write(write, first=finished.rest)
    except BlobUploadUnknown:
        if finished.is_own:
            # Another writer finished first, and no row names it.
            await s.blobs.delete([location])
        raise


def _mismatch(size: int, digest: Digest) -> DigestInvalid:
    return DigestInvalid(
        f"the {size} bytes received do not have the digest {digest}",
        detail={"digest": digest},
        hint="Start the upload again",
    )


def _busy(upload: Upload) -> RangeInvalid:
    return RangeInvalid(
        SessionBusy.message,
        detail={"offset": upload.offset},
        hint="Ask for the session's Range and go on from there",
    )
