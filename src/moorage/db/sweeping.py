"""Pages of everything there is, in the order of keys, with what should be in a queue and is not."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.db.blobs import queue_deletes
from moorage.db.engine import ONE, ZERO, Query, Tx
from moorage.db.naming import BLOB, MANIFEST, names
from moorage.db.repair_schema import damage
from moorage.db.repositories import LIVE
from moorage.db.schema import (
    blob,
    delete_queue,
    manifest,
    repository_blob,
    review_queue,
    setting,
    store_epoch,
)


class Missed(msgspec.Struct, frozen=True):
    """A row that was looked at; `is_missed` says that nothing names it and no queue has it.

    The repository is 0 for blobs, which are missed when no repository has them.
    """

    repository_id: int
    number: int
    is_missed: bool


def _some(rows: sa.Select[int]) -> sa.ColumnElement[bool]:
    """Return whether there is a row; EXISTS may be answered by reading the whole table once."""
    return rows.limit(ONE).scalar_subquery().is_not(None)


def _queued(kind: str, repository_id: Any, number: Any) -> sa.ColumnElement[bool]:
    return _some(
        sa.select(ONE)
        .select_from(review_queue)
        .where(review_queue.c.kind == sa.literal_column(f"'{kind}'"))
        .where(review_queue.c.repository_id == repository_id)
        .where(review_queue.c.subject_id == number)
    )


def _named(kind: str, table: sa.Table, number: Any) -> sa.ColumnElement[bool]:
    """Return whether something of the row's own repository names it, as collection asks too."""
    return sa.or_(*(_some(each) for each in names(kind, table.c.repository_id, number)))


_link_named = _named(BLOB, repository_blob, repository_blob.c.blob_id)
SWEEP_LINKS = Query(
    "sweep_links",
    sa.select(
        repository_blob.c.repository_id,
        repository_blob.c.blob_id,
        sa.and_(
            repository_blob.c.lease_until == ZERO,
            sa.not_(_queued(BLOB, repository_blob.c.repository_id, repository_blob.c.blob_id)),
            sa.not_(_link_named),
        ),
    )
    .where(
        sa.tuple_(repository_blob.c.repository_id, repository_blob.c.blob_id)
        > sa.tuple_(
            sa.bindparam("after_repository", type_=sa.BigInteger),
            sa.bindparam("after_number", type_=sa.BigInteger),
        )
    )
    .order_by(repository_blob.c.repository_id, repository_blob.c.blob_id)
    .limit(sa.bindparam("limit")),
)
_manifest_named = _named(MANIFEST, manifest, manifest.c.id)
SWEEP_MANIFESTS = Query(
    "sweep_manifests",
    sa.select(
        manifest.c.repository_id,
        manifest.c.id,
        sa.and_(
            manifest.c.trash_until != LIVE,
            sa.not_(_queued(MANIFEST, manifest.c.repository_id, manifest.c.id)),
            sa.not_(_manifest_named),
        ),
    )
    .where(manifest.c.id > sa.bindparam("after_number"))
    .order_by(manifest.c.id)
    .limit(sa.bindparam("limit")),
)
SWEEP_BLOBS = Query(
    "sweep_blobs",
    sa.select(
        ZERO,
        blob.c.id,
        sa.not_(
            sa.or_(
                _some(
                    sa.select(ONE)
                    .select_from(repository_blob)
                    .where(repository_blob.c.blob_id == blob.c.id)
                ),
                _queued(BLOB, ZERO, blob.c.id),
            )
        ),
    )
    .where(blob.c.id > sa.bindparam("after_number"))
    .order_by(blob.c.id)
    .limit(sa.bindparam("limit")),
)


def _between(title: str, column: sa.Column[str]) -> Query:
    return Query(
        title,
        sa.select(column)
        .where(column > sa.bindparam("after"))
        .where(column <= sa.bindparam("upto"))
        .order_by(column)
        .limit(sa.bindparam("limit")),
    )


LIST_LOCATIONS = _between("list_locations", blob.c.location)
LIST_QUEUED = _between("list_queued_locations", delete_queue.c.location)
LIST_KEPT = _between("list_kept_locations", damage.c.location)
FIND_LOCATION = Query(
    "find_location",
    sa.select(ONE).select_from(blob).where(blob.c.location == sa.bindparam("location")),
)


# When the database was made, and when it was last put back to an older state.
FIND_BEGIN = Query(
    "find_begin",
    sa.select(
        sa.select(setting.c.value)
        .where(setting.c.key == sa.literal_column("'schema.made_at'"))
        .scalar_subquery(),
        sa.select(store_epoch.c.at)
        .where(store_epoch.c.epoch >= ZERO)
        .order_by(store_epoch.c.epoch.desc())
        .limit(ONE)
        .scalar_subquery(),
    ),
)


class Look(msgspec.Struct, frozen=True):
    """One table that a sweep goes through; `kind` is of the candidates that it finds."""

    kind: str
    query: Query

    def after(self, place: tuple[int, int]) -> Mapping[str, int]:
        """Return the parameters of the page behind a repository's id and the row's own."""
        values = {"after_repository": place[0], "after_number": place[1]}
        return {name: value for name, value in values.items() if name in self.query.names}


LOOKS = (Look(BLOB, SWEEP_LINKS), Look(MANIFEST, SWEEP_MANIFESTS), Look(BLOB, SWEEP_BLOBS))


async def list_page(tx: Tx, look: Look, after: tuple[int, int], limit: int) -> list[Missed]:
    """Return the rows of the page behind that place."""
    rows = await tx.many(look.query, limit=limit, **look.after(after))
    return [Missed(row[0], row[1], bool(row[2])) for row in rows]


async def list_known(tx: Tx, after: str, upto: str, limit: int) -> set[str]:
    """Return the locations behind one up to another that have a row.

    A blob has them, they are to be deleted, or they are kept because they are damaged.
    """
    found: set[str] = set()
    for query in (LIST_LOCATIONS, LIST_QUEUED, LIST_KEPT):
        place = after
        while True:
            rows = await tx.many(query, after=place, upto=upto, limit=limit)
            found.update(row[0] for row in rows)
            if len(rows) < limit:
                break
            place = rows[-1][0]
    return found


async def find_begin(tx: Tx) -> int | None:
    """Return since when every object that came into the store has had a row here at first.

    What is older may be another database's, or that of this one before it was lost or put back.
    """
    row = await tx.one(FIND_BEGIN)
    if row is None or row[0] is None:
        return None
    return max(int(row[0]), row[1] or 0)


async def queue_orphan(tx: Tx, location: str, size: int, not_before: int) -> bool:
    """Have an object deleted that no blob has; False if one has it by now."""
    if await tx.one(FIND_LOCATION, location=location) is not None:
        return False
    await queue_deletes(tx, {location: size}, not_before, "orphan")
    return True
