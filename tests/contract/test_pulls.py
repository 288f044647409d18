"""Pulls are counted once each, whatever writes and folds them at the same time."""

import asyncio
from typing import Any

import sqlalchemy as sa

from contract.conftest import OpenDatabase, Registries
from moorage.clock import DAY
from moorage.db import pulls, repositories, tags
from moorage.db.engine import Database, Query
from moorage.db.pulls_schema import pull_delta, pull_stat
from moorage.db.tags import Condition, Guard
from moorage.errors import StoreUnavailable
from moorage.model.artifacts import TagChange
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName, Tag
from moorage.registry.services import Services

NAME = RepositoryName.parse("web/shop")
BY = TagChange("alice", "password", "request")
DELTAS = Query("test_deltas", sa.select(pull_delta.c.pulls))
STATS = Query("test_stats", sa.select(pull_stat.c.manifest_id, pull_stat.c.tag, pull_stat.c.pulls))


async def tagged(db: Database, *names: str) -> int:
    """Make a repository with these tags, and return its id."""

    async def make(tx: Any) -> int:
        place, _ = await repositories.put_repository(tx, NAME, "private", 1)
        for name in names:
            await tags.put_tag(
                tx,
                place.id,
                Tag(name),
                7,
                digest_of(b""),
                condition=Condition(),
                guard=Guard(place.namespace_id, 0),
                change=BY,
                now=1,
            )
        return place.id

    return await db.write(make)


def test_what_is_counted_adds_up(registries: Registries) -> None:
    async def use(one: Services, other: Services) -> None:
        number = await tagged(one.db, "latest", "old")
        for s in (one, other):
            for _ in range(3):
                s.pulls.count(number, 7, "latest")
            s.pulls.count(number, 7, "")
            s.pulls.count(number, 8, "gone")
        await asyncio.gather(one.pulls.flush(one.db), other.pulls.flush(other.db))
        await one.pulls.flush(one.db)  # nothing is written twice
        folded = await asyncio.gather(
            *(s.db.write(lambda tx: pulls.fold(tx, 50)) for s in (one, other, one))
        )
        assert sum(folded) == 6
        now = one.clock.now()
        days = await one.db.read(lambda tx: pulls.list_days(tx, number, 0, 100))
        assert [(each.day, each.pulls) for each in days] == [(now // DAY, 10)]
        assert now - 60_000 < await one.db.read(lambda tx: pulls.find_last(tx, number)) <= now
        by_tag = await one.db.read(lambda tx: pulls.list_tag_pulls(tx, number, "", 10))
        # Of tags that are there, which were pulled.
        assert [(each.name, each.pulls) for each in by_tag] == [("latest", 6)]
        stats = await one.db.read(lambda tx: tx.many(STATS))
        assert sorted(stats) == [(0, "gone", 2), (0, "latest", 6), (7, "", 8), (8, "", 2)]
        assert await one.db.read(lambda tx: tx.many(DELTAS)) == []

    registries.run(use, 2)


def test_a_late_count_is_of_its_own_day(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        late = [pulls.Delta(1, 7, "a", 2, 5 * DAY + 1), pulls.Delta(1, 7, "a", 3, 4 * DAY + 1)]
        await db.write(lambda tx: pulls.add_deltas(tx, late))
        assert await db.write(lambda tx: pulls.fold(tx, 1)) == 1
        assert await db.write(lambda tx: pulls.fold(tx, 5)) == 1
        days = await db.read(lambda tx: pulls.list_days(tx, 1, 0, 100))
        assert [(each.day, each.pulls) for each in days] == [(4, 3), (5, 2)]
        assert await db.read(lambda tx: pulls.find_last(tx, 1)) == 5 * DAY + 1
        assert await db.read(lambda tx: pulls.list_days(tx, 1, 5, 100)) == days[1:]
        await db.write(lambda tx: pulls.drop_pulls(tx, 1))
        assert await db.read(lambda tx: pulls.list_days(tx, 1, 0, 100)) == []

    database.run(use)


def test_what_can_t_be_written_is_kept(registries: Registries) -> None:
    async def use(s: Services) -> None:
        class Away:
            """A database that is away after its first transaction."""

            left = 1

            async def write(self, body: Any) -> Any:
                if not self.left:
                    raise StoreUnavailable
                self.left -= 1
                return await s.db.write(body)

        for number in range(150):
            s.pulls.count(1, number, "")
        away: Any = Away()
        await s.pulls.flush(away)
        s.pulls.count(1, 149, "")
        await s.pulls.flush(s.db)
        rows = await s.db.read(lambda tx: tx.many(DELTAS))
        assert len(rows) == 150
        assert sum(row[0] for row in rows) == 151

    registries.run(use)
