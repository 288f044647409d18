"""Who follows the feed gets each event once and in order, whoever fills it meanwhile."""

import asyncio
from contextlib import AsyncExitStack, aclosing

import pytest

from contract.conftest import OpenDatabase
from moorage.db import events
from moorage.db.engine import Database, Tx
from moorage.errors import TooManyRequests
from moorage.model.access import Actor, Subject
from moorage.registry import following
from moorage.registry.following import Follower
from moorage.telemetry import Telemetry

SOON = 3.0
NOBODY = Actor("anonymous", "anonymous", "none")
ALICE, BOB = (
    Actor("account", name, "session:1", subject=Subject(number))
    for number, name in enumerate(("alice", "bob"), 1)
)
HERE, THERE = "192.0.2.1", "192.0.2.2"


async def add(db: Database, *numbers: int) -> None:
    """Put events into the outbox."""

    async def write(tx: Tx) -> None:
        for number in numbers:
            await events.add_event(tx, "test", 0, b"%d" % number, 1)

    await db.write(write)


async def take(found: list[bytes], follower: Follower, after: int | None, count: int) -> int:
    """Take so many events from the place on; return the place of the last."""
    place = after or 0
    async with asyncio.timeout(SOON), aclosing(follower.follow(after, ALICE, HERE)) as following_it:
        async for event in following_it:
            if event is not None:
                found.append(event.payload)
                place = event.place
                count -= 1
            if not count:
                break
    return place


def test_each_event_comes_once_and_in_order(database: OpenDatabase) -> None:
    async def body(db: Database) -> None:
        await add(db, 0)
        follower = Follower(db, Telemetry("test", "json", access=False))
        followers: list[list[bytes]] = [[], [], []]
        taking = [asyncio.create_task(take(each, follower, None, 60)) for each in followers]
        await asyncio.sleep(0.3)
        for number in range(1, 61, 20):
            await add(db, *range(number, number + 20))
            # The job of the fan-out may come at the same time.
            await db.write(lambda tx: events.fan_out(tx, 7))
        await asyncio.gather(*taking)
        await follower.close()
        wanted = [b"%d" % number for number in range(1, 61)]
        assert followers == [wanted] * 3

    database.run(body)


def test_who_was_away_gets_what_came_meanwhile(database: OpenDatabase) -> None:
    async def body(db: Database) -> None:
        follower = Follower(db, Telemetry("test", "json", access=False))
        found: list[bytes] = []
        taking = asyncio.create_task(take(found, follower, None, 1))
        await asyncio.sleep(0.3)
        await add(db, 1)
        place = await taking
        await add(db, 2, 3)
        await take(found, follower, place, 2)
        await follower.close()
        assert found == [b"1", b"2", b"3"]

    database.run(body)


def test_who_came_before_anything_gets_all_that_came_since(database: OpenDatabase) -> None:
    """Its place is 0, which is one as any other is."""

    async def body(db: Database) -> None:
        follower = Follower(db, Telemetry("test", "json", access=False))
        await add(db, 1, 2)
        found: list[bytes] = []
        await take(found, follower, 0, 2)
        await follower.close()
        assert found == [b"1", b"2"]

    database.run(body)


def test_nobody_reads_where_nobody_looks(database: OpenDatabase) -> None:
    async def body(db: Database) -> None:
        follower = Follower(db, Telemetry("test", "json", access=False))
        await add(db, 1)
        async with aclosing(follower.follow(None, ALICE, HERE)) as one:
            assert await anext(one) is None
        await asyncio.sleep(1.2)
        await add(db, 2)
        await asyncio.sleep(1.2)
        assert await db.read(events.has_outbox)
        await follower.close()

    database.run(body)


@pytest.mark.parametrize(
    ("what", "most", "let_in", "refused"),
    [
        ("_MOST", 3, [(ALICE, HERE), (BOB, THERE), (NOBODY, HERE)], [(NOBODY, THERE)]),
        (
            "_MOST_OF_ONE",
            1,
            [(NOBODY, HERE), (NOBODY, THERE), (ALICE, HERE), (BOB, HERE)],
            [(NOBODY, HERE), (ALICE, THERE), (NOBODY, f"::ffff:{HERE}")],
        ),
        ("_MOST_OF_ONE", 1, [(NOBODY, "2001:db8::1")], [(NOBODY, "2001:db8::2")]),
        ("_MOST_OF_ONE", 1, [(NOBODY, ""), (ALICE, "")], [(NOBODY, "")]),
        ("_MOST_OF_ADDRESS", 2, [(ALICE, HERE), (BOB, HERE), (ALICE, THERE)], [(NOBODY, HERE)]),
    ],
)
def test_so_many_and_no_more(
    database: OpenDatabase,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    most: int,
    let_in: list[tuple[Actor, str]],
    refused: list[tuple[Actor, str]],
) -> None:
    monkeypatch.setattr(following, what, most)

    async def body(db: Database) -> None:
        follower = Follower(db, Telemetry("test", "json", access=False))
        async with AsyncExitStack() as looking:
            for who, address in let_in:
                one = await looking.enter_async_context(
                    aclosing(follower.follow(None, who, address))
                )
                await anext(one)
            for who, address in refused:
                with pytest.raises(TooManyRequests) as told:
                    await anext(follower.follow(None, who, address))
                assert int(told.value.headers["Retry-After"]) > 0
        for who, address in refused:
            async with aclosing(follower.follow(None, who, address)) as one:
                assert await anext(one) is None
        await follower.close()

    database.run(body)


def test_those_who_come_at_once_are_as_many_as_one_by_one(
    database: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_MOST_OF_ONE", 3)

    async def body(db: Database) -> None:
        follower = Follower(db, Telemetry("test", "json", access=False))
        streams = [follower.follow(None, NOBODY, HERE) for _ in range(10)]
        begun = await asyncio.gather(*map(anext, streams), return_exceptions=True)
        assert sum(each is None for each in begun) == 3
        assert sum(isinstance(each, TooManyRequests) for each in begun) == 7
        for each in streams:
            await each.aclose()
        await follower.close()

    database.run(body)
