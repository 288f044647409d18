"""What runs of collection did, why it pauses, and how much there is: bounded looks only."""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from moorage.db.collection import Freed
from moorage.db.engine import NO_TEXT, ONE, ZERO, Query, Tx, add_row
from moorage.db.repositories import LIVE
from moorage.db.schema import collection_run, hold, manifest, repository_blob
from moorage.db.settings import GET_SETTING, PUT_SETTING

PAUSE, _ALLOWED, _SEEN = "collection.pause", "collection.allowed", "collection.seen"
_RUNNING: sa.ColumnClause[str] = sa.literal_column("'running'")


class Run(msgspec.Struct, frozen=True):
    """A run: `review` removes rows, `delete` objects, and a `sweep` finds what no queue had."""

    id: int
    kind: str
    state: str
    reason: str
    started_at: int
    ended_at: int
    looked: int
    kept: int
    repositories: int
    manifests: int
    links: int
    blobs: int
    objects: int
    bytes: int
    missed: int
    orphans: int


class Counts(msgspec.Struct, frozen=True):
    """What a part of a run adds to its row."""

    looked: int = 0
    kept: int = 0
    freed: Freed = Freed()
    objects: int = 0
    bytes: int = 0
    missed: int = 0
    orphans: int = 0


class Pause(msgspec.Struct, frozen=True):
    """Why nothing is removed, since when, and until when; 0 is until somebody says so."""

    reason: str
    since: int
    until: int


_COLUMNS = tuple(collection_run.c[name] for name in Run.__struct_fields__)
_COUNTED = Run.__struct_fields__[6:]

ADD_RUN = Query(
    "add_collection_run",
    sa.insert(collection_run)
    .values(
        kind=sa.bindparam("kind"),
        state=_RUNNING,
        reason=NO_TEXT,
        started_at=sa.bindparam("now"),
        ended_at=LIVE,
        **dict.fromkeys(_COUNTED, ZERO),
    )
    .returning(collection_run.c.id),
)
COUNT_RUN = Query(
    "count_collection_run",
    sa.update(collection_run)
    .where(collection_run.c.id == sa.bindparam("run_id"))
    .values(
        {
            collection_run.c[name]: collection_run.c[name] + sa.bindparam(f"more_{name}")
            for name in _COUNTED
        }
    ),
)
END_RUN = Query(
    "end_collection_run",
    sa.update(collection_run)
    .where(collection_run.c.id == sa.bindparam("run_id"))
    .where(collection_run.c.state == _RUNNING)
    .values(
        state=sa.bindparam("new_state"),
        reason=sa.bindparam("new_reason"),
        ended_at=sa.bindparam("now"),
    ),
)
# Of this kind, since only one of a kind runs at a time: its process has ended.
BREAK_RUNS = Query(
    "break_collection_runs",
    sa.update(collection_run)
    .where(collection_run.c.state == _RUNNING)
    .where(collection_run.c.kind == sa.bindparam("old_kind"))
    .values(state=sa.literal_column("'broken off'"), ended_at=sa.bindparam("now")),
)
LIST_RUNS = Query(
    "list_collection_runs",
    sa.select(*_COLUMNS)
    .where(collection_run.c.id < sa.bindparam("before"))
    .order_by(collection_run.c.id.desc())
    .limit(sa.bindparam("limit")),
)
FORGET_RUNS = Query(
    "forget_collection_runs",
    sa.delete(collection_run).where(collection_run.c.started_at < sa.bindparam("before")),
)
FIND_STORE_HOLD = Query(
    "find_store_hold",
    sa.select(hold.c.source, hold.c.reason, hold.c.until)
    .where(hold.c.repository_id == ZERO)
    .where(hold.c.digest == sa.bindparam("everything"))
    .where(sa.or_(hold.c.until == ZERO, hold.c.until > sa.bindparam("now")))
    .limit(ONE),
)


def _counted(title: str, table: sa.Table) -> Query:
    """Return what counts rows of a table, as far as the limit and no further."""
    some = sa.select(ONE).select_from(table).limit(sa.bindparam("most")).subquery()
    return Query(title, sa.select(sa.func.count()).select_from(some))


COUNT_LINKS = _counted("count_some_links", repository_blob)
COUNT_MANIFESTS = _counted("count_some_manifests", manifest)


def _counted_of(title: str, table: sa.Table) -> Query:
    some = (
        sa.select(ONE)
        .select_from(table)
        .where(table.c.repository_id == sa.bindparam("repository_id"))
        .limit(sa.bindparam("most"))
        .subquery()
    )
    return Query(title, sa.select(sa.func.count()).select_from(some))


COUNT_LINKS_OF = _counted_of("count_links_of_repository", repository_blob)
COUNT_MANIFESTS_OF = _counted_of("count_manifests_of_repository", manifest)


async def add_run(tx: Tx, kind: str, now: int) -> int:
    """Begin a run and return its id; one of its kind that still seems to run was broken off."""
    await tx.run(BREAK_RUNS, old_kind=kind, now=now)
    return await add_row(tx, ADD_RUN, kind=kind, now=now)


async def count_run(tx: Tx, run_id: int, more: Counts) -> None:
    """Add to what the run did, in the transaction that does it."""
    freed = more.freed
    await tx.run(
        COUNT_RUN,
        run_id=run_id,
        more_looked=more.looked,
        more_kept=more.kept,
        more_repositories=freed.repositories,
        more_manifests=freed.manifests,
        more_links=freed.links,
        more_blobs=freed.blobs,
        more_objects=more.objects,
        more_bytes=freed.bytes + more.bytes,
        more_missed=more.missed,
        more_orphans=more.orphans,
    )


async def end_run(tx: Tx, run_id: int, state: str, reason: str, now: int) -> None:
    """End the run as `done` or, with a reason, as `stopped`."""
    await tx.run(END_RUN, run_id=run_id, new_state=state, new_reason=reason, now=now)


async def list_runs(tx: Tx, before: int, limit: int) -> list[Run]:
    """Return up to `limit` runs with an id below `before`, newest first."""
    return [Run(*row) for row in await tx.many(LIST_RUNS, before=before, limit=limit)]


async def forget_runs(tx: Tx, before: int) -> int:
    """Forget the runs that began before that time."""
    return await tx.run(FORGET_RUNS, before=before)


async def is_store_held(tx: Tx, now: int) -> bool:
    """Tell whether every object is to stay where it is: a backup may be copying it."""
    return await tx.one(FIND_STORE_HOLD, everything=b"", now=now) is not None


async def count_links(tx: Tx, most: int) -> int:
    """Return how many links there are, `most` if there are more."""
    row = await tx.one(COUNT_LINKS, most=most)
    return row[0] if row else 0


async def count_manifests(tx: Tx, most: int) -> int:
    """Return how many manifests there are, `most` if there are more."""
    row = await tx.one(COUNT_MANIFESTS, most=most)
    return row[0] if row else 0


async def count_content(tx: Tx, repository_id: int, most: int) -> tuple[int, int]:
    """Return how many blobs and manifests the repository has, `most` if there are more."""
    values = {"repository_id": repository_id, "most": most}
    links = await tx.one(COUNT_LINKS_OF, **values)
    manifests = await tx.one(COUNT_MANIFESTS_OF, **values)
    return links[0] if links else 0, manifests[0] if manifests else 0


async def find_pause(tx: Tx, now: int) -> Pause | None:
    """Return why nothing may be removed at this time, None if it may."""
    pause = await find_last_pause(tx)
    return None if pause is None or (pause.until and pause.until <= now) else pause


async def find_last_pause(tx: Tx) -> Pause | None:
    """Return the last pause, over or not; None if somebody has ended it, or there was none."""
    row = await tx.one(GET_SETTING, key=PAUSE)
    return msgspec.json.decode(row[0], type=Pause) if row is not None and row[0] else None


async def put_pause(tx: Tx, pause: Pause | None) -> None:
    """Have nothing removed from now on, or go on."""
    text = msgspec.json.encode(pause).decode() if pause is not None else ""
    await tx.run(PUT_SETTING, key=PAUSE, value=text)


async def put_times(tx: Tx, times: Mapping[str, int]) -> None:
    """Note until when any share may be removed (`allowed`), or when a run looked (`seen`)."""
    for name, at in times.items():
        await tx.run(PUT_SETTING, key=f"collection.{name}", value=str(at))


async def find_allowed(tx: Tx) -> int:
    """Return until when a run may remove any share of what there is."""
    return await _time(tx, _ALLOWED)


async def find_seen(tx: Tx) -> int:
    """Return the time at which a run last looked, by the clock as it was then."""
    return await _time(tx, _SEEN)


async def _time(tx: Tx, key: str) -> int:
    row = await tx.one(GET_SETTING, key=key)
    return int(row[0]) if row is not None else 0
