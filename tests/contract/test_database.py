"""What every `Database` promises."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase
from moorage.db.engine import Conflict, Database, Query, Tx
from moorage.db.schema import namespace, setting

PUT = Query(
    "test_put",
    sa.insert(setting).values(key=sa.bindparam("key"), value=sa.bindparam("value")),
)
GET = Query("test_get", sa.select(setting.c.value).where(setting.c.key == sa.bindparam("key")))
CHANGE = Query(
    "test_change",
    sa.update(setting)
    .where(setting.c.key == sa.bindparam("name"))
    .values(value=sa.bindparam("new")),
)


async def put(db: Database, key: str, value: str = "x") -> None:
    """Write one row."""

    async def body(tx: Tx) -> None:
        await tx.run(PUT, key=key, value=value)

    await db.write(body)


async def get(db: Database, key: str, *, pages: bool = False) -> str | None:
    """Read one row."""

    async def body(tx: Tx) -> str | None:
        row = await tx.one(GET, key=key)
        return row[0] if row else None

    return await db.read(body, pages=pages)


def test_what_is_written_is_read(database: OpenDatabase) -> None:
    """A write is seen by every read behind it, and after the database was closed."""

    async def use(db: Database) -> None:
        await put(db, "a", "1")
        assert await get(db, "a") == "1"
        assert await get(db, "a", pages=True) == "1"
        assert await get(db, "b") is None

    database.run(use)

    async def again(db: Database) -> None:
        assert await get(db, "a") == "1"

    database.run(again)


class Commits:
    """Takes note of how many requests each commit carried."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def committed(self, requests: int, seconds: float) -> None:
        assert seconds >= 0
        self.sizes.append(requests)


async def put_fifty(db: Database, prefix: str) -> None:
    """Write 50 rows at once, of which number 17 raises; check what became of each."""
    begun, may_end = threading.Event(), threading.Event()

    async def hold(tx: Tx) -> None:
        begun.set()
        may_end.wait(10)

    async def write(tx: Tx, number: int) -> int:
        await tx.run(PUT, key=f"{prefix}{number}", value="x")
        if number == 17:
            raise ValueError("number 17")
        return number

    first = asyncio.ensure_future(db.write(hold))
    await asyncio.to_thread(begun.wait, 10)
    waiting = [
        asyncio.ensure_future(db.write(lambda tx, number=number: write(tx, number)))
        for number in range(50)
    ]
    await asyncio.sleep(0)  # now all of them are queued behind the one that holds the writer
    may_end.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    await first
    assert [number for number, value in enumerate(results) if value != number] == [17]
    assert isinstance(results[17], ValueError)
    found = [number for number in range(50) if await get(db, f"{prefix}{number}") is not None]
    assert found == [number for number in range(50) if number != 17]


def test_one_of_fifty_raises(embedded: OpenDatabase) -> None:
    """Of a batch of 50 in one commit, 49 are there, and only the one that raised is told.

    A batch ends after 5 ms, so a busy machine may need another try to get all 50 into one.
    """
    commits = Commits()

    async def body() -> None:
        db = embedded.make(commits)
        await db.open()
        for attempt in range(20):
            await put_fifty(db, f"{attempt}-")
            if max(commits.sizes) >= 50:
                break
        await db.close()

    asyncio.run(body())
    assert max(commits.sizes) >= 50, commits.sizes  # perhaps with the one that held the writer


def test_a_conflict_is_its_callers_alone(database: OpenDatabase) -> None:
    """A broken uniqueness rule undoes one request, not its neighbours."""

    async def use(db: Database) -> None:
        await put(db, "taken")
        results = await asyncio.gather(
            put(db, "one"), put(db, "taken"), put(db, "two"), return_exceptions=True
        )
        assert [type(result) for result in results] == [type(None), Conflict, type(None)]
        assert await get(db, "one") == await get(db, "two") == "x"

    database.run(use)


def test_a_body_is_all_or_nothing(database: OpenDatabase) -> None:
    """What a body wrote before it raised is undone."""

    async def use(db: Database) -> None:
        async def body(tx: Tx) -> None:
            await tx.run(PUT, key="half", value="x")
            raise RuntimeError("stopped")

        with pytest.raises(RuntimeError, match="stopped"):
            await db.write(body)
        assert await get(db, "half") is None

    database.run(use)


class Waiting:
    """Something that is not there yet."""

    def __await__(self) -> Iterator[None]:
        yield None


def test_a_body_may_await_nothing_else(database: OpenDatabase) -> None:
    """A body that waits for something would hold everybody up; it is refused."""

    async def use(db: Database) -> None:
        async def body(tx: Tx) -> None:
            await tx.run(PUT, key="slow", value="x")
            await Waiting()

        with pytest.raises(RuntimeError, match="nothing but its transaction"):
            await db.write(body)
        assert await get(db, "slow") is None

    database.run(use)


def test_rows_that_changed_are_counted(database: OpenDatabase) -> None:
    """`run` tells how many rows a statement changed, so that a condition can be part of it."""

    async def use(db: Database) -> None:
        await put(db, "a")

        async def body(tx: Tx) -> list[int]:
            return [await tx.run(CHANGE, name=name, new="y") for name in ("a", "b")]

        assert await db.write(body) == [1, 0]

    database.run(use)


def test_names_of_parameters_are_checked(database: OpenDatabase) -> None:
    """A forgotten or misspelt parameter is an error, never a NULL."""

    async def use(db: Database) -> None:
        async def forgotten(tx: Tx) -> None:
            await tx.run(PUT, key="a")

        async def misspelt(tx: Tx) -> None:
            await tx.run(PUT, key="a", value="x", valeu="y")

        for body in (forgotten, misspelt):
            with pytest.raises(TypeError, match="test_put"):
                await db.write(body)

    database.run(use)


def test_a_list_parameter_is_refused(database: OpenDatabase) -> None:
    """`IN` over a list has a text that depends on its values; raw execution can't carry it."""
    statement = sa.select(namespace.c.id).where(namespace.c.name.in_(sa.bindparam("names")))
    query = Query("test_list", statement)

    async def use(db: Database) -> None:
        async def body(tx: Tx) -> None:
            await tx.many(query, names=["a"])

        for run in (db.read, db.write):
            with pytest.raises(ValueError, match="list parameter"):
                await run(body)

    database.run(use)
