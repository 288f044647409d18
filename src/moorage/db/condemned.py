"""The end of a repository whose time in the trash is over, a part at a time."""

import msgspec
import sqlalchemy as sa

from moorage.db.about import DROP_ABOUT
from moorage.db.access_schema import grant, tag_rule
from moorage.db.collection import Trashed
from moorage.db.engine import ONE, ZERO, Query, Tx
from moorage.db.pulls import drop_pulls
from moorage.db.removals import END_READERS
from moorage.db.schema import (
    hold,
    manifest,
    repository,
    repository_alias,
    repository_blob,
    tag,
    tag_change,
    upload,
)


class Condemned(msgspec.Struct, frozen=True):
    """A repository in the trash; `is_needed` says that a hold or an upload names it."""

    id: int
    namespace_id: int
    trash_until: int
    is_needed: bool


TAKE_REPOSITORY = Query(
    "take_repository_by_id",
    sa.select(repository.c.id, repository.c.namespace_id, repository.c.trash_until)
    .where(repository.c.id == sa.bindparam("repository_id"))
    .with_for_update(),
)
IS_NEEDED = Query(
    "is_repository_needed",
    sa.select(
        sa.exists(
            sa.select(ONE)
            .select_from(hold)
            .where(hold.c.repository_id == sa.bindparam("repository_id"))
            .where(sa.or_(hold.c.until == ZERO, hold.c.until > sa.bindparam("now")))
        ),
        sa.exists(
            sa.select(ONE)
            .select_from(upload)
            .where(upload.c.repository_id == sa.bindparam("repository_id"))
            .where(upload.c.repository_id != ZERO)
        ),
    ),
)
SET_TRASH = Query(
    "set_trash_of_repository",
    sa.update(repository)
    .where(repository.c.id == sa.bindparam("number"))
    .values(trash_until=sa.bindparam("until")),
)
LIST_MANIFESTS = Query(
    "list_manifests_of_repository",
    sa.select(manifest.c.id, manifest.c.repository_id, manifest.c.size, manifest.c.trash_until)
    .where(manifest.c.repository_id == sa.bindparam("repository_id"))
    .limit(sa.bindparam("limit")),
)
LIST_LINKS = Query(
    "list_links_of_repository",
    sa.select(repository_blob.c.blob_id)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_id"))
    .order_by(repository_blob.c.blob_id)
    .limit(sa.bindparam("limit")),
)
DROP_TAGS = Query(
    "drop_tags_of_manifest",
    sa.delete(tag)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.manifest_id == sa.bindparam("manifest_id")),
)
LIST_CHANGES = Query(
    "list_changes_of_repository",
    sa.select(tag_change.c.name, tag_change.c.version)
    .where(tag_change.c.repository_id == sa.bindparam("repository_id"))
    .limit(sa.bindparam("limit")),
)
DROP_CHANGE = Query(
    "drop_change",
    sa.delete(tag_change)
    .where(tag_change.c.repository_id == sa.bindparam("repository_id"))
    .where(tag_change.c.name == sa.bindparam("name"))
    .where(tag_change.c.version == sa.bindparam("version")),
)
_ID: sa.BindParameter[int] = sa.bindparam("repository_id")
DROP_ALIASES = Query(
    "drop_aliases", sa.delete(repository_alias).where(repository_alias.c.repository_id == _ID)
)
DROP_GRANTS = Query(
    "drop_grants_of_repository",
    sa.delete(grant)
    .where(grant.c.namespace_id == sa.bindparam("namespace_id"))
    .where(grant.c.repository_id == _ID),
)
DROP_RULES = Query(
    "drop_rules_of_repository",
    sa.delete(tag_rule)
    .where(tag_rule.c.namespace_id == sa.bindparam("namespace_id"))
    .where(tag_rule.c.repository_id == _ID),
)
DROP_REPOSITORY = Query("drop_repository", sa.delete(repository).where(repository.c.id == _ID))


async def take_repository(tx: Tx, repository_id: int, now: int) -> Condemned | None:
    """Return a repository whose time in the trash is over, None if there is none such any more.

    It stays as it is until the transaction ends.
    """
    row = await tx.one(TAKE_REPOSITORY, repository_id=repository_id)
    if row is None or not row[2] or row[2] > now:
        return None
    needed = await tx.one(IS_NEEDED, repository_id=repository_id, now=now)
    return Condemned(row[0], row[1], row[2], needed is None or any(needed))


async def set_trash(tx: Tx, repository_id: int, until: int) -> None:
    """Set the end of the repository's time in the trash; no two of one name may have one end."""
    await tx.run(SET_TRASH, number=repository_id, until=until)


async def list_manifests(tx: Tx, repository_id: int, limit: int) -> list[Trashed]:
    """Return some of the repository's manifests, live or not."""
    rows = await tx.many(LIST_MANIFESTS, repository_id=repository_id, limit=limit)
    return [Trashed(*row) for row in rows]


async def drop_tags(tx: Tx, repository_id: int, manifest_id: int) -> None:
    """Remove the tags that name the manifest; their history goes with the repository."""
    await tx.run(DROP_TAGS, repository_id=repository_id, manifest_id=manifest_id)


async def list_links(tx: Tx, repository_id: int, limit: int) -> list[int]:
    """Return some of the repository's blobs, in the order of their ids."""
    rows = await tx.many(LIST_LINKS, repository_id=repository_id, limit=limit)
    return [row[0] for row in rows]


async def drop_changes(tx: Tx, repository_id: int, limit: int) -> int:
    """Remove a part of the history of the repository's tags; return of how many changes."""
    rows = await tx.many(LIST_CHANGES, repository_id=repository_id, limit=limit)
    keys = [{"repository_id": repository_id, "name": row[0], "version": row[1]} for row in rows]
    if keys:
        await tx.run_many(DROP_CHANGE, keys)
    return len(keys)


async def drop_repository(tx: Tx, repository_id: int, namespace_id: int) -> None:
    """Remove the repository, of which nothing is left, and all that names it."""
    await tx.run(DROP_ALIASES, repository_id=repository_id)
    await tx.run(END_READERS, number=repository_id)
    await tx.run(DROP_ABOUT, repository_id=repository_id)
    await drop_pulls(tx, repository_id)
    for query in (DROP_GRANTS, DROP_RULES):
        await tx.run(query, namespace_id=namespace_id, repository_id=repository_id)
    await tx.run(DROP_REPOSITORY, repository_id=repository_id)
