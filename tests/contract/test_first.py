"""What comes first in a write: done before, or nothing is written."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.store import SessionLost, keep_nowhere
from moorage.clock import new_id
from moorage.db.engine import Database, Query, Tx
from moorage.db.schema import setting

PUT = Query(
    "test_put_first",
    sa.insert(setting).values(key=sa.bindparam("key"), value=sa.bindparam("value")),
)
GET = Query(
    "test_get_first", sa.select(setting.c.value).where(setting.c.key == sa.bindparam("key"))
)


async def put(db: Database, key: str, first: Callable[[], None] | None = None) -> None:
    async def body(tx: Tx) -> None:
        await tx.run(PUT, key=key, value="x")

    await db.write(body, first=first)


async def is_there(db: Database, key: str) -> bool:
    async def body(tx: Tx) -> bool:
        return await tx.one(GET, key=key) is not None

    return await db.read(body)


def test_it_is_done_before_the_body(database: OpenDatabase) -> None:
    """Alone or among many, in another thread than the event loop's, once."""
    done: list[str] = []
    threads: set[int] = set()

    async def use(db: Database) -> None:
        async def one(key: str) -> None:
            def first() -> None:
                threads.add(threading.get_ident())
                done.append(key)

            async def body(tx: Tx) -> None:
                assert done.count(key) == 1
                await tx.run(PUT, key=key, value="x")

            await db.write(body, first=first)

        await one("alone")
        await asyncio.gather(*(one(f"many {number}") for number in range(100)))
        assert await is_there(db, "alone")
        for number in range(100):
            assert await is_there(db, f"many {number}")
        assert threading.get_ident() not in threads

    database.run(use)
    assert len(done) == 101


def test_what_it_raises_is_its_callers_alone(database: OpenDatabase) -> None:
    """The body of a request whose first part failed is not run; its neighbours are."""

    def fail() -> None:
        raise OSError("the disk is gone")

    async def use(db: Database) -> None:
        for name in ("idle", "busy"):
            keys = [f"{name} {number}" for number in range(20)]
            bad = [fail if number % 5 == 0 else None for number in range(20)]
            if name == "busy":
                keys, bad = keys[1:] + keys[:1], bad[1:] + bad[:1]
            results = await asyncio.gather(
                *(put(db, key, first) for key, first in zip(keys, bad, strict=True)),
                return_exceptions=True,
            )
            for key, first, result in zip(keys, bad, results, strict=True):
                assert isinstance(result, OSError) is (first is fail)
                assert await is_there(db, key) is (first is None)

    database.run(use)


def test_a_busy_writer_does_not_wait_for_it(database: OpenDatabase) -> None:
    """Others commit while something slow comes first elsewhere."""
    gone_on = threading.Event()

    async def use(db: Database) -> None:
        # Taken by the idle writer; the slow one comes while it is at work.
        quick = asyncio.create_task(put(db, "quick", lambda: time.sleep(0.05)))
        await asyncio.sleep(0.01)
        slow = asyncio.create_task(put(db, "slow", lambda: gone_on.wait(10) and None))
        await quick
        for number in range(20):
            await put(db, f"other {number}")
        assert not slow.done()
        gone_on.set()
        await slow
        assert await is_there(db, "slow")

    database.run(use)


def test_closing_waits_for_it(database: OpenDatabase) -> None:
    """A database that is closed has written what it took on."""

    async def use(db: Database) -> None:
        waiting = [
            asyncio.create_task(put(db, f"late {number}", lambda: time.sleep(0.05)))
            for number in range(4)
        ]
        await asyncio.sleep(0.01)
        await db.close()
        await asyncio.gather(*waiting)

    database.run(use)

    async def again(db: Database) -> None:
        for number in range(4):
            assert await is_there(db, f"late {number}")

    database.run(again)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
def directory(tmp_path: Path) -> FilesystemBlobs:
    FilesystemBlobs.prepare(tmp_path)
    return FilesystemBlobs(tmp_path)


def test_the_rest_of_a_session_that_is_over(directory: FilesystemBlobs) -> None:
    """It touches nothing: the file's number may be another file's by then."""

    async def body() -> None:
        async with directory.session(
            await directory.begin(new_id(), None), keep_nowhere
        ) as session:
            await session.append(0, chunks(b"content"))
            finished = await session.finish()
        if finished.rest is not None:
            with pytest.raises(SessionLost):
                await asyncio.to_thread(finished.rest)
        assert [each.location async for each in directory.list("")] == []

    asyncio.run(body())


def test_a_session_is_held_while_its_rest_is_done(
    directory: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that is cancelled in the middle of the syncs does not cut them short."""
    syncing, go_on = threading.Event(), threading.Event()
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        syncing.set()
        assert go_on.wait(10)
        fsync(descriptor)

    async def body() -> None:
        location = ""

        async def upload() -> None:
            nonlocal location
            async with directory.session(
                await directory.begin(new_id(), None), keep_nowhere
            ) as session:
                await session.append(0, chunks(b"content"))
                finished = await session.finish()
                location = finished.location
                if finished.rest is not None:
                    await asyncio.to_thread(finished.rest)

        monkeypatch.setattr(os, "fsync", slow)
        task = asyncio.create_task(upload())
        await asyncio.to_thread(syncing.wait)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await directory.size(location) == len(b"content")

    asyncio.run(body())
