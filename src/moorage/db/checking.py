"""What a check of manifests and of usage reads, and how it mends both."""

import msgspec
import sqlalchemy as sa

from moorage.db.blobs import ADD_USAGE
from moorage.db.engine import ONE, Query, Row, Tx
from moorage.db.repair_schema import damage
from moorage.db.schema import (
    blob,
    manifest,
    manifest_digest,
    manifest_reference,
    namespace,
    repository,
    repository_blob,
)
from moorage.oci.digest import Digest

_of_repository = (
    sa.select(repository.c.name)
    .where(repository.c.id == manifest.c.repository_id)
    .scalar_subquery()
)

LIST_SIZES = Query(
    "list_sizes_of_manifests",
    sa.select(manifest.c.id, manifest.c.size)
    .where(manifest.c.id > sa.bindparam("after"))
    .order_by(manifest.c.id)
    .limit(sa.bindparam("limit")),
)
FIND_WHOLE = Query(
    "find_whole_manifest",
    sa.select(
        manifest.c.id,
        manifest.c.repository_id,
        _of_repository,
        manifest.c.identity,
        manifest.c.media_type,
        manifest.c.subject,
        manifest.c.size,
        manifest.c.raw,
    ).where(manifest.c.id == sa.bindparam("manifest_id")),
)
LIST_NAMED = Query(
    "list_named_by_manifest",
    sa.select(manifest_reference.c.role, manifest_reference.c.child_digest)
    .where(manifest_reference.c.manifest_id == sa.bindparam("manifest_id"))
    .order_by(manifest_reference.c.position),
)
FIND_IDENTITY = Query(
    "find_identity_of_digest",
    sa.select(manifest.c.identity, manifest.c.trash_until)
    .select_from(manifest_digest)
    .join(manifest, manifest.c.id == manifest_digest.c.manifest_id)
    .where(manifest_digest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest_digest.c.digest == sa.bindparam("digest")),
)
# Only what was seen is mended: somebody may have pushed it anew.
MEND_SUBJECT = Query(
    "mend_subject",
    sa.update(manifest)
    .where(manifest.c.id == sa.bindparam("manifest_key"))
    .where(manifest.c.subject == sa.bindparam("seen_subject"))
    .values(subject=sa.bindparam("new_subject")),
)
MEND_LISTED = Query(
    "mend_listed",
    sa.update(manifest)
    .where(manifest.c.id == sa.bindparam("manifest_key"))
    .where(manifest.c.subject == sa.bindparam("seen_subject"))
    .values(subject=sa.bindparam("new_subject"), listed=sa.bindparam("new_listed")),
)
LIST_NAMESPACES = Query(
    "list_namespaces_by_id",
    sa.select(namespace.c.id, namespace.c.name)
    .where(namespace.c.id > sa.bindparam("after"))
    .order_by(namespace.c.id)
    .limit(ONE),
)
LIST_COUNTED = Query(
    "list_counted_blobs",
    sa.select(
        repository_blob.c.blob_id,
        sa.select(blob.c.size).where(blob.c.id == repository_blob.c.blob_id).scalar_subquery(),
    )
    .where(repository_blob.c.namespace_id == sa.bindparam("namespace_id"))
    .where(repository_blob.c.blob_id > sa.bindparam("after"))
    .order_by(repository_blob.c.blob_id)
    .limit(sa.bindparam("limit")),
)
FIND_FOUND_AT = Query(
    "find_when_damaged",
    sa.select(damage.c.found_at).where(damage.c.location == sa.bindparam("location")),
)


class Whole(msgspec.Struct, frozen=True):
    """A manifest as its row has it, with what its references name: roles and digests' keys."""

    id: int
    repository_id: int
    repository: str | None
    identity: bytes
    media_type: str
    subject: bytes
    size: int
    raw: bytes
    named: tuple[tuple[str, bytes], ...]


async def list_sizes(tx: Tx, after: int, limit: int) -> list[tuple[int, int]]:
    """Return up to `limit` manifests, live or not, with ids above `after`: ids and sizes."""
    return [(row[0], row[1]) for row in await tx.many(LIST_SIZES, after=after, limit=limit)]


async def find_whole(tx: Tx, manifest_id: int) -> Whole | None:
    """Return the manifest of that id, if it is there still."""
    row = await tx.one(FIND_WHOLE, manifest_id=manifest_id)
    if row is None:
        return None
    named = await tx.many(LIST_NAMED, manifest_id=manifest_id)
    values: Row = (*row, tuple((each[0], bytes(each[1])) for each in named))
    return Whole(*values)


async def find_names(tx: Tx, repository_id: int, digest: Digest) -> tuple[bytes, ...]:
    """Return the keys by which what has that digest may be referred to, the best first.

    What is live is referred to by its identity alone.
    """
    row = await tx.one(FIND_IDENTITY, repository_id=repository_id, digest=digest.key)
    if row is None:
        return (digest.key,)
    return (row[0],) if not row[1] else (row[0], digest.key)


async def mend_subject(tx: Tx, whole: Whole, subject: bytes, listed: bytes) -> bool:
    """Have the manifest be found as a referrer of that; without a listing it keeps its own."""
    values = {"manifest_key": whole.id, "seen_subject": whole.subject, "new_subject": subject}
    if whole.subject and subject:
        return bool(await tx.run(MEND_SUBJECT, **values))
    return bool(await tx.run(MEND_LISTED, **values, new_listed=listed))


async def next_namespace(tx: Tx, after: int) -> tuple[int, str] | None:
    """Return the namespace behind that id: id and name."""
    row = await tx.one(LIST_NAMESPACES, after=after)
    return (row[0], row[1]) if row else None


async def add_up(tx: Tx, namespace_id: int, after: int, limit: int) -> tuple[int, int, int]:
    """Return the bytes of up to `limit` links' blobs behind `after`, each once.

    With it how many links those are, and the last blob.
    """
    rows = await tx.many(LIST_COUNTED, namespace_id=namespace_id, after=after, limit=limit)
    sizes = {row[0]: row[1] or 0 for row in rows}
    return sum(sizes.values()), len(rows), rows[-1][0] if rows else after


async def mend_usage(tx: Tx, namespace_id: int, difference: int, now: int) -> None:
    """Add to what is noted of the namespace's bytes what it lacks."""
    await tx.run(ADD_USAGE, namespace_id=namespace_id, bytes=difference, now=now)


async def damaged_since(tx: Tx, location: str, since: int) -> bool:
    """Tell whether the damage of the object was found since then."""
    row = await tx.one(FIND_FOUND_AT, location=location)
    return row is not None and row[0] >= since
