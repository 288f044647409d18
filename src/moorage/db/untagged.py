"""Manifests that no tag names: pages of them, in the order of their digests.

There is no index for it, which every push would pay for: whoever asks goes through the manifests of
a repository in windows, and leaves those out that are kept in sight by something else.
"""

import msgspec
import sqlalchemy as sa

from moorage.db.engine import BEYOND_IDENTITIES, ONE, ZERO, Query, Tx
from moorage.db.repositories import LIVE
from moorage.db.schema import manifest, manifest_reference, tag
from moorage.oci.digest import Digest

_MANIFEST: sa.ColumnClause[str] = sa.literal_column("'manifest'")


class Seen(msgspec.Struct, frozen=True):
    """A live manifest; `is_named` says that a tag, an index or a subject leads to it."""

    id: int
    identity: Digest
    media_type: str
    artifact_type: str
    size: int
    created_at: int
    is_named: bool


_tagged = (
    sa.select(ONE)
    .where(tag.c.repository_id == manifest.c.repository_id)
    .where(tag.c.manifest_id == manifest.c.id)
    .correlate(manifest)
    .limit(ONE)
    .scalar_subquery()
)
_index = manifest.alias("an_index")
# An index that was deleted lists nothing any more: each is looked at by its id.
_is_live = (
    sa.select(ONE)
    .where(_index.c.id == manifest_reference.c.manifest_id)
    .where(_index.c.trash_until == LIVE)
    .correlate(manifest_reference)
    .scalar_subquery()
)
_listed = (
    sa.select(ONE)
    .where(manifest_reference.c.repository_id == manifest.c.repository_id)
    .where(manifest_reference.c.child_id == manifest.c.id)
    .where(manifest_reference.c.child_id != ZERO)
    .where(manifest_reference.c.kind == _MANIFEST)
    .where(manifest_reference.c.role == _MANIFEST)
    .where(_is_live == ONE)
    .correlate(manifest)
    .limit(ONE)
    .scalar_subquery()
)
_subject = manifest.alias("its_subject")
_attached = (
    sa.select(ONE)
    .where(_subject.c.repository_id == manifest.c.repository_id)
    .where(_subject.c.identity == manifest.c.subject)
    .where(_subject.c.trash_until == LIVE)
    .correlate(manifest)
    .limit(ONE)
    .scalar_subquery()
)
LIST_WINDOW = Query(
    "list_manifests_with_what_names_them",
    sa.select(
        manifest.c.id,
        manifest.c.identity,
        manifest.c.media_type,
        manifest.c.artifact_type,
        manifest.c.size,
        manifest.c.created_at,
        manifest.c.trash_until,
        _tagged,
        _listed,
        _attached,
    )
    .where(manifest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest.c.identity > sa.bindparam("after"))
    .where(manifest.c.identity < BEYOND_IDENTITIES)
    .order_by(manifest.c.identity)
    .limit(sa.bindparam("limit")),
)


async def list_window(
    tx: Tx, repository_id: int, after: bytes, limit: int
) -> tuple[list[Seen], bytes]:
    """Return the live ones of up to `limit` manifests behind a key, and the key of the last.

    The key is empty where there are no more.
    """
    rows = await tx.many(LIST_WINDOW, repository_id=repository_id, after=after, limit=limit)
    seen = [
        Seen(
            row[0],
            Digest.from_key(row[1]),
            row[2],
            row[3],
            row[4],
            row[5],
            is_named=any(each is not None for each in row[7:]),
        )
        for row in rows
        if row[6] == 0
    ]
    return seen, bytes(rows[-1][1]) if len(rows) == limit else b""
