"""Counts of pulls: appended by who serves, folded by a job, and read by day and by tag."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from moorage.clock import DAY
from moorage.db.engine import ONE, ZERO, Query, Tx, insert
from moorage.db.locks import lock_pulls
from moorage.db.pulls_schema import pull_day, pull_delta, pull_stat
from moorage.db.schema import tag


class Delta(msgspec.Struct, frozen=True):
    """Pulls of a manifest, by tag or, with an empty one, by digest."""

    repository_id: int
    manifest_id: int
    tag: str
    pulls: int
    last_at: int


class Day(msgspec.Struct, frozen=True):
    """The pulls of a day, which is counted since 1970."""

    day: int
    pulls: int
    last_at: int


class TagPulls(msgspec.Struct, frozen=True):
    """The pulls of a tag, and when the last one was."""

    name: str
    pulls: int
    last_at: int


ADD_DELTA = Query(
    "add_pull_delta",
    sa.insert(pull_delta).values({name: sa.bindparam(name) for name in Delta.__struct_fields__}),
)
LIST_DELTAS = Query(
    "list_pull_deltas",
    sa.select(pull_delta.c.id, *(pull_delta.c[name] for name in Delta.__struct_fields__))
    .where(pull_delta.c.id > ZERO)
    .order_by(pull_delta.c.id)
    .limit(sa.bindparam("limit")),
)
END_DELTA = Query(
    "end_pull_delta", sa.delete(pull_delta).where(pull_delta.c.id == sa.bindparam("delta_id"))
)
_stat = insert(pull_stat).values(
    repository_id=sa.bindparam("repository_id"),
    manifest_id=sa.bindparam("manifest_id"),
    tag=sa.bindparam("tag"),
    pulls=sa.bindparam("pulls"),
    last_at=sa.bindparam("last_at"),
)


def _later(old: sa.ColumnElement[int], new: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    return sa.case((old > new, old), else_=new)


ADD_STAT = Query(
    "add_pull_stat",
    _stat.on_conflict_do_update(
        index_elements=[pull_stat.c.repository_id, pull_stat.c.manifest_id, pull_stat.c.tag],
        set_={
            "pulls": pull_stat.c.pulls + _stat.excluded.pulls,
            "last_at": _later(pull_stat.c.last_at, _stat.excluded.last_at),
        },
    ),
)
_day = insert(pull_day).values(
    repository_id=sa.bindparam("repository_id"),
    day=sa.bindparam("day"),
    pulls=sa.bindparam("pulls"),
    last_at=sa.bindparam("last_at"),
)
ADD_DAY = Query(
    "add_pull_day",
    _day.on_conflict_do_update(
        index_elements=[pull_day.c.repository_id, pull_day.c.day],
        set_={
            "pulls": pull_day.c.pulls + _day.excluded.pulls,
            "last_at": _later(pull_day.c.last_at, _day.excluded.last_at),
        },
    ),
)
LIST_DAYS = Query(
    "list_pull_days",
    sa.select(pull_day.c.day, pull_day.c.pulls, pull_day.c.last_at)
    .where(pull_day.c.repository_id == sa.bindparam("repository_id"))
    .where(pull_day.c.day >= sa.bindparam("since"))
    .order_by(pull_day.c.day)
    .limit(sa.bindparam("limit")),
)
LAST_DAY = Query(
    "last_pull_day",
    sa.select(pull_day.c.last_at)
    .where(pull_day.c.repository_id == sa.bindparam("repository_id"))
    .order_by(pull_day.c.day.desc())
    .limit(ONE),
)
_is_there = (
    sa.select(ONE)
    .where(tag.c.repository_id == pull_stat.c.repository_id)
    .where(tag.c.name == pull_stat.c.tag)
    .correlate(pull_stat)
    .scalar_subquery()
)
LIST_TAG_PULLS = Query(
    "list_pulls_of_tags",
    sa.select(pull_stat.c.tag, pull_stat.c.pulls, pull_stat.c.last_at)
    .where(pull_stat.c.repository_id == sa.bindparam("repository_id"))
    .where(pull_stat.c.manifest_id == ZERO)
    .where(pull_stat.c.tag > sa.bindparam("after"))
    .where(_is_there == ONE)
    .order_by(pull_stat.c.tag)
    .limit(sa.bindparam("limit")),
)
DROP_STATS = Query(
    "drop_pulls_of_repository",
    sa.delete(pull_stat).where(pull_stat.c.repository_id == sa.bindparam("repository_id")),
)
DROP_DAYS = Query(
    "drop_pull_days_of_repository",
    sa.delete(pull_day).where(pull_day.c.repository_id == sa.bindparam("repository_id")),
)


async def add_deltas(tx: Tx, deltas: Sequence[Delta]) -> None:
    """Append what a process has counted."""
    await tx.run_many(ADD_DELTA, [msgspec.structs.asdict(each) for each in deltas])


async def fold(tx: Tx, limit: int) -> int:
    """Add up to `limit` counts to what they belong to, and return how many there were."""
    await lock_pulls(tx)
    found = await tx.many(LIST_DELTAS, limit=limit)
    for row in found:
        delta = Delta(*row[1:])
        place = {"repository_id": delta.repository_id, "last_at": delta.last_at}
        place["pulls"] = delta.pulls
        await tx.run(ADD_STAT, **place, manifest_id=delta.manifest_id, tag="")
        if delta.tag:
            await tx.run(ADD_STAT, **place, manifest_id=0, tag=delta.tag)
        await tx.run(ADD_DAY, **place, day=delta.last_at // DAY)
        await tx.run(END_DELTA, delta_id=row[0])
    return len(found)


async def list_days(tx: Tx, repository_id: int, since: int, limit: int) -> list[Day]:
    """Return up to `limit` days with pulls from `since` on, in order."""
    rows = await tx.many(LIST_DAYS, repository_id=repository_id, since=since, limit=limit)
    return [Day(*row) for row in rows]


async def find_last(tx: Tx, repository_id: int) -> int:
    """Return when the repository was last pulled from, 0 for never."""
    row = await tx.one(LAST_DAY, repository_id=repository_id)
    return row[0] if row else 0


async def list_tag_pulls(tx: Tx, repository_id: int, after: str, limit: int) -> list[TagPulls]:
    """Return up to `limit` tags behind `after` that were ever pulled, in ASCII order."""
    rows = await tx.many(LIST_TAG_PULLS, repository_id=repository_id, after=after, limit=limit)
    return [TagPulls(*row) for row in rows]


async def drop_pulls(tx: Tx, repository_id: int) -> None:
    """Forget the pulls of a repository that is no more."""
    await tx.run(DROP_STATS, repository_id=repository_id)
    await tx.run(DROP_DAYS, repository_id=repository_id)
