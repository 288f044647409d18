"""How much of what is stored belongs to whom, told within one namespace.

Whether a namespace shares content with another one is nobody's business who may read only one.
"""

import msgspec
import sqlalchemy as sa

from moorage.db.damage import FIND_IDENTITY
from moorage.db.engine import ONE, Query, Tx
from moorage.db.repositories import LIVE
from moorage.db.schema import blob, delete_queue, repository, repository_blob
from moorage.oci.digest import Digest

# What is queued for deletion is added up to so many objects.
MOST_QUEUED = 10_000
_BOUND: sa.ColumnClause[int] = sa.literal_column(str(MOST_QUEUED + 1))

_other = repository_blob.alias("other")
_is_shared = (
    sa.select(ONE)
    .where(_other.c.namespace_id == repository_blob.c.namespace_id)
    .where(_other.c.blob_id == repository_blob.c.blob_id)
    .where(_other.c.repository_id != repository_blob.c.repository_id)
    .where(_other.c.trash_until == LIVE)
    .correlate(repository_blob)
    .limit(ONE)
    .scalar_subquery()
)
_size = sa.select(blob.c.size).where(blob.c.id == repository_blob.c.blob_id).scalar_subquery()
LIST_LINKS = Query(
    "list_links_with_sizes",
    sa.select(repository_blob.c.blob_id, _size, _is_shared)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_id"))
    .where(repository_blob.c.trash_until == LIVE)
    .where(repository_blob.c.blob_id > sa.bindparam("after"))
    .order_by(repository_blob.c.blob_id)
    .limit(sa.bindparam("limit")),
)
LIST_SIZES = Query(
    "list_sizes_in_namespace",
    sa.select(repository_blob.c.blob_id, _size)
    .where(repository_blob.c.namespace_id == sa.bindparam("namespace_id"))
    .where(repository_blob.c.blob_id > sa.bindparam("after"))
    .where(repository_blob.c.trash_until == LIVE)
    .order_by(repository_blob.c.blob_id)
    .limit(sa.bindparam("limit")),
)
_name = (
    sa.select(repository.c.name)
    .where(repository.c.id == repository_blob.c.repository_id)
    .where(repository.c.trash_until == LIVE)
    .scalar_subquery()
)
LIST_SHARERS = Query(
    "list_sharers_in_namespace",
    sa.select(_name)
    .where(repository_blob.c.namespace_id == sa.bindparam("namespace_id"))
    .where(repository_blob.c.blob_id == sa.bindparam("blob_id"))
    .where(repository_blob.c.trash_until == LIVE)
    .limit(sa.bindparam("limit")),
)
_due = (
    sa.select(delete_queue.c.size)
    .where(delete_queue.c.not_before <= sa.bindparam("now"))
    .order_by(delete_queue.c.not_before)
    .limit(_BOUND)
    .subquery()
)
_later = (
    sa.select(delete_queue.c.size)
    .where(delete_queue.c.not_before > sa.bindparam("now"))
    .order_by(delete_queue.c.not_before)
    .limit(_BOUND)
    .subquery()
)
SUM_DUE = Query("sum_due_deletes", sa.select(sa.func.sum(ONE), sa.func.sum(_due.c.size)))
SUM_LATER = Query("sum_later_deletes", sa.select(sa.func.sum(ONE), sa.func.sum(_later.c.size)))
FIND_LAST = Query(
    "find_last_delete",
    sa.select(delete_queue.c.not_before)
    .where(delete_queue.c.not_before > sa.bindparam("now"))
    .order_by(delete_queue.c.not_before.desc())
    .limit(ONE),
)


class Stored(msgspec.Struct, frozen=True):
    """A blob of a repository; `is_shared` with another one of the namespace."""

    blob_id: int
    size: int
    is_shared: bool


class Queued(msgspec.Struct, frozen=True):
    """Objects that are to be deleted, as far as they are added up (`MOST_QUEUED`)."""

    objects: int
    bytes: int


async def list_links(tx: Tx, repository_id: int, after: int, limit: int) -> list[Stored]:
    """Return up to `limit` live blobs of the repository with ids above `after`."""
    rows = await tx.many(LIST_LINKS, repository_id=repository_id, after=after, limit=limit)
    return [Stored(row[0], row[1] or 0, row[2] is not None) for row in rows]


async def list_sizes(tx: Tx, namespace_id: int, after: int, limit: int) -> list[tuple[int, int]]:
    """Return ids and sizes of blobs of the namespace with ids above `after`.

    One for each of `limit` links, and so some of them more than once.
    """
    rows = await tx.many(LIST_SIZES, namespace_id=namespace_id, after=after, limit=limit)
    return [(row[0], row[1] or 0) for row in rows]


async def list_sharers(tx: Tx, namespace_id: int, blob_id: int, limit: int) -> list[str]:
    """Return names of up to `limit` live repositories of the namespace that have the blob."""
    rows = await tx.many(LIST_SHARERS, namespace_id=namespace_id, blob_id=blob_id, limit=limit)
    return sorted(row[0] for row in rows if row[0] is not None)


async def find_identity(tx: Tx, blob_id: int) -> Digest | None:
    """Return the sha256 of a blob, None if it is gone."""
    row = await tx.one(FIND_IDENTITY, blob_id=blob_id)
    return Digest.from_key(row[0]) if row is not None else None


async def sum_queued(tx: Tx, now: int, *, due: bool) -> Queued:
    """Return what can be deleted by now, or what can't yet."""
    row = await tx.one(SUM_DUE if due else SUM_LATER, now=now) or (0, 0)
    # A sum of whole numbers is a decimal one on PostgreSQL.
    return Queued(int(row[0] or 0), int(row[1] or 0))


async def find_last_delete(tx: Tx, now: int) -> int:
    """Return when the last object is due that is not yet, 0 if there is none."""
    row = await tx.one(FIND_LAST, now=now)
    return row[0] if row is not None else 0
