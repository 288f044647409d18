"""How many bytes namespaces have, and which of them nothing but the trash holds."""

from collections.abc import Mapping

import sqlalchemy as sa

from moorage.db.engine import ONE, ZERO, Query, Tx
from moorage.db.repositories import LIVE
from moorage.db.schema import (
    blob,
    manifest,
    manifest_reference,
    repository,
    repository_blob,
    usage,
    usage_delta,
)

_BLOB: sa.ColumnClause[str] = sa.literal_column("'blob'")

FIND_USAGE = Query(
    "find_usage",
    sa.select(
        sa.select(usage.c.bytes)
        .where(usage.c.namespace_id == sa.bindparam("namespace_id"))
        .scalar_subquery(),
        sa.select(sa.func.sum(usage_delta.c.bytes))
        .where(usage_delta.c.namespace_id == sa.bindparam("namespace_id"))
        .scalar_subquery(),
    ),
)
_holder = manifest.alias("holder")
_naming = manifest_reference.alias("naming")
_link = repository_blob.alias("link")
# A live manifest names it, in a live repository of the namespace that still has it.
_is_used = (
    sa.select(ONE)
    .select_from(_link)
    .join(repository, repository.c.id == _link.c.repository_id)
    .join(
        _naming,
        sa.and_(
            _naming.c.repository_id == _link.c.repository_id,
            _naming.c.child_id == _link.c.blob_id,
            _naming.c.child_id != ZERO,
            _naming.c.kind == _BLOB,
        ),
    )
    .join(_holder, _holder.c.id == _naming.c.manifest_id)
    .where(_link.c.namespace_id == sa.bindparam("namespace_id"))
    .where(_link.c.blob_id == blob.c.id)
    .where(_link.c.trash_until == LIVE)
    .where(repository.c.trash_until == LIVE)
    .where(_holder.c.trash_until == LIVE)
    .correlate(blob)
    .limit(ONE)
    .scalar_subquery()
)
_unused = sa.func.coalesce(_is_used, ZERO) == ZERO
HELD_BY_MANIFEST = Query(
    "list_bytes_of_trashed_manifest",
    sa.select(blob.c.id, blob.c.size)
    .select_from(manifest_reference.join(blob, blob.c.id == manifest_reference.c.child_id))
    .where(manifest_reference.c.manifest_id == sa.bindparam("manifest_id"))
    .where(manifest_reference.c.kind == _BLOB)
    .where(_unused),
)
HELD_BY_LINKS = Query(
    "list_bytes_of_trashed_links",
    sa.select(blob.c.id, blob.c.size, _unused)
    .select_from(repository_blob.join(blob, blob.c.id == repository_blob.c.blob_id))
    .where(repository_blob.c.repository_id == sa.bindparam("repository_id"))
    .where(repository_blob.c.trash_until != LIVE)
    .where(repository_blob.c.blob_id > sa.bindparam("after"))
    .order_by(repository_blob.c.blob_id)
    .limit(sa.bindparam("limit")),
)
HELD_BY_REPOSITORY = Query(
    "list_bytes_of_removed_repository",
    sa.select(blob.c.id, blob.c.size, _unused)
    .select_from(repository_blob.join(blob, blob.c.id == repository_blob.c.blob_id))
    .where(repository_blob.c.repository_id == sa.bindparam("repository_id"))
    .where(repository_blob.c.blob_id > sa.bindparam("after"))
    .order_by(repository_blob.c.blob_id)
    .limit(sa.bindparam("limit")),
)
_trashed_manifest = (
    sa.select(ONE)
    .where(manifest.c.repository_id == repository.c.id)
    .where(manifest.c.trash_until != LIVE)
    .correlate(repository)
    .limit(ONE)
    .scalar_subquery()
)
_trashed_link = (
    sa.select(ONE)
    .where(repository_blob.c.repository_id == repository.c.id)
    .where(repository_blob.c.trash_until != LIVE)
    .correlate(repository)
    .limit(ONE)
    .scalar_subquery()
)
LIST_WITH_TRASH = Query(
    "list_repositories_with_trash",
    sa.select(repository.c.id, repository.c.name)
    .where(repository.c.namespace_id == sa.bindparam("namespace_id"))
    .where(repository.c.name > sa.bindparam("after"))
    .where(repository.c.trash_until == LIVE)
    .where(sa.or_(_trashed_manifest == ONE, _trashed_link == ONE))
    .order_by(repository.c.name)
    .limit(sa.bindparam("limit")),
)


async def find_usage(tx: Tx, namespace_id: int) -> int:
    """Return how many bytes the namespace's blobs have, each counted once, the trash's too."""
    row = await tx.one(FIND_USAGE, namespace_id=namespace_id)
    # A sum of whole numbers is a decimal one on PostgreSQL.
    return int(sum(each or 0 for each in row)) if row else 0


async def list_with_trash(
    tx: Tx, namespace_id: int, after: str, limit: int
) -> list[tuple[int, str]]:
    """Return up to `limit` live repositories with a trash behind `after`: ids and names."""
    rows = await tx.many(LIST_WITH_TRASH, namespace_id=namespace_id, after=after, limit=limit)
    return [(row[0], row[1]) for row in rows]


async def held_by_manifest(tx: Tx, namespace_id: int, manifest_id: int) -> Mapping[int, int]:
    """Return the sizes of the blobs that the manifest names and nothing live in the namespace."""
    rows = await tx.many(HELD_BY_MANIFEST, namespace_id=namespace_id, manifest_id=manifest_id)
    return {row[0]: row[1] for row in rows}


async def held_by_links(
    tx: Tx, namespace_id: int, repository_id: int, after: int, limit: int, *, removed: bool
) -> tuple[Mapping[int, int], int]:
    """Return the sizes of unused blobs among `limit` links behind `after`, and where to go on.

    They are links in the trash, or all where the repository itself is. 0 is the end.
    """
    rows = await tx.many(
        HELD_BY_REPOSITORY if removed else HELD_BY_LINKS,
        namespace_id=namespace_id,
        repository_id=repository_id,
        after=after,
        limit=limit,
    )
    held = {row[0]: row[1] for row in rows if row[2]}
    return held, rows[-1][0] if len(rows) == limit else 0
