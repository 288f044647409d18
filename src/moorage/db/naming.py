"""What names content in a repository, in every way in which something can.

Collection, deletion, purge, the sweep and who asks why something is still there all ask here, so
that none of them overlooks what another one sees. A name counts

- by the id that it was resolved to;
- by any digest of the content, where it was written before the content was known by that;
- by any digest, where the same bytes are a blob and a manifest, and it was resolved to the other.

A subject is not named by what refers to it, in none of these ways.
"""

from typing import Any

import sqlalchemy as sa

from moorage.db.engine import Query, Tx
from moorage.db.repositories import LIVE
from moorage.db.schema import blob_digest, manifest, manifest_digest, manifest_reference
from moorage.oci.digest import Digest

BLOB, MANIFEST = "blob", "manifest"
KINDS = (BLOB, MANIFEST)

_ONE: sa.ColumnClause[int] = sa.literal_column("1")
_OTHER = {BLOB: MANIFEST, MANIFEST: BLOB}


def names(kind: str, repository_id: Any, number: Any) -> tuple[sa.Select[int], ...]:
    """Return what selects the ids of the manifests that name the content, one way each.

    `repository_id` and `number`, the content's id, are parameters or columns of a row outside.
    """
    return (
        _references(kind, repository_id, number).where(_role != sa.literal_column("'subject'")),
        _unresolved(kind, repository_id, number).where(_may_name(kind)),
        _as_other(kind, repository_id, number).where(_role == sa.literal_column("'manifest'")),
    )


_role = manifest_reference.c.role


def _may_name(kind: str) -> sa.ColumnElement[bool]:
    """Return which roles may name such content: an index may list blobs, no layer is a manifest."""
    if kind == MANIFEST:
        return _role == sa.literal_column("'manifest'")
    return _role != sa.literal_column("'subject'")


def _references(kind: str, repository_id: Any, number: Any) -> sa.Select[int]:
    return (
        sa.select(manifest_reference.c.manifest_id)
        .where(manifest_reference.c.repository_id == repository_id)
        .where(manifest_reference.c.child_id == number)
        .where(manifest_reference.c.kind == sa.literal_column(f"'{kind}'"))
    )


def _digests(kind: str, repository_id: Any, number: Any) -> tuple[sa.Table, sa.ColumnElement[bool]]:
    """Return the table of the content's digests, and which of its rows they are."""
    if kind == BLOB:
        return blob_digest, blob_digest.c.blob_id == number
    return manifest_digest, sa.and_(
        manifest_digest.c.repository_id == repository_id,
        manifest_digest.c.manifest_id == number,
    )


def _unresolved(kind: str, repository_id: Any, number: Any) -> sa.Select[int]:
    table, own = _digests(kind, repository_id, number)
    return (
        sa.select(manifest_reference.c.manifest_id)
        .select_from(table)
        .join(
            manifest_reference,
            sa.and_(
                manifest_reference.c.repository_id == repository_id,
                manifest_reference.c.child_digest == table.c.digest,
                manifest_reference.c.child_id == LIVE,
            ),
        )
        .where(own)
    )


def _as_other(kind: str, repository_id: Any, number: Any) -> sa.Select[int]:
    table, own = _digests(kind, repository_id, number)
    other = blob_digest if kind == MANIFEST else manifest_digest
    same: sa.ColumnElement[bool] = other.c.digest == table.c.digest
    if kind == BLOB:
        same = sa.and_(same, manifest_digest.c.repository_id == repository_id)
    other_id = blob_digest.c.blob_id if kind == MANIFEST else manifest_digest.c.manifest_id
    return (
        sa.select(manifest_reference.c.manifest_id)
        .select_from(table)
        .join(other, same)
        .join(
            manifest_reference,
            sa.and_(
                manifest_reference.c.repository_id == repository_id,
                manifest_reference.c.child_id == other_id,
                manifest_reference.c.kind == sa.literal_column(f"'{_OTHER[kind]}'"),
            ),
        )
        .where(own)
    )


def is_named(kind: str) -> sa.ColumnElement[bool]:
    """Return whether anything names `number` in `repository_id`, live or in the trash."""
    return sa.or_(*(sa.exists(each) for each in _by_kind[KINDS.index(kind)]))


def _parents(found: tuple[sa.Select[int], ...]) -> sa.Select[int, bytes, int]:
    each = sa.union_all(*found).subquery()
    return (
        sa.select(manifest.c.id, manifest.c.identity, manifest.c.trash_until)
        .select_from(each)
        .join(manifest, manifest.c.id == each.c.manifest_id)
    )


_by_kind = tuple(
    names(each, sa.bindparam("repository_id"), sa.bindparam("number")) for each in KINDS
)
FIND_PARENT = tuple(
    Query(
        f"find_parent_of_{kind}", _parents(found).where(manifest.c.trash_until == LIVE).limit(_ONE)
    )
    for kind, found in zip(KINDS, _by_kind, strict=True)
)
LIST_PARENTS = tuple(
    Query(f"list_parents_of_{kind}", _parents(found))
    for kind, found in zip(KINDS, _by_kind, strict=True)
)
_itself, _unfound, _ = _by_kind[KINDS.index(BLOB)]
LIST_OF_BLOB = Query(
    "list_manifests_of_blob",
    _parents((_itself, _unfound.where(_role != sa.literal_column("'manifest'")))),
)


async def find_parent(tx: Tx, repository_id: int, kind: str, number: int) -> Digest | None:
    """Return a live manifest that names the content."""
    query = FIND_PARENT[KINDS.index(kind)]
    row = await tx.one(query, repository_id=repository_id, number=number)
    return Digest.from_key(row[1]) if row else None


async def list_parents(
    tx: Tx, repository_id: int, kind: str, number: int
) -> list[tuple[int, Digest, int]]:
    """Return what names the content: ids, identities, and the ends of their time in the trash.

    In the order of their ids; 0 is live.
    """
    query = LIST_PARENTS[KINDS.index(kind)]
    rows = await tx.many(query, repository_id=repository_id, number=number)
    return sorted({(row[0], Digest.from_key(row[1]), row[2]) for row in rows})


async def list_of_blob(tx: Tx, repository_id: int, blob_id: int) -> list[tuple[int, Digest, int]]:
    """Return in the same way what is made of the blob, without what names a manifest of its bytes.

    An index that lacks an image has not lost it with the blob.
    """
    rows = await tx.many(LIST_OF_BLOB, repository_id=repository_id, number=blob_id)
    return sorted({(row[0], Digest.from_key(row[1]), row[2]) for row in rows})
