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

from moorage.db.engine import BEYOND_IDENTITIES, ONE, ZERO, Query, Tx
from moorage.db.repositories import LIVE
from moorage.db.schema import blob_digest, manifest, manifest_digest, manifest_reference
from moorage.oci.digest import Digest

BLOB, MANIFEST = "blob", "manifest"
KINDS = (BLOB, MANIFEST)

_OTHER = {BLOB: MANIFEST, MANIFEST: BLOB}


def names(kind: str, repository_id: Any, number: Any) -> tuple[sa.Select[int], ...]:
    """Return what selects the ids of the manifests that name the content, one way each.

    `repository_id` and `number`, the content's id, are parameters or columns of a row outside.
    """
    outside: set[sa.FromClause] = {
        each.table for each in (repository_id, number) if isinstance(each, sa.Column)
    }
    resolved = _resolved(repository_id)
    found = (
        resolved.where(manifest_reference.c.child_id == number)
        .where(manifest_reference.c.kind == sa.literal_column(f"'{kind}'"))
        .where(_role != sa.literal_column("'subject'")),
        _unresolved(kind, repository_id, number, outside),
        # As the other kind, asked for first as one value; a join would let SQLite begin with all
        # that is in the repository.
        resolved.where(
            manifest_reference.c.child_id == _other(kind, repository_id, number, outside)
        )
        .where(manifest_reference.c.kind == sa.literal_column(f"'{_OTHER[kind]}'"))
        .where(_role == sa.literal_column("'manifest'")),
    )
    return tuple(each.correlate(*outside) for each in found)


_role = manifest_reference.c.role


def _resolved(repository_id: Any) -> sa.Select[int]:
    # That there is a child is the rule of the partial index.
    return (
        sa.select(manifest_reference.c.manifest_id)
        .where(manifest_reference.c.repository_id == repository_id)
        .where(manifest_reference.c.child_id != ZERO)
    )


def _unresolved(
    kind: str, repository_id: Any, number: Any, outside: set[sa.FromClause]
) -> sa.Select[int]:
    own = sa.select(_own_digest.c.digest).where(_own_digest.c.blob_id == number)
    may_name = _role != sa.literal_column("'subject'")
    if kind == MANIFEST:
        own = (
            sa.select(_own_name.c.digest)
            .where(_own_name.c.repository_id == repository_id)
            .where(_own_name.c.manifest_id == number)
        )
        # An index may list blobs; no layer is a manifest.
        may_name = _role == sa.literal_column("'manifest'")
    return (
        sa.select(manifest_reference.c.manifest_id)
        .where(manifest_reference.c.repository_id == repository_id)
        .where(manifest_reference.c.child_digest.in_(own.correlate(*outside)))
        .where(manifest_reference.c.child_id == ZERO)
        .where(may_name)
    )


def _other(
    kind: str, repository_id: Any, number: Any, outside: set[sa.FromClause]
) -> sa.ScalarSelect[int]:
    """Return the id of the same bytes as the other kind: one blob, one manifest of a repository."""
    if kind == BLOB:
        bytes_of = (
            sa.select(_own_digest.c.digest)
            .where(_own_digest.c.blob_id == number)
            .where(_own_digest.c.digest < BEYOND_IDENTITIES)
        )
        found = (
            sa.select(_other_manifest.c.id)
            .where(_other_manifest.c.repository_id == repository_id)
            .where(_other_manifest.c.identity == _one(bytes_of, outside))
        )
    else:
        bytes_of = sa.select(_own_manifest.c.identity).where(_own_manifest.c.id == number)
        found = sa.select(blob_digest.c.blob_id).where(
            blob_digest.c.digest == _one(bytes_of, outside)
        )
    return _one(found, outside)


# Under other names than those of the rows outside, or they would be taken for these.
_own_digest = blob_digest.alias("own_digest")
_own_name = manifest_digest.alias("own_name")
_own_manifest = manifest.alias("own_manifest")
_other_manifest = manifest.alias("other_manifest")


def _one(found: sa.Select[Any], outside: set[sa.FromClause]) -> sa.ScalarSelect[Any]:
    return found.limit(ONE).correlate(*outside).scalar_subquery()


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
        f"find_parent_of_{kind}", _parents(found).where(manifest.c.trash_until == LIVE).limit(ONE)
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
