"""Upload sessions. Every change names the offset and the epoch that its writer saw."""

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from moorage.db.engine import Query, Row, Tx
from moorage.db.schema import upload
from moorage.model.artifacts import Upload
from moorage.oci.digest import Digest

_COLUMNS = (
    upload.c.id,
    upload.c.repository_id,
    upload.c.algorithm,
    upload.c.state,
    upload.c.offset,
    upload.c.prefix,
    upload.c.epoch,
    upload.c.expires_at,
)

ADD_UPLOAD = Query(
    "add_upload",
    sqlite.insert(upload)
    .values(
        id=sa.bindparam("upload_id"),
        repository_id=sa.bindparam("repository_id"),
        owner=sa.bindparam("owner"),
        algorithm=sa.bindparam("algorithm"),
        state=sa.bindparam("state"),
        offset=sa.bindparam("offset"),
        prefix=sa.bindparam("prefix"),
        epoch=sa.bindparam("epoch"),
        created_at=sa.bindparam("now"),
        expires_at=sa.bindparam("expires_at"),
    )
    .on_conflict_do_nothing(),
)
FIND_UPLOAD = Query(
    "find_upload", sa.select(*_COLUMNS).where(upload.c.id == sa.bindparam("upload_id"))
)
_seen = (
    sa.and_(
        upload.c.id == sa.bindparam("upload_id"),
        upload.c.offset == sa.bindparam("seen_offset"),
        upload.c.epoch == sa.bindparam("seen_epoch"),
    ),
)
ADVANCE_UPLOAD = Query(
    "advance_upload",
    sa.update(upload)
    .where(*_seen)
    .values(
        state=sa.bindparam("new_state"),
        offset=sa.bindparam("new_offset"),
        prefix=sa.bindparam("new_prefix"),
        epoch=upload.c.epoch + sa.literal_column("1"),
        expires_at=sa.bindparam("new_expiry"),
    ),
)
# An ended session has no state and belongs to no repository. Its epoch moves on, so that whoever
# saw it before can neither go on with it nor end it once more.
END_UPLOAD = Query(
    "end_upload",
    sa.update(upload)
    .where(*_seen)
    .values(
        repository_id=sa.literal_column("0"),
        state=sa.literal_column("x''"),
        epoch=upload.c.epoch + sa.literal_column("1"),
        expires_at=sa.bindparam("new_expiry"),
    ),
)
FORGET_UPLOAD = Query("forget_upload", sa.delete(upload).where(*_seen))
FIND_NTH = Query(
    "find_nth_upload",
    sa.select(sa.literal_column("1")).where(
        sa.select(sa.func.count())
        .select_from(
            sa.select(upload.c.id)
            .where(upload.c.repository_id == sa.bindparam("repository_id"))
            .where(upload.c.repository_id != sa.literal_column("0"))
            .limit(sa.bindparam("most"))
            .subquery()
        )
        .scalar_subquery()
        >= sa.bindparam("most")
    ),
)
LIST_EXPIRED = Query(
    "list_expired_uploads",
    sa.select(*_COLUMNS)
    .where(upload.c.expires_at <= sa.bindparam("now"))
    .order_by(upload.c.expires_at)
    .limit(sa.bindparam("limit")),
)


def _upload(row: Row) -> Upload:
    number, repository_id, algorithm, state, offset, prefix, epoch, expires_at = row
    known = Digest.from_key(prefix) if prefix else None
    return Upload(number, repository_id, algorithm, state, offset, known, epoch, expires_at)


async def add_upload(tx: Tx, session: Upload, owner: str, now: int) -> bool:
    """Add the session; False if its id is there already: begun or ended by somebody else."""
    added = await tx.run(
        ADD_UPLOAD,
        upload_id=session.id,
        repository_id=session.repository_id,
        owner=owner,
        algorithm=session.algorithm,
        state=session.state,
        offset=session.offset,
        prefix=session.prefix.key if session.prefix else b"",
        epoch=session.epoch,
        now=now,
        expires_at=session.expires_at,
    )
    return bool(added)


async def find_upload(tx: Tx, upload_id: str) -> Upload | None:
    """Return the session of that id, ended or not; its id is bound to its repository."""
    row = await tx.one(FIND_UPLOAD, upload_id=upload_id)
    return _upload(row) if row else None


async def has_more_than(tx: Tx, repository_id: int, limit: int) -> bool:
    """Tell whether the repository has that many sessions or more; counts no further."""
    return await tx.one(FIND_NTH, repository_id=repository_id, most=limit) is not None


async def advance_upload(tx: Tx, seen: Upload, now: Upload) -> bool:
    """Note what was appended; False if another writer came in between."""
    changed = await tx.run(
        ADVANCE_UPLOAD,
        upload_id=seen.id,
        seen_offset=seen.offset,
        seen_epoch=seen.epoch,
        new_state=now.state,
        new_offset=now.offset,
        new_prefix=now.prefix.key if now.prefix else b"",
        new_expiry=now.expires_at,
    )
    return bool(changed)


async def end_upload(tx: Tx, seen: Upload, expires_at: int) -> bool:
    """End the session, its id kept until then; False if another writer came in between."""
    ended = await tx.run(
        END_UPLOAD,
        upload_id=seen.id,
        seen_offset=seen.offset,
        seen_epoch=seen.epoch,
        new_expiry=expires_at,
    )
    return bool(ended)


async def forget_upload(tx: Tx, seen: Upload) -> bool:
    """Remove the session's row; False if another writer came in between."""
    gone = await tx.run(
        FORGET_UPLOAD, upload_id=seen.id, seen_offset=seen.offset, seen_epoch=seen.epoch
    )
    return bool(gone)


async def list_expired(tx: Tx, now: int, limit: int) -> list[Upload]:
    """Return up to `limit` sessions whose time is over, the oldest first."""
    return [_upload(row) for row in await tx.many(LIST_EXPIRED, now=now, limit=limit)]
