"""The audit trail: the chain of its entries, what was refused, and pages for people."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from moorage.db.access import HERE
from moorage.db.access_schema import audit_head, refusal
from moorage.db.engine import ONE, ZERO, Query, Row, Tx, insert
from moorage.db.schema import audit, namespace, repository
from moorage.model.audit import Entry, Head, Refusal
from moorage.oci.names import RepositoryName

# Of a page of places, more rows than places: some place may be there several times.
_TWICE = 2

_entries = sa.select(*(audit.c[name] for name in Entry.__struct_fields__))
LIST_UNSEALED = Query(
    "list_unsealed_audit",
    _entries.where(audit.c.place == ZERO)
    .where(audit.c.id > sa.bindparam("after"))
    .order_by(audit.c.id)
    .limit(sa.bindparam("limit")),
)
SEAL = Query(
    "seal_audit",
    sa.update(audit)
    .where(audit.c.id == sa.bindparam("audit_id"))
    .values(place=sa.bindparam("new_place"), seal=sa.bindparam("new_seal")),
)
LAST_HEAD = Query(
    "last_audit_head",
    sa.select(*(audit_head.c[name] for name in Head.__struct_fields__))
    .where(audit_head.c.place > ZERO)
    .order_by(audit_head.c.place.desc())
    .limit(ONE),
)
PUT_HEAD = Query(
    "put_audit_head",
    insert(audit_head).values(
        {name: sa.bindparam(name) for name in Head.__struct_fields__},
    ),
)
END_HEADS = Query(
    "end_audit_heads", sa.delete(audit_head).where(audit_head.c.place < sa.bindparam("last_place"))
)
LIST_PLACES = Query(
    "list_audit_places",
    _entries.where(audit.c.place > sa.bindparam("after"))
    .where(audit.c.place <= sa.bindparam("last"))
    .order_by(audit.c.place)
    .limit(sa.bindparam("limit")),
)
NEXT_PLACE = Query(
    "next_audit_place",
    _entries.where(audit.c.place > sa.bindparam("after")).order_by(audit.c.place).limit(ONE),
)
_last = (
    sa.select(audit_head.c.place)
    .where(audit_head.c.place > ZERO)
    .order_by(audit_head.c.place.desc())
    .limit(ONE)
    .scalar_subquery()
)
# In one statement, since the job may put a new head between two.
FIND_BEYOND = Query(
    "find_audit_beyond_head",
    _entries.where(audit.c.place > sa.func.coalesce(_last, ZERO))
    .order_by(audit.c.place)
    .limit(ONE),
)
FIND_BELOW = Query(
    "find_audit_below_chain",
    _entries.where(audit.c.place < ZERO).order_by(audit.c.place).limit(ONE),
)


def _newest(title: str, *bounds: sa.ColumnElement[bool]) -> Query:
    return Query(
        title,
        _entries.where(*bounds)
        .where(audit.c.id < sa.bindparam("before"))
        .order_by(audit.c.id.desc())
        .limit(sa.bindparam("limit")),
    )


LIST_NEWEST = _newest("list_audit")
LIST_NEWEST_OF = {
    "namespace_id": _newest(
        "list_audit_of_namespace", audit.c.namespace_id == sa.bindparam("namespace_id")
    ),
    "repository_id": _newest(
        "list_audit_of_repository", audit.c.repository_id == sa.bindparam("repository_id")
    ),
    "actor": _newest("list_audit_of_actor", audit.c.actor == sa.bindparam("actor")),
}
FIND_IDS = Query("find_ids_of_name", sa.select(namespace.c.id, repository.c.id).select_from(HERE))
_add = insert(refusal).values(
    {name: sa.bindparam(name) for name in Refusal.__struct_fields__},
)
ADD_REFUSAL = Query(
    "add_refusal",
    _add.on_conflict_do_update(
        index_elements=list(refusal.primary_key.columns),
        set_={
            "times": refusal.c.times + _add.excluded.times,
            "reason": _add.excluded.reason,
            "credential": _add.excluded.credential,
            "request_id": _add.excluded.request_id,
        },
    ),
)
LIST_REFUSALS = Query(
    "list_refusals",
    sa.select(*refusal.primary_key.columns)
    .where(refusal.c.minute < sa.bindparam("before"))
    .order_by(*refusal.primary_key.columns)
    .limit(sa.bindparam("limit")),
)
TAKE_REFUSAL = Query(
    "take_refusal",
    sa.delete(refusal)
    .where(*(column == sa.bindparam(f"the_{column.name}") for column in refusal.primary_key))
    .returning(*(refusal.c[name] for name in Refusal.__struct_fields__)),
)


async def list_unsealed(tx: Tx, after: int, limit: int) -> list[Entry]:
    """Return up to `limit` entries that have no place yet, behind the id `after`."""
    return _entries_of(await tx.many(LIST_UNSEALED, after=after, limit=limit))


async def put_seals(tx: Tx, sealed: Sequence[Entry], head: Head) -> None:
    """Give entries their places and seals, and the chain its new head, in place of the last."""
    await tx.run_many(
        SEAL,
        [
            {"audit_id": entry.id, "new_place": entry.place, "new_seal": entry.seal}
            for entry in sealed
        ],
    )
    await tx.run(PUT_HEAD, **_values(head))
    await tx.run(END_HEADS, last_place=head.place)


async def find_head(tx: Tx) -> Head | None:
    """Return the head of the chain."""
    row = await tx.one(LAST_HEAD)
    return Head(*row) if row else None


async def list_places(tx: Tx, after: int, last: int) -> list[Entry]:
    """Return the entries behind one place up to another one, in order.

    A place that several rows claim is there several times, at least twice.
    """
    limit = (last - after) * _TWICE
    return _entries_of(await tx.many(LIST_PLACES, after=after, last=last, limit=limit))


async def find_next(tx: Tx, after: int) -> Entry | None:
    """Return the first entry behind a place, whatever is missing in between."""
    return _entry_of(await tx.one(NEXT_PLACE, after=after))


async def find_stray(tx: Tx) -> Entry | None:
    """Return an entry with a place that the chain does not reach, if there is one."""
    return _entry_of(await tx.one(FIND_BEYOND) or await tx.one(FIND_BELOW))


async def list_newest(tx: Tx, by: Mapping[str, Any], before: int, limit: int) -> list[Entry]:
    """Return up to `limit` entries below the id `before`, newest first.

    `by` is empty, or has one of the columns that they can be found by with its value.
    """
    query = next((LIST_NEWEST_OF[name] for name in by), LIST_NEWEST)
    return _entries_of(await tx.many(query, **by, before=before, limit=limit))


async def find_ids(tx: Tx, namespace: str, name: str) -> tuple[int, int]:
    """Return the ids of a namespace and of a live repository, 0 for what is not there."""
    row = await tx.one(FIND_IDS, namespace=namespace, name=name)
    return (row[0] or 0, row[1] or 0) if row else (0, 0)


async def add_refusals(tx: Tx, refusals: Sequence[Refusal]) -> None:
    """Add to what was refused; in the order of their keys, so that no two writers deadlock."""
    await tx.run_many(ADD_REFUSAL, [_values(each) for each in refusals])


async def take_refusals(tx: Tx, before: int, limit: int) -> list[Refusal]:
    """Remove up to `limit` refusals of minutes before `before` and return them.

    What another transaction adds to one meanwhile is in it, or makes a new one.
    """
    keys = await tx.many(LIST_REFUSALS, before=before, limit=limit)
    names = [f"the_{column.name}" for column in refusal.primary_key]
    taken = []
    for key in keys:
        row = await tx.one(TAKE_REFUSAL, **dict(zip(names, key, strict=True)))
        if row is not None:
            taken.append(Refusal(*row))
    return taken


def ids_of(name: str) -> dict[str, str]:
    """Return the parameters of `find_ids` for the text of a repository's name."""
    return {"namespace": RepositoryName(name).namespace if name else "", "name": name}


def _entry_of(row: Row | None) -> Entry | None:
    return Entry(*row) if row else None


def _entries_of(rows: Sequence[Row]) -> list[Entry]:
    return [Entry(*row) for row in rows]


def _values(of: Head | Refusal) -> dict[str, Any]:
    return {name: getattr(of, name) for name in of.__struct_fields__}
