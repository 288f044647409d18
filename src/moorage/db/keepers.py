"""What keeps content, told to people; and the names of what is only known by its id."""

import msgspec
import sqlalchemy as sa

from moorage.db.collection import Link, Trashed, find_manifest
from moorage.db.engine import BEYOND_IDENTITIES, ONE, ZERO, Query, Tx
from moorage.db.schema import (
    blob,
    blob_digest,
    delete_queue,
    hold,
    manifest,
    manifest_digest,
    repository,
    repository_blob,
    tag,
)
from moorage.oci.digest import Digest


class Hold(msgspec.Struct, frozen=True):
    """Why something stays, whatever becomes of it; `until` is 0 for as long as the hold is."""

    source: str
    reason: str
    until: int


FIND_NAME = Query(
    "find_name_of_repository",
    sa.select(repository.c.name, repository.c.trash_until).where(
        repository.c.id == sa.bindparam("repository_id")
    ),
)
NAME_BLOB = Query(
    "find_identity_of_blob",
    sa.select(blob_digest.c.digest, blob.c.size)
    .select_from(blob_digest)
    .join(blob, blob.c.id == blob_digest.c.blob_id)
    .where(blob_digest.c.blob_id == sa.bindparam("number"))
    .where(blob_digest.c.digest < BEYOND_IDENTITIES)
    .limit(ONE),
)
NAME_MANIFEST = Query(
    "find_identity_of_manifest",
    sa.select(manifest.c.identity, manifest.c.size).where(manifest.c.id == sa.bindparam("number")),
)
LIST_LINKS = Query(
    "list_links_by_digest",
    sa.select(
        repository_blob.c.repository_id,
        repository_blob.c.namespace_id,
        blob.c.id,
        blob.c.size,
        blob.c.location,
        repository_blob.c.lease_until,
        repository_blob.c.trash_until,
    )
    .select_from(blob_digest)
    .join(blob, blob.c.id == blob_digest.c.blob_id)
    .join(repository_blob, repository_blob.c.blob_id == blob.c.id)
    .where(blob_digest.c.digest == sa.bindparam("digest"))
    .limit(sa.bindparam("limit")),
)
# From repository to repository, each asked by its key, as a purge does (`db/purge.py`).
_called = (
    sa.select(manifest_digest.c.manifest_id)
    .where(manifest_digest.c.repository_id == repository.c.id)
    .where(manifest_digest.c.digest == sa.bindparam("digest"))
    .correlate(repository)
    .scalar_subquery()
)
LIST_MANIFESTS = Query(
    "list_manifests_by_digest",
    sa.select(repository.c.id, _called)
    .where(repository.c.id > ZERO)
    .where(_called.is_not(None))
    .limit(sa.bindparam("limit")),
)
LIST_TAGS_OF = Query(
    "list_some_tags",
    sa.select(tag.c.name)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.manifest_id == sa.bindparam("manifest_id"))
    .limit(sa.bindparam("limit")),
)
LIST_HOLDS = Query(
    "list_holds",
    sa.select(hold.c.source, hold.c.reason, hold.c.until)
    .where(hold.c.repository_id == sa.bindparam("repository_id"))
    .where(hold.c.digest == sa.bindparam("digest"))
    .where(sa.or_(hold.c.until == ZERO, hold.c.until > sa.bindparam("now"))),
)
FIRST_DELETE = Query(
    "find_first_delete",
    sa.select(delete_queue.c.not_before)
    .where(delete_queue.c.not_before > sa.bindparam("after"))
    .order_by(delete_queue.c.not_before)
    .limit(ONE),
)


async def find_name(tx: Tx, repository_id: int) -> str:
    """Return the repository's name, in the trash or not; empty if it is gone."""
    row = await tx.one(FIND_NAME, repository_id=repository_id)
    return row[0] if row else ""


async def name_blob(tx: Tx, blob_id: int) -> tuple[str, int]:
    """Return the blob's identity and size; nothing if it is gone."""
    row = await tx.one(NAME_BLOB, number=blob_id)
    return (Digest.from_key(row[0]), row[1]) if row else ("", 0)


async def name_manifest(tx: Tx, manifest_id: int) -> tuple[str, int]:
    """Return the manifest's identity and size; nothing if it is gone."""
    row = await tx.one(NAME_MANIFEST, number=manifest_id)
    return (Digest.from_key(row[0]), row[1]) if row else ("", 0)


async def list_links(tx: Tx, digest: Digest, limit: int) -> list[Link]:
    """Return up to `limit` links of repositories to the blob of that digest."""
    return [Link(*row) for row in await tx.many(LIST_LINKS, digest=digest.key, limit=limit)]


async def list_manifests(tx: Tx, digest: Digest, limit: int) -> list[Trashed]:
    """Return up to `limit` manifests of that digest, one of each repository."""
    rows = await tx.many(LIST_MANIFESTS, digest=digest.key, limit=limit)
    found = [await find_manifest(tx, row[0], row[1]) for row in rows]
    return [each for each in found if each is not None]


async def list_tags(tx: Tx, repository_id: int, manifest_id: int, limit: int) -> list[str]:
    """Return up to `limit` tags of the manifest."""
    rows = await tx.many(
        LIST_TAGS_OF, repository_id=repository_id, manifest_id=manifest_id, limit=limit
    )
    return [row[0] for row in rows]


async def list_holds(tx: Tx, repository_id: int, digest: Digest, now: int) -> list[Hold]:
    """Return the holds on the content by that digest that are in force."""
    rows = await tx.many(LIST_HOLDS, repository_id=repository_id, digest=digest.key, now=now)
    return [Hold(*row) for row in rows]


async def next_delete(tx: Tx) -> int:
    """Return when the next object is due to be deleted, 0 if none is queued."""
    row = await tx.one(FIRST_DELETE, after=0)
    return row[0] if row else 0
