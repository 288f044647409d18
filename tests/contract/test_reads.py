"""What a `Database` promises of reads, and to callers who do not stay."""

import asyncio
import threading

import pytest

from contract.conftest import OpenDatabase
from contract.test_database import PUT, Waiting, get, put
from moorage.db.engine import Database, Tx
from moorage.errors import Unavailable


@pytest.mark.parametrize("pages", [False, True])
def test_a_body_that_reads_may_await_nothing_else_either(
    database: OpenDatabase, pages: bool
) -> None:
    async def use(db: Database) -> None:
        async def body(tx: Tx) -> None:
            await Waiting()

        with pytest.raises(RuntimeError, match="nothing but its transaction"):
            await db.read(body, pages=pages)
        assert await get(db, "a", pages=pages) is None

    database.run(use)


@pytest.mark.parametrize("pages", [False, True])
def test_a_body_that_reads_can_not_write(database: OpenDatabase, pages: bool) -> None:
    async def use(db: Database) -> None:
        async def body(tx: Tx) -> None:
            await tx.run(PUT, key="a", value="x")

        with pytest.raises(Unavailable):
            await db.read(body, pages=pages)
        assert await get(db, "a") is None

    database.run(use)


def test_a_caller_that_went_away_takes_nobody_along(embedded: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        begun, may_end = threading.Event(), threading.Event()

        async def hold(tx: Tx) -> None:
            begun.set()
            may_end.wait(10)

        first = asyncio.ensure_future(db.write(hold))
        await asyncio.to_thread(begun.wait, 10)
        writes = [asyncio.ensure_future(put(db, key)) for key in ("a", "b", "c")]
        await asyncio.sleep(0)
        writes[1].cancel()
        may_end.set()
        results = await asyncio.gather(first, *writes, return_exceptions=True)
        assert [type(each) for each in results[1:]] == [
            type(None),
            asyncio.CancelledError,
            type(None),
        ]
        assert await get(db, "a") == await get(db, "c") == "x"

    embedded.run(use)


def test_what_another_process_wrote_is_read(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        other = database.make()
        await other.open()
        for number in range(3):
            await put(other, f"k{number}")
            assert await get(db, f"k{number}") == "x"
            assert await get(db, f"k{number}", pages=True) == "x"
        await other.close()

    database.run(use)


def test_nothing_is_written_behind_the_end(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        other = database.make()
        await other.open()
        await put(other, "a")
        await other.close()
        with pytest.raises((Unavailable, RuntimeError)):
            await asyncio.wait_for(put(other, "b"), 5)

    database.run(use)
