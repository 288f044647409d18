"""Content that must be gone at once: where it is, in the trash or not, and its removal for good.

No statement here looks at leases, holds or the trash: whoever purges has been asked twice.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.db.collection import DROP_BLOB, DROP_BLOB_DIGESTS, FIND_ANY_LINK
from moorage.db.engine import EMPTY, ONE, Query, Tx
from moorage.db.schema import (
    blob,
    blob_digest,
    delete_queue,
    manifest_digest,
    namespace,
    repository,
    repository_blob,
)
from moorage.model.artifacts import Blob
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName


class Place(msgspec.Struct, frozen=True):
    """A repository, deleted or not, as far as a purge has to do with it."""

    id: int
    namespace_id: int
    name: RepositoryName
    namespace: str
    rules_version: int


_places = (
    sa.select(
        repository.c.id,
        repository.c.namespace_id,
        repository.c.name,
        namespace.c.name,
        namespace.c.rules_version,
    )
    .select_from(repository)
    .join(namespace, namespace.c.id == repository.c.namespace_id)
)


def _list_places(title: str, key: sa.Column[Any]) -> Query:
    # From repository to repository, each asked by the key of what it may have: the digests of
    # manifests have no index of their own, which every push would pay for.
    has_it = (
        sa.select(ONE)
        .where(key.table.c.repository_id == repository.c.id)
        .where(key == sa.bindparam(key.name))
        .correlate(repository)
        .scalar_subquery()
    )
    return Query(
        title,
        _places.where(repository.c.id > sa.bindparam("after"))
        .where(has_it == ONE)
        .order_by(repository.c.id)
        .limit(sa.bindparam("limit")),
    )


LIST_WITH_BLOB = _list_places("list_places_with_blob", repository_blob.c.blob_id)
LIST_WITH_MANIFEST = _list_places("list_places_with_manifest", manifest_digest.c.digest)
FIND_PLACE = Query("find_place", _places.where(repository.c.id == sa.bindparam("repository_id")))
_blob = (
    sa.select(blob.c.id, blob.c.size, blob.c.location)
    .select_from(blob_digest)
    .join(blob, blob.c.id == blob_digest.c.blob_id)
    .where(blob_digest.c.digest == sa.bindparam("digest"))
)
FIND_BLOB = Query("find_any_blob", _blob)
# Whoever gives the blob to a repository has this row first: from here on nobody does.
TAKE_BLOB = Query("take_blob_to_purge", _blob.with_for_update(of=blob))
# As where the job lists what is due, the last line: never what a blob has.
LIST_QUEUED = Query(
    "list_queued_of_digest",
    sa.select(delete_queue.c.location)
    .select_from(delete_queue)
    .outerjoin(blob, blob.c.location == delete_queue.c.location)
    .where(delete_queue.c.digest == sa.bindparam("digest"))
    .where(delete_queue.c.digest != EMPTY)
    .where(blob.c.id.is_(None)),
)
# Whatever they waited for: a crash leaves them to the job that deletes what is due.
HASTEN = Query(
    "hasten_queued_of_digest",
    sa.update(delete_queue)
    .where(delete_queue.c.digest == sa.bindparam("of_digest"))
    .where(delete_queue.c.digest != EMPTY)
    .values(not_before=sa.bindparam("now")),
)


async def list_places(tx: Tx, digest: Digest, blob_id: int, after: int, limit: int) -> list[Place]:
    """Return up to `limit` repositories with the blob, with 0 with a manifest of the digest.

    They are in the order of their ids, which are above `after`, and deleted ones are among them.
    """
    if blob_id:
        rows = await tx.many(LIST_WITH_BLOB, blob_id=blob_id, after=after, limit=limit)
    else:
        rows = await tx.many(LIST_WITH_MANIFEST, digest=digest.key, after=after, limit=limit)
    return [_place_of(row) for row in rows]


async def find_place(tx: Tx, repository_id: int) -> Place | None:
    """Return the repository of that id, deleted or not."""
    row = await tx.one(FIND_PLACE, repository_id=repository_id)
    return _place_of(row) if row else None


async def find_blob(tx: Tx, digest: Digest) -> Blob | None:
    """Return the blob of that digest, wherever it is and however damaged."""
    row = await tx.one(FIND_BLOB, digest=digest.key)
    return Blob(*row) if row else None


async def end_blob(tx: Tx, digest: Digest) -> Blob | None:
    """Remove a blob that no repository has any more, and return it; None if one has it.

    Its location is the caller's to delete.
    """
    row = await tx.one(TAKE_BLOB, digest=digest.key)
    if row is None or await tx.one(FIND_ANY_LINK, blob_id=row[0]) is not None:
        return None
    await tx.run(DROP_BLOB_DIGESTS, blob_id=row[0])
    await tx.run(DROP_BLOB, blob_id=row[0])
    return Blob(*row)


async def take_blob(tx: Tx, digest: Digest) -> None:
    """Keep the blob, if there is one, as it is until the transaction ends."""
    await tx.one(TAKE_BLOB, digest=digest.key)


async def hasten(tx: Tx, digest: Digest, now: int) -> list[str]:
    """Have all that waits with that content be due, and return the locations."""
    await tx.run(HASTEN, of_digest=digest.key, now=now)
    return await list_queued(tx, digest)


async def list_queued(tx: Tx, digest: Digest) -> list[str]:
    """Return the locations with that content, by its identity, that wait for their deletion."""
    return [row[0] for row in await tx.many(LIST_QUEUED, digest=digest.key)]


def _place_of(row: tuple[int, int, str, str, int]) -> Place:
    return Place(row[0], row[1], RepositoryName(row[2]), row[3], row[4])
