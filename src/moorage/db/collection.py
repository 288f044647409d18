"""What keeps content, and its removal: statements of collection alone.

Whatever a manifest names stays, whether that manifest is live or in the trash, and by whichever of
its digests it is named. A subject is not kept by what refers to it.
"""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from moorage.db.blobs import ADD_USAGE, list_digests, queue_deletes
from moorage.db.damage import keep_object
from moorage.db.engine import ONE, ZERO, Query, Tx
from moorage.db.naming import BLOB, MANIFEST, is_named
from moorage.db.pulls_schema import pull_stat
from moorage.db.reviews import put_reviews
from moorage.db.schema import (
    blob,
    blob_digest,
    hold,
    manifest,
    manifest_digest,
    manifest_reference,
    repository_blob,
    tag,
)

_SUBJECT: sa.ColumnClause[str] = sa.literal_column("'subject'")


class Link(msgspec.Struct, frozen=True):
    """A repository's hold on a blob."""

    repository_id: int
    namespace_id: int
    blob_id: int
    size: int
    location: str
    lease_until: int
    trash_until: int


class Trashed(msgspec.Struct, frozen=True):
    """A manifest as collection sees it; `trash_until` is 0 while it is live."""

    id: int
    repository_id: int
    size: int
    trash_until: int


class Freed(msgspec.Struct, frozen=True):
    """What was removed; `bytes` are those of objects that are deleted later, and of manifests."""

    repositories: int = 0
    manifests: int = 0
    links: int = 0
    blobs: int = 0
    bytes: int = 0

    def __add__(self, other: "Freed") -> "Freed":
        """Return the sum."""
        return Freed(
            self.repositories + other.repositories,
            self.manifests + other.manifests,
            self.links + other.links,
            self.blobs + other.blobs,
            self.bytes + other.bytes,
        )


_link = (
    sa.select(
        repository_blob.c.repository_id,
        repository_blob.c.namespace_id,
        blob.c.id,
        blob.c.size,
        blob.c.location,
        repository_blob.c.lease_until,
        repository_blob.c.trash_until,
    )
    .select_from(repository_blob)
    .join(blob, blob.c.id == repository_blob.c.blob_id)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_id"))
    .where(repository_blob.c.blob_id == sa.bindparam("blob_id"))
)
FIND_LINK = Query("find_blob_link", _link)
TAKE_LINK = Query("take_blob_link", _link.with_for_update(of=repository_blob))
# Before the link, so that nobody gives the blob to another repository or puts it elsewhere.
TAKE_BLOB = Query(
    "take_blob_by_id",
    sa.select(blob.c.id, blob.c.location, blob.c.size)
    .where(blob.c.id == sa.bindparam("blob_id"))
    .with_for_update(),
)
FIND_ANY_LINK = Query(
    "find_any_link",
    sa.select(repository_blob.c.repository_id)
    .where(repository_blob.c.blob_id == sa.bindparam("blob_id"))
    .limit(ONE),
)
_manifest = (
    sa.select(manifest.c.id, manifest.c.repository_id, manifest.c.size, manifest.c.trash_until)
    .where(manifest.c.id == sa.bindparam("manifest_id"))
    .where(manifest.c.repository_id == sa.bindparam("repository_id"))
)
FIND_MANIFEST = Query("find_manifest_by_id", _manifest)
TAKE_MANIFEST = Query("take_manifest_by_id", _manifest.with_for_update())


def _held(names: sa.Table) -> sa.Select[int]:
    # For each digest by the key of holds: as a join SQLite may go through all of the repository.
    held = (
        sa.select(ONE)
        .where(hold.c.repository_id == sa.bindparam("repository_id"))
        .where(hold.c.digest == names.c.digest)
        .where(sa.or_(hold.c.until == ZERO, hold.c.until > sa.bindparam("now")))
        .correlate(names)
        .limit(ONE)
        .scalar_subquery()
    )
    return sa.select(ONE).select_from(names).where(held == ONE)


_names_of_blob = blob_digest.c.blob_id == sa.bindparam("number")
_names_of_manifest = sa.and_(
    manifest_digest.c.repository_id == sa.bindparam("repository_id"),
    manifest_digest.c.manifest_id == sa.bindparam("number"),
)
WHAT_KEEPS_BLOB = Query(
    "what_keeps_blob",
    sa.select(is_named(BLOB), sa.exists(_held(blob_digest).where(_names_of_blob))),
)
WHAT_KEEPS_MANIFEST = Query(
    "what_keeps_manifest",
    sa.select(
        is_named(MANIFEST),
        sa.exists(_held(manifest_digest).where(_names_of_manifest)),
        sa.exists(
            sa.select(ONE)
            .select_from(tag)
            .where(tag.c.repository_id == sa.bindparam("repository_id"))
            .where(tag.c.manifest_id == sa.bindparam("number"))
        ),
    ),
)
DROP_LINK = Query(
    "drop_link",
    sa.delete(repository_blob)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_id"))
    .where(repository_blob.c.blob_id == sa.bindparam("blob_id")),
)
WHO_HAS_BLOB = Query(
    "who_has_blob",
    sa.select(
        sa.exists(
            sa.select(ONE)
            .select_from(repository_blob)
            .where(repository_blob.c.namespace_id == sa.bindparam("namespace_id"))
            .where(repository_blob.c.blob_id == sa.bindparam("blob_id"))
        ),
        sa.exists(
            sa.select(ONE)
            .select_from(repository_blob)
            .where(repository_blob.c.blob_id == sa.bindparam("blob_id"))
        ),
    ),
)
DROP_BLOB = Query("drop_blob", sa.delete(blob).where(blob.c.id == sa.bindparam("blob_id")))
DROP_BLOB_DIGESTS = Query(
    "drop_blob_digests",
    sa.delete(blob_digest).where(blob_digest.c.blob_id == sa.bindparam("blob_id")),
)
DROP_BLOB_ROW = Query(
    "drop_blob_row",
    sa.delete(blob).where(blob.c.id == sa.bindparam("blob_id")).returning(blob.c.state),
)
SET_REVIEW_OF_LINK = Query(
    "set_review_of_link",
    sa.update(repository_blob)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_key"))
    .where(repository_blob.c.blob_id == sa.bindparam("blob_key"))
    .values(lease_until=sa.bindparam("lease")),
)
# By whatever way it may have been what keeps it; again and again, where it names it so often.
_named = (
    sa.select(manifest_reference.c.kind, manifest_reference.c.child_id)
    .where(manifest_reference.c.manifest_id == sa.bindparam("manifest_id"))
    .where(manifest_reference.c.child_id != ZERO)
    .where(manifest_reference.c.role != _SUBJECT)
)
_named_blobs = (
    sa.select(sa.literal_column(f"'{BLOB}'"), repository_blob.c.blob_id)
    .select_from(manifest_reference)
    .join(blob_digest, blob_digest.c.digest == manifest_reference.c.child_digest)
    .join(
        repository_blob,
        sa.and_(
            repository_blob.c.repository_id == manifest_reference.c.repository_id,
            repository_blob.c.blob_id == blob_digest.c.blob_id,
        ),
    )
    .where(manifest_reference.c.manifest_id == sa.bindparam("manifest_id"))
    .where(manifest_reference.c.role != _SUBJECT)
)
_named_manifests = (
    sa.select(sa.literal_column(f"'{MANIFEST}'"), manifest_digest.c.manifest_id)
    .select_from(manifest_reference)
    .join(
        manifest_digest,
        sa.and_(
            manifest_digest.c.repository_id == manifest_reference.c.repository_id,
            manifest_digest.c.digest == manifest_reference.c.child_digest,
        ),
    )
    .where(manifest_reference.c.manifest_id == sa.bindparam("manifest_id"))
    .where(manifest_reference.c.role != _SUBJECT)
)
LIST_NAMED = Query("list_named", sa.union_all(_named, _named_blobs, _named_manifests))
# Collection removes only what nothing else names than those whose subject it is; a purge also what
# others name, which lack it from then on.
FORGET_CHILD = Query(
    "forget_child",
    sa.update(manifest_reference)
    .where(manifest_reference.c.repository_id == sa.bindparam("repository_key"))
    .where(manifest_reference.c.child_id == sa.bindparam("number"))
    .where(manifest_reference.c.child_id != ZERO)
    .where(manifest_reference.c.kind == sa.bindparam("old_kind"))
    .values(kind=sa.literal_column("'absent'"), child_id=ZERO),
)
DROP_REFERENCES = Query(
    "drop_references",
    sa.delete(manifest_reference).where(
        manifest_reference.c.manifest_id == sa.bindparam("manifest_id")
    ),
)
DROP_MANIFEST_DIGESTS = Query(
    "drop_manifest_digests",
    sa.delete(manifest_digest).where(manifest_digest.c.manifest_id == sa.bindparam("manifest_id")),
)
DROP_PULLS = Query(
    "drop_pulls_of_manifest",
    sa.delete(pull_stat)
    .where(pull_stat.c.repository_id == sa.bindparam("repository_id"))
    .where(pull_stat.c.manifest_id == sa.bindparam("manifest_id")),
)
DROP_MANIFEST = Query(
    "drop_manifest", sa.delete(manifest).where(manifest.c.id == sa.bindparam("manifest_id"))
)


async def take_link(tx: Tx, repository_id: int, blob_id: int) -> Link | None:
    """Return the repository's link to the blob; both stay as they are until the transaction ends.

    Whoever names the blob in the repository, gives it to another or uploads it anew is done before
    this returns, or waits and finds it gone.
    """
    await tx.one(TAKE_BLOB, blob_id=blob_id)
    row = await tx.one(TAKE_LINK, repository_id=repository_id, blob_id=blob_id)
    return Link(*row) if row else None


async def find_link(tx: Tx, repository_id: int, blob_id: int) -> Link | None:
    """Return the same for whoever only looks."""
    row = await tx.one(FIND_LINK, repository_id=repository_id, blob_id=blob_id)
    return Link(*row) if row else None


async def take_manifest(tx: Tx, repository_id: int, manifest_id: int) -> Trashed | None:
    """Return the manifest, which stays as it is until the transaction ends."""
    row = await tx.one(TAKE_MANIFEST, repository_id=repository_id, manifest_id=manifest_id)
    return Trashed(*row) if row else None


async def find_manifest(tx: Tx, repository_id: int, manifest_id: int) -> Trashed | None:
    """Return the same for whoever only looks."""
    row = await tx.one(FIND_MANIFEST, repository_id=repository_id, manifest_id=manifest_id)
    return Trashed(*row) if row else None


async def what_keeps_blob(tx: Tx, repository_id: int, blob_id: int, now: int) -> str:
    """Return `named` or `held` if that is what keeps the blob in the repository, else nothing."""
    row = await tx.one(WHAT_KEEPS_BLOB, repository_id=repository_id, number=blob_id, now=now)
    by_name, is_held = row or (True, True)
    if by_name:
        return "named"
    return "held" if is_held else ""


async def what_keeps_manifest(tx: Tx, repository_id: int, manifest_id: int, now: int) -> str:
    """Return `named` or `held` if that is what keeps the manifest, else nothing."""
    row = await tx.one(
        WHAT_KEEPS_MANIFEST, repository_id=repository_id, number=manifest_id, now=now
    )
    by_name, is_held, is_tagged = row or (True, True, True)
    if by_name or is_tagged:
        return "named"
    return "held" if is_held else ""


async def look_later(tx: Tx, link: Link, at: int) -> None:
    """Look at the link again then; 0 is when what names it goes."""
    await tx.run(
        SET_REVIEW_OF_LINK, repository_key=link.repository_id, blob_key=link.blob_id, lease=at
    )


async def end_link(tx: Tx, link: Link, now: int) -> bool:
    """Take the blob from the repository, and tell whether another one has it.

    The caller has taken both.
    """
    await tx.run(DROP_LINK, repository_id=link.repository_id, blob_id=link.blob_id)
    await tx.run(
        FORGET_CHILD, repository_key=link.repository_id, number=link.blob_id, old_kind=BLOB
    )
    row = await tx.one(WHO_HAS_BLOB, namespace_id=link.namespace_id, blob_id=link.blob_id)
    in_namespace, anywhere = row or (True, True)
    if not in_namespace:
        await tx.run(ADD_USAGE, namespace_id=link.namespace_id, bytes=-link.size, now=now)
    return bool(anywhere)


async def remove_link(tx: Tx, link: Link, now: int, not_before: int) -> Freed:
    """Take the blob from the repository, and the blob itself away when nobody else has it.

    The caller has taken both and found nothing that keeps them. The object is deleted later.
    """
    if await end_link(tx, link, now):
        return Freed(links=1)
    await drop_blob(tx, link.blob_id, {link.location: link.size}, now, not_before)
    return Freed(links=1, blobs=1, bytes=link.size)


async def drop_blob(
    tx: Tx, blob_id: int, location: Mapping[str, int], now: int, not_before: int
) -> None:
    """Forget a blob that no repository has, and queue its object; the caller has taken it.

    The location comes with its size. The object of a blob that is lost stays.
    """
    known = await list_digests(tx, blob_id)
    identity = next((each for each in known if each.algorithm == "sha256"), None)
    await tx.run(DROP_BLOB_DIGESTS, blob_id=blob_id)
    row = await tx.one(DROP_BLOB_ROW, blob_id=blob_id)
    if row is not None and row[0] == "lost":
        for each in location:
            await keep_object(tx, each, "collected", now)
    else:
        await queue_deletes(tx, location, not_before, "collected", identity)


async def remove_stray_blob(tx: Tx, blob_id: int, now: int, not_before: int) -> Freed:
    """Forget a blob that no repository has, if there is such a one; a sweep has found it."""
    row = await tx.one(TAKE_BLOB, blob_id=blob_id)
    if row is None or (await tx.one(FIND_ANY_LINK, blob_id=blob_id)) is not None:
        return Freed()
    await drop_blob(tx, blob_id, {row[1]: row[2]}, now, not_before)
    return Freed(blobs=1, bytes=row[2])


async def remove_manifest(tx: Tx, trashed: Trashed, now: int, event: str = "dropped") -> Freed:
    """Forget the manifest, and have looked at what it named; the caller has taken it.

    `event` is what the queue tells of why.
    """
    rows = await tx.many(LIST_NAMED, manifest_id=trashed.id)
    dropped = dict.fromkeys((row[0], row[1]) for row in rows)
    await put_reviews(tx, trashed.repository_id, list(dropped), now, event)
    return await forget_manifest(tx, trashed)


async def forget_manifest(tx: Tx, trashed: Trashed) -> Freed:
    """Forget the manifest and what it named, of which the caller takes care."""
    number, repository_id = trashed.id, trashed.repository_id
    await tx.run(FORGET_CHILD, repository_key=repository_id, number=number, old_kind=MANIFEST)
    await tx.run(DROP_REFERENCES, manifest_id=number)
    await tx.run(DROP_MANIFEST_DIGESTS, manifest_id=number)
    await tx.run(DROP_PULLS, repository_id=repository_id, manifest_id=number)
    await tx.run(DROP_MANIFEST, manifest_id=number)
    return Freed(manifests=1, bytes=trashed.size)
