"""What was deleted and can be restored: manifests and blobs of one repository in its trash.

Whoever restores something takes the rows that it found, in the order of their ids, and looks again:
what a deletion or collection did meanwhile is seen, and what comes later waits.
"""

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from moorage.db.engine import BEYOND_IDENTITIES, ONE, Query, Raced, Tx
from moorage.db.repositories import LIVE
from moorage.db.schema import (
    blob,
    blob_digest,
    manifest,
    manifest_digest,
    manifest_reference,
    repository_blob,
)
from moorage.oci.digest import Digest

_SUBJECT: sa.ColumnClause[str] = sa.literal_column("'subject'")


class Trashed(msgspec.Struct, frozen=True):
    """A manifest, live (`until` is 0) or in the trash until then."""

    id: int
    identity: Digest
    until: int


class Part(msgspec.Struct, frozen=True):
    """What a manifest names, and what has become of it.

    `until` is that of the blob's link or of the manifest: 0 is live, None gone for good. What was
    not there at the push has the kind `absent` or `foreign`.
    """

    manifest_id: int
    position: int
    role: str
    kind: str
    child_id: int
    digest: Digest
    until: int | None


class Item(msgspec.Struct, frozen=True):
    """Something in the trash, in a list."""

    id: int
    digest: Digest
    kind: str
    media_type: str
    size: int
    until: int


FIND_MANIFEST = Query(
    "find_manifest_even_trashed",
    sa.select(manifest.c.id, manifest.c.identity, manifest.c.trash_until)
    .select_from(manifest_digest)
    .join(manifest, manifest.c.id == manifest_digest.c.manifest_id)
    .where(manifest_digest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest_digest.c.digest == sa.bindparam("digest")),
)
TAKE_MANIFEST = Query(
    "take_manifest",
    sa.select(manifest.c.trash_until)
    .where(manifest.c.id == sa.bindparam("manifest_id"))
    .with_for_update(),
)
TAKE_LINK = Query(
    "take_link_to_restore",
    sa.select(repository_blob.c.trash_until)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_id"))
    .where(repository_blob.c.blob_id == sa.bindparam("blob_id"))
    .with_for_update(),
)
_child = manifest.alias("child")
LIST_PARTS = Query(
    "list_parts",
    sa.select(
        manifest_reference.c.manifest_id,
        manifest_reference.c.position,
        manifest_reference.c.role,
        manifest_reference.c.kind,
        manifest_reference.c.child_id,
        manifest_reference.c.child_digest,
        repository_blob.c.trash_until,
        _child.c.trash_until,
    )
    .select_from(
        manifest_reference.outerjoin(
            repository_blob,
            sa.and_(
                repository_blob.c.repository_id == manifest_reference.c.repository_id,
                repository_blob.c.blob_id == manifest_reference.c.child_id,
            ),
        ).outerjoin(_child, _child.c.id == manifest_reference.c.child_id)
    )
    .where(manifest_reference.c.manifest_id == sa.bindparam("manifest_id"))
    .where(manifest_reference.c.role != _SUBJECT)
    .order_by(manifest_reference.c.position),
)
LIST_DIGESTS = Query(
    "list_digests_of_manifest",
    sa.select(manifest_digest.c.digest).where(
        manifest_digest.c.manifest_id == sa.bindparam("manifest_id")
    ),
)
# Its lease stays what it is: that is when collection looks at the link, and sees what names it.
REVIVE_LINK = Query(
    "revive_blob_link",
    sa.update(repository_blob)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_key"))
    .where(repository_blob.c.blob_id == sa.bindparam("blob_key"))
    .values(trash_until=LIVE),
)
SET_PART = Query(
    "set_part",
    sa.update(manifest_reference)
    .where(manifest_reference.c.manifest_id == sa.bindparam("manifest_key"))
    .where(manifest_reference.c.position == sa.bindparam("place"))
    .values(kind=sa.bindparam("new_kind"), child_id=sa.bindparam("new_child")),
)
LIST_MANIFESTS = Query(
    "list_trashed_manifests",
    sa.select(
        manifest.c.id,
        manifest.c.identity,
        manifest.c.media_type,
        manifest.c.size,
        manifest.c.trash_until,
    )
    .where(manifest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest.c.trash_until != LIVE)
    .where(manifest.c.id > sa.bindparam("after"))
    .order_by(manifest.c.id)
    .limit(sa.bindparam("limit")),
)
# A blob's identity is its sha256, whose key begins with 1.
_identity = (
    sa.select(blob_digest.c.digest)
    .where(blob_digest.c.blob_id == blob.c.id)
    .where(blob_digest.c.digest < BEYOND_IDENTITIES)
    .correlate(blob)
    .limit(ONE)
    .scalar_subquery()
)
LIST_BLOBS = Query(
    "list_trashed_blobs",
    sa.select(repository_blob.c.blob_id, _identity, blob.c.size, repository_blob.c.trash_until)
    .select_from(repository_blob.join(blob, blob.c.id == repository_blob.c.blob_id))
    .where(repository_blob.c.repository_id == sa.bindparam("repository_id"))
    .where(repository_blob.c.trash_until != LIVE)
    .where(repository_blob.c.blob_id > sa.bindparam("after"))
    .order_by(repository_blob.c.blob_id)
    .limit(sa.bindparam("limit")),
)


async def find_manifest(tx: Tx, repository_id: int, digest: Digest) -> Trashed | None:
    """Return the repository's manifest of that digest, live or not."""
    row = await tx.one(FIND_MANIFEST, repository_id=repository_id, digest=digest.key)
    return Trashed(row[0], Digest.from_key(row[1]), row[2]) if row else None


async def list_parts(tx: Tx, manifest_id: int) -> list[Part]:
    """Return what the manifest names but for its subject, in its own order."""
    parts = []
    for number, position, role, kind, child_id, digest, of_link, of_manifest in await tx.many(
        LIST_PARTS, manifest_id=manifest_id
    ):
        until = of_link if kind == "blob" else of_manifest if kind == "manifest" else 0
        parts.append(Part(number, position, role, kind, child_id, Digest.from_key(digest), until))
    return parts


async def list_digests(tx: Tx, manifest_id: int) -> list[Digest]:
    """Return every digest that the manifest can be asked by."""
    rows = await tx.many(LIST_DIGESTS, manifest_id=manifest_id)
    return [Digest.from_key(row[0]) for row in rows]


async def take_links(tx: Tx, repository_id: int, seen: Iterable[tuple[int, int]]) -> None:
    """Keep links, each a blob's id and the end of its trash, as they were seen.

    Raises:
        Raced: another transaction has changed one of them.
    """
    for blob_id, until in sorted(seen):
        row = await tx.one(TAKE_LINK, repository_id=repository_id, blob_id=blob_id)
        if row is None or row[0] != until:
            raise Raced


async def take_manifests(tx: Tx, seen: Iterable[tuple[int, int]]) -> None:
    """Keep manifests, each an id and the end of its trash, as they were seen.

    Raises:
        Raced: another transaction has changed one of them.
    """
    for manifest_id, until in sorted(seen):
        row = await tx.one(TAKE_MANIFEST, manifest_id=manifest_id)
        if row is None or row[0] != until:
            raise Raced


async def revive_link(tx: Tx, repository_id: int, blob_id: int) -> None:
    """Take the blob of the repository out of the trash."""
    await tx.run(REVIVE_LINK, repository_key=repository_id, blob_key=blob_id)


async def set_part(tx: Tx, part: Part, kind: str, child_id: int) -> None:
    """Note what the part was found to be."""
    await tx.run(
        SET_PART,
        manifest_key=part.manifest_id,
        place=part.position,
        new_kind=kind,
        new_child=child_id,
    )


async def list_manifests(tx: Tx, repository_id: int, after: int, limit: int) -> list[Item]:
    """Return up to `limit` manifests in the repository's trash with ids above `after`."""
    rows = await tx.many(LIST_MANIFESTS, repository_id=repository_id, after=after, limit=limit)
    return [
        Item(row[0], Digest.from_key(row[1]), "manifest", row[2], row[3], row[4]) for row in rows
    ]


async def list_blobs(tx: Tx, repository_id: int, after: int, limit: int) -> list[Item]:
    """Return up to `limit` blobs in the repository's trash with ids above `after`."""
    rows = await tx.many(
        LIST_BLOBS,
        repository_id=repository_id,
        after=after,
        limit=limit,
    )
    return [Item(row[0], Digest.from_key(row[1]), "blob", "", row[2], row[3]) for row in rows]
