"""What is shown of one image besides the bytes of its manifest."""

from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.db.blobs import FIND_LINKED
from moorage.db.engine import Query, Tx
from moorage.db.repositories import LIVE
from moorage.db.schema import blob, manifest, manifest_digest, manifest_reference, tag
from moorage.db.tags import FIND_TAG
from moorage.model.artifacts import Blob
from moorage.oci.digest import Digest
from moorage.oci.names import Reference, Tag

_MANIFEST: sa.ColumnClause[str] = sa.literal_column("'manifest'")
_BLOB: sa.ColumnClause[str] = sa.literal_column("'blob'")
_SHA256 = b"\x01"
_HEX = 64


class Shown(msgspec.Struct, frozen=True):
    """A live manifest as the table holds it."""

    id: int
    identity: Digest
    media_type: str
    artifact_type: str
    created_at: int
    size: int
    raw: bytes


class Part(msgspec.Struct, frozen=True):
    """A manifest that an index lists: what the repository has of it, and the size of its content.

    `artifact_type` is None where it has none of that digest.
    """

    digest: Digest
    kind: str
    artifact_type: str | None
    bytes: int


def _of(column: sa.Column[Any], number: sa.ColumnElement[int]) -> sa.ScalarSelect[Any]:
    return sa.select(column).where(column.table.c.id == number).scalar_subquery()


def content_of(number: sa.ColumnElement[int]) -> sa.ScalarSelect[Any]:
    """Return how many bytes the blobs have that the manifest of that id names, each as named."""
    named = manifest_reference.alias("named")
    return (
        sa.select(sa.func.sum(_of(blob.c.size, named.c.child_id)))
        .where(named.c.manifest_id == number)
        .where(named.c.kind == _BLOB)
        .scalar_subquery()
    )


FIND_SHOWN = Query(
    "find_manifest_to_show",
    sa.select(
        manifest.c.id,
        manifest.c.identity,
        manifest.c.media_type,
        manifest.c.artifact_type,
        manifest.c.created_at,
        manifest.c.size,
        manifest.c.raw,
    )
    .where(manifest.c.id == sa.bindparam("manifest_id"))
    .where(manifest.c.trash_until == LIVE),
)
FIND_BY_DIGEST = Query(
    "find_manifest_by_digest",
    sa.select(manifest_digest.c.manifest_id)
    .where(manifest_digest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest_digest.c.digest == sa.bindparam("digest")),
)
LIST_BY_PREFIX = Query(
    "list_manifests_by_prefix",
    sa.select(manifest_digest.c.digest)
    .select_from(manifest_digest)
    .join(manifest, manifest.c.id == manifest_digest.c.manifest_id)
    .where(manifest_digest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest_digest.c.digest >= sa.bindparam("first"))
    .where(manifest_digest.c.digest <= sa.bindparam("last"))
    .where(manifest.c.trash_until == LIVE)
    .limit(sa.bindparam("limit")),
)
LIST_SOME_TAGS_OF = Query(
    "list_tags_and_digests_of_manifest",
    sa.select(tag.c.name, tag.c.digest)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.manifest_id == sa.bindparam("manifest_id"))
    .limit(sa.bindparam("limit")),
)
LIST_LISTED = Query(
    "list_listed_manifests",
    sa.select(
        manifest_reference.c.child_digest,
        manifest_reference.c.kind,
        # One by itself may be deleted while the index stays.
        sa.select(manifest.c.artifact_type)
        .where(manifest.c.id == manifest_reference.c.child_id)
        .where(manifest.c.trash_until == LIVE)
        .scalar_subquery(),
        content_of(manifest_reference.c.child_id),
    )
    .where(manifest_reference.c.manifest_id == sa.bindparam("manifest_id"))
    .where(manifest_reference.c.role == _MANIFEST)
    .order_by(manifest_reference.c.position)
    .limit(sa.bindparam("limit")),
)
LIST_ABSENT = Query(
    "list_absent_layers",
    sa.select(manifest_reference.c.child_digest)
    .where(manifest_reference.c.manifest_id == sa.bindparam("manifest_id"))
    .where(manifest_reference.c.kind != _MANIFEST)
    .where(manifest_reference.c.kind != _BLOB),
)


async def find_shown(tx: Tx, manifest_id: int) -> Shown | None:
    """Return the live manifest of that id."""
    row = await tx.one(FIND_SHOWN, manifest_id=manifest_id)
    return Shown(row[0], Digest.from_key(row[1]), *row[2:]) if row is not None else None


async def find_by(tx: Tx, repository_id: int, reference: Reference) -> tuple[Shown, Digest] | None:
    """Return what a tag or a digest names, and by which digest it does."""
    digest = reference if isinstance(reference, Digest) else None
    if digest is not None:
        row = await tx.one(FIND_BY_DIGEST, repository_id=repository_id, digest=digest.key)
    else:
        row = await tx.one(FIND_TAG, repository_id=repository_id, name=reference)
    if row is None:
        return None
    found = await find_shown(tx, row[0])
    return (found, digest or Digest.from_key(row[1])) if found is not None else None


async def list_by_prefix(tx: Tx, repository_id: int, prefix: str, limit: int) -> list[Digest]:
    """Return up to `limit` live manifests whose sha256 begins with these hexadecimal digits."""
    rows = await tx.many(
        LIST_BY_PREFIX,
        repository_id=repository_id,
        first=_SHA256 + bytes.fromhex(prefix.ljust(_HEX, "0")),
        last=_SHA256 + bytes.fromhex(prefix.ljust(_HEX, "f")),
        limit=limit,
    )
    return [Digest.from_key(row[0]) for row in rows]


async def list_tags_of(
    tx: Tx, repository_id: int, manifest_id: int, limit: int
) -> list[tuple[Tag, Digest]]:
    """Return up to `limit` tags of the manifest, each with the digest that it was pushed with."""
    rows = await tx.many(
        LIST_SOME_TAGS_OF, repository_id=repository_id, manifest_id=manifest_id, limit=limit
    )
    return sorted((Tag(row[0]), Digest.from_key(row[1])) for row in rows)


async def list_listed(tx: Tx, manifest_id: int, limit: int) -> list[Part]:
    """Return what the repository has of the first `limit` manifests that the index lists."""
    rows = await tx.many(LIST_LISTED, manifest_id=manifest_id, limit=limit)
    return [
        Part(Digest.from_key(row[0]), row[1], row[2], int(row[3] or 0))
        if row[1] == "manifest"
        else Part(Digest.from_key(row[0]), row[1], None, 0)
        for row in rows
    ]


async def list_absent(tx: Tx, manifest_id: int) -> set[Digest]:
    """Return what the manifest names and the repository has not got."""
    rows = await tx.many(LIST_ABSENT, manifest_id=manifest_id)
    return {Digest.from_key(row[0]) for row in rows}


async def find_linked(tx: Tx, repository_id: int, digest: Digest) -> Blob | None:
    """Return the repository's live blob of that digest; nothing keeps it from going."""
    row = await tx.one(FIND_LINKED, repository_id=repository_id, digest=digest.key)
    return Blob(*row) if row else None
