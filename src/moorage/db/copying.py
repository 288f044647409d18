"""Rows from one database to another, page by page in the order of their keys.

Only a move uses this. The statements for whole tables are made from the tables and read every row
once, so they are not among those that a request may run.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.db import schema
from moorage.db.blobs import ADD_DIGEST
from moorage.db.collection import DROP_BLOB
from moorage.db.columns import metadata
from moorage.db.engine import BEYOND_IDENTITIES, Database, Query, Row, Tx, insert
from moorage.db.schema import blob, blob_digest
from moorage.oci.digest import Digest

PAGE = 500
_LONG_PAGE = 50  # manifests carry up to 4 MiB each
_BEFORE_ALL: dict[type, Any] = {int: -(2**62), str: "", bytes: b""}
# Blobs are copied with their bytes. What is queued, leased or under way belongs to the place that
# it was begun in and ends there, and what is searched is read through anew.
_LEFT = {"blob", "upload", "job", "job_schedule", "delete_queue", "replica"}
_LEFT |= {"verification_run", "verification_finding"}
_LEFT |= {"search_entry", "search_piece", "search_state"}
# Of the settings, the schema's own marks and those of the move stay where they are.
_OWN_SETTINGS = ("schema.", "move.")


class BlobRow(msgspec.Struct, frozen=True):
    """A blob as the table holds it, with its identity; `state` is live or lost."""

    id: int
    identity: Digest
    size: int
    location: str
    state: str
    created_at: int


_identity = (
    sa.select(blob_digest.c.digest)
    .where(blob_digest.c.blob_id == blob.c.id)
    .where(blob_digest.c.digest < BEYOND_IDENTITIES)
    .correlate(blob)
    .scalar_subquery()
)
_blobs = sa.select(
    blob.c.id, _identity, blob.c.size, blob.c.location, blob.c.state, blob.c.created_at
)
LIST_BLOBS = Query(
    "list_blobs",
    _blobs.where(blob.c.id > sa.bindparam("after"))
    .order_by(blob.c.id)
    .limit(sa.bindparam("limit")),
)
FIND_STATE = Query(
    "find_blob_state", sa.select(blob.c.state).where(blob.c.id == sa.bindparam("blob_id"))
)
_put = insert(blob).values(
    id=sa.bindparam("id"),
    size=sa.bindparam("size"),
    location=sa.bindparam("location"),
    state=sa.bindparam("state"),
    created_at=sa.bindparam("created_at"),
)
PUT_BLOB = Query(
    "put_blob_row",
    _put.on_conflict_do_update(
        index_elements=[blob.c.id],
        set_={"location": _put.excluded.location, "state": _put.excluded.state},
    ),
)
LAST_BLOB = Query(
    "last_blob", sa.select(blob.c.id).order_by(blob.c.id.desc()).limit(sa.literal_column("1"))
)


# Rows that came with their ids have not moved the counter that gives out new ones; on SQLite the
# highest id does that by itself.
def _go_on(table: str) -> Query:
    highest = sa.select(sa.func.max(metadata.tables[table].c.id)).scalar_subquery()
    counter = sa.func.pg_get_serial_sequence(
        sa.literal_column(f"'{table}'"), sa.literal_column("'id'")
    )
    return Query(
        f"go_on_{table}",
        sa.select(sa.func.setval(counter, sa.func.coalesce(highest, sa.literal_column("1")))),
        only="postgresql",
    )


class TableCopy(msgspec.Struct, frozen=True):
    """The statements that read a table in pages, write its rows elsewhere and empty it there."""

    name: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    first: Mapping[str, Any]
    page: int
    read: Query
    write: Query
    clear: Query
    empty: Query | None
    go_on: Query | None

    def after(self, row: Row) -> dict[str, Any]:
        """Return the parameters of the page behind the row."""
        values = dict(zip(self.columns, row, strict=True))
        return {f"after_{name}": values[name] for name in self.keys}


def table_copies() -> list[TableCopy]:
    """Return how each table that a move copies is copied, in an order that needs no other one."""
    tables = [table for table in metadata.sorted_tables if table.name not in _LEFT]
    return [_copy_of(table) for table in tables]


async def pages(db: Database, copy: TableCopy) -> AsyncIterator[list[Row]]:
    """Yield the table's rows, a page at a time."""
    place = dict(copy.first)
    while True:

        async def read(tx: Tx, place: Mapping[str, Any] = place) -> list[Row]:
            return await tx.many(copy.read, **place, page_limit=copy.page)

        found = await db.read(read, pages=True)
        kept = [row for row in found if not _is_own(copy, row)]
        if kept:
            yield kept
        if len(found) < copy.page:
            return
        place = copy.after(found[-1])


async def clear(db: Database, copy: TableCopy) -> None:
    """Remove every row of the table, but the settings that belong to the place."""

    async def remove(tx: Tx) -> None:
        if copy.empty is not None:
            await tx.run(copy.empty)
        await tx.run(copy.clear)

    await db.write(remove)


async def add(db: Database, copy: TableCopy, rows: list[Row]) -> None:
    """Write a page of rows as they were."""
    values = [dict(zip(copy.columns, row, strict=True)) for row in rows]
    await db.write(lambda tx: tx.run_many(copy.write, values))


async def go_on(db: Database, copy: TableCopy) -> None:
    """Have new rows of the table numbered behind those that were copied."""
    if copy.go_on is not None:
        await _number_on(db, copy.go_on)


async def go_on_with_blobs(db: Database) -> None:
    """Have new blobs numbered behind those that were copied."""
    await _number_on(db, _go_on(blob.name))


async def _number_on(db: Database, query: Query) -> None:
    await db.write(lambda tx: tx.one(query))


async def blob_pages(db: Database) -> AsyncIterator[list[BlobRow]]:
    """Yield the rows of all blobs, a page at a time."""
    after = 0
    while True:

        async def read(tx: Tx, after: int = after) -> list[Row]:
            return await tx.many(LIST_BLOBS, after=after, limit=PAGE)

        rows = [
            BlobRow(number, Digest.from_key(identity), *others)
            for number, identity, *others in await db.read(read, pages=True)
        ]
        if not rows:
            return
        yield rows
        after = rows[-1].id


async def last_blob(db: Database) -> int:
    """Return the highest id of a blob, 0 if there is none."""

    async def read(tx: Tx) -> int:
        row = await tx.one(LAST_BLOB)
        return row[0] if row else 0

    return await db.read(read)


async def find_blob_state(db: Database, number: int) -> str | None:
    """Return the state of the blob of that id, None if there is none."""

    async def read(tx: Tx) -> str | None:
        row = await tx.one(FIND_STATE, blob_id=number)
        return row[0] if row else None

    return await db.read(read)


async def put_blob_row(db: Database, row: BlobRow) -> None:
    """Write the blob's row, with its identity, under the id that it has."""

    async def write(tx: Tx) -> None:
        values = msgspec.structs.asdict(row)
        del values["identity"]
        await tx.run(PUT_BLOB, **values)
        await tx.run(ADD_DIGEST, digest=row.identity.key, blob_id=row.id)

    await db.write(write)


async def drop_blob_row(db: Database, number: int) -> None:
    """Remove the blob's row."""
    await db.write(lambda tx: tx.run(DROP_BLOB, blob_id=number))


def _copy_of(table: sa.Table) -> TableCopy:
    keys = tuple(table.primary_key.columns)
    beyond = sa.tuple_(*keys) > sa.tuple_(
        *(sa.bindparam(f"after_{column.name}", type_=column.type) for column in keys)
    )
    read = sa.select(*table.columns).where(beyond).order_by(*keys).limit(sa.bindparam("page_limit"))
    write = insert(table).values({c.name: sa.bindparam(c.name) for c in table.columns})
    clear_all = sa.delete(table)
    if table is schema.setting:
        for prefix in _OWN_SETTINGS:
            clear_all = clear_all.where(~table.c.key.startswith(sa.literal_column(f"'{prefix}'")))
    return TableCopy(
        name=table.name,
        columns=tuple(column.name for column in table.columns),
        keys=tuple(column.name for column in keys),
        first={f"after_{c.name}": _BEFORE_ALL[c.type.python_type] for c in keys},
        page=_LONG_PAGE if table is schema.manifest else PAGE,
        read=Query(f"copy_{table.name}", read),
        write=Query(f"paste_{table.name}", write),
        clear=Query(f"clear_{table.name}", clear_all),
        # At once, however many rows there are; SQLite does so by itself.
        empty=None
        if table is schema.setting
        else Query(
            f"empty_{table.name}", sa.text(f'TRUNCATE TABLE "{table.name}"'), only="postgresql"
        ),
        go_on=_go_on(table.name) if table.autoincrement_column is not None else None,
    )


def _is_own(copy: TableCopy, row: Row) -> bool:
    return copy.name == schema.setting.name and str(row[0]).startswith(_OWN_SETTINGS)
