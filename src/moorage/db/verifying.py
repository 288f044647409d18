"""Blobs in the order in which their bytes are read: those first that were not for the longest."""

import msgspec
import sqlalchemy as sa

from moorage.db.engine import BEYOND_IDENTITIES, ONE, Query, Row, Tx
from moorage.db.schema import blob, blob_digest, delete_queue
from moorage.model.artifacts import Blob
from moorage.oci.digest import Digest

_IS_LOST: sa.ColumnClause[str] = sa.literal_column("'lost'")


class Object(msgspec.Struct, frozen=True):
    """A blob with what its bytes must be; no identity is a fault of the metadata."""

    blob: Blob
    is_lost: bool
    identity: Digest | None


_identity = (
    sa.select(blob_digest.c.digest)
    .where(blob_digest.c.blob_id == blob.c.id)
    .where(blob_digest.c.digest < BEYOND_IDENTITIES)
    .correlate(blob)
    .limit(ONE)
    .scalar_subquery()
)
_objects = sa.select(blob.c.id, blob.c.size, blob.c.location, blob.c.state == _IS_LOST, _identity)
LIST_DUE = Query(
    "list_blobs_to_verify",
    _objects.where(blob.c.verified_at <= sa.bindparam("until"))
    .order_by(blob.c.verified_at, blob.c.id)
    .limit(sa.bindparam("limit")),
)
LIST_BY_ID = Query(
    "list_objects_by_id",
    _objects.where(blob.c.id > sa.bindparam("after"))
    .order_by(blob.c.id)
    .limit(sa.bindparam("limit")),
)
LIST_BY_LOCATION = Query(
    "list_objects_by_location",
    _objects.where(blob.c.location > sa.bindparam("after"))
    .where(blob.c.location <= sa.bindparam("upto"))
    .order_by(blob.c.location)
    .limit(sa.bindparam("limit")),
)
FIND_OLDEST = Query(
    "find_oldest_verification",
    sa.select(blob.c.verified_at)
    .where(blob.c.verified_at > sa.bindparam("after"))
    .order_by(blob.c.verified_at)
    .limit(ONE),
)
FIND_AT = Query(
    "find_object_at",
    _objects.where(blob.c.location == sa.bindparam("location")),
)
MARK_VERIFIED = Query(
    "mark_verified",
    sa.update(blob)
    .where(blob.c.id == sa.bindparam("blob_id"))
    .where(blob.c.location == sa.bindparam("seen_location"))
    .values(verified_at=sa.bindparam("now")),
)
FREE_LOCATION = Query(
    "free_location",
    sa.delete(delete_queue)
    .where(delete_queue.c.location == sa.bindparam("location"))
    .where(
        sa.select(ONE)
        .select_from(blob)
        .where(blob.c.location == sa.bindparam("location"))
        .limit(ONE)
        .scalar_subquery()
        .is_not(None)
    ),
)


def _object(row: Row) -> Object:
    identity = Digest.from_key(row[4]) if row[4] else None
    return Object(Blob(row[0], row[1], row[2]), bool(row[3]), identity)


async def list_due(tx: Tx, until: int, limit: int) -> list[Object]:
    """Return up to `limit` blobs, lost ones too, that were last verified by then, oldest first."""
    rows = await tx.many(LIST_DUE, until=until, limit=limit)
    return [_object(row) for row in rows]


async def list_by_id(tx: Tx, after: int, limit: int) -> list[Object]:
    """Return up to `limit` blobs with ids above `after`, lost ones too."""
    rows = await tx.many(LIST_BY_ID, after=after, limit=limit)
    return [_object(row) for row in rows]


async def list_by_location(tx: Tx, after: str, upto: str, limit: int) -> list[Object]:
    """Return up to `limit` blobs whose locations are behind one and up to another."""
    rows = await tx.many(LIST_BY_LOCATION, after=after, upto=upto, limit=limit)
    return [_object(row) for row in rows]


async def find_at(tx: Tx, location: str) -> Object | None:
    """Return the blob that has the location."""
    row = await tx.one(FIND_AT, location=location)
    return _object(row) if row else None


async def find_oldest(tx: Tx) -> int | None:
    """Return when the blob was verified that was not for the longest; None if there is none."""
    row = await tx.one(FIND_OLDEST, after=-1)
    return row[0] if row else None


async def mark_verified(tx: Tx, verified: Blob, now: int) -> None:
    """Note that the blob's bytes have been looked at, if it has them still."""
    await tx.run(MARK_VERIFIED, blob_id=verified.id, seen_location=verified.location, now=now)


async def free_location(tx: Tx, location: str) -> bool:
    """Take a location from the delete queue that a blob has; False if that is not so any more."""
    return bool(await tx.run(FREE_LOCATION, location=location))
