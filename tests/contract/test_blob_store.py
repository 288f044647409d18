"""What every `BlobStore` promises."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.store import BlobStore, LocalFile, SessionBusy, SessionLost, UploadSession
from moorage.clock import new_id


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    """Yield the parts."""
    for part in parts:
        yield part


async def put(store: BlobStore, *parts: bytes) -> str:
    """Store content and return its location."""
    async with store.session(await store.begin(new_id(), None)) as session:
        await session.append(0, chunks(*parts))
        return await finish(session)


async def finish(session: UploadSession) -> str:
    """Finish the session as a database driver does, the rest of it in a thread."""
    finished = await session.finish()
    if finished.rest is not None:
        await asyncio.to_thread(finished.rest)
    return finished.location


async def content(store: BlobStore, location: str, start: int = 0, end: int = -1) -> bytes:
    """Return what is at the location."""
    size = await store.size(location)
    assert size is not None
    return b"".join([part async for part in store.read(location, start, size if end < 0 else end)])


@pytest.mark.parametrize("size", [0, 1, 4_096, 65_536, 65_537, 3_000_001])
def test_what_goes_in_comes_out(store: BlobStore, size: int) -> None:
    """Content of any size, whole and by spans, of one chunk or many."""
    raw = os.urandom(size)

    async def body() -> None:
        location = await put(store, *(raw[i : i + 50_000] for i in range(0, size, 50_000)))
        assert await store.size(location) == size
        assert await content(store, location) == raw
        middle = size // 2
        assert await content(store, location, middle // 2, middle) == raw[middle // 2 : middle]
        located = await store.locate(location)
        if isinstance(located, LocalFile):
            assert Path(located.path).read_bytes() == raw

    asyncio.run(body())


def test_a_session_goes_on(store: BlobStore) -> None:
    """Appends follow one another over sessions; what was not acknowledged is overwritten."""

    async def body() -> None:
        state = await store.begin(new_id(), None)
        async with store.session(state) as session:
            state, offset = await session.append(0, chunks(b"first", b"-lost"))
            await session.sync()
        assert offset == 10
        async with store.session(state) as session:
            state, offset = await session.append(5, chunks(b"-kept"))
            assert (offset, b"".join([part async for part in session.read(0, 10)])) == (
                10,
                b"first-kept",
            )
            await session.sync()
        async with store.session(state) as session:
            state, offset = await session.append(10, chunks())
            location = await finish(session)
        assert await content(store, location) == b"first-kept"

    asyncio.run(body())


def test_locations_are_fresh(store: BlobStore) -> None:
    """The same content twice has two locations; one that is deleted leaves the other."""

    async def body() -> None:
        one, two = await put(store, b"same"), await put(store, b"same")
        assert one != two
        await store.delete(one)
        await store.delete(one)
        assert await store.size(one) is None
        assert await content(store, two) == b"same"

    asyncio.run(body())


def test_a_second_writer_is_refused(store: BlobStore) -> None:
    """While a session is held nobody else writes to it; afterwards somebody may."""

    async def body() -> None:
        state = await store.begin(new_id(), None)
        async with store.session(state) as session:
            with pytest.raises(SessionBusy):
                async with store.session(state):
                    pass
            state, _ = await session.append(0, chunks(b"one"))
            await session.sync()
        async with store.session(state) as session:
            await session.append(3, chunks(b"two"))
            location = await finish(session)
        assert await content(store, location) == b"onetwo"

    asyncio.run(body())


OTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.store import SessionBusy
async def body():
    try:
        async with FilesystemBlobs(Path(sys.argv[1])).session(sys.argv[2].encode()):
            print("held")
    except SessionBusy:
        print("busy")
asyncio.run(body())
"""


def test_another_process_is_refused(tmp_path: Path) -> None:
    """A directory's session is held against other processes too."""
    FilesystemBlobs.prepare(tmp_path)
    store = FilesystemBlobs(tmp_path)

    def other(state: bytes) -> str:
        command = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path), state.decode()]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    async def body() -> None:
        state = await store.begin(new_id(), None)
        async with store.session(state) as session:
            state, _ = await session.append(0, chunks(b"mine"))
            await session.sync()
            assert other(state) == "busy"
        assert other(state) == "held"

    asyncio.run(body())


def test_lost_bytes_are_told(store: BlobStore) -> None:
    """A session that ended, or has fewer bytes than it should, is lost."""

    async def body() -> None:
        state = await store.begin(new_id(), None)
        async with store.session(state) as session:
            state, _ = await session.append(0, chunks(b"gone"))
            await session.sync()
        async with store.session(state) as session:
            with pytest.raises(SessionLost):
                await session.append(5, chunks(b"more"))
            await finish(session)
        with pytest.raises(SessionLost):
            async with store.session(state):
                pass
        other = await store.begin(new_id(), None)
        async with store.session(other) as session:
            other, _ = await session.append(0, chunks(b"x"))
            await session.sync()
            await session.abort()
        with pytest.raises(SessionLost):
            async with store.session(other):
                pass

    asyncio.run(body())


def test_two_finishes_never_share_a_place(store: BlobStore) -> None:
    """First writers of one key, one behind the other, end at two locations."""

    async def body() -> None:
        key = new_id()
        locations = []
        for raw in (b"one", b"two"):
            async with store.session(await store.begin(key, None)) as session:
                await session.append(0, chunks(raw))
                locations.append(await finish(session))
        assert [await content(store, place) for place in locations] == [b"one", b"two"]

    asyncio.run(body())


def test_a_failing_body_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    """A body that raises before anything was acknowledged leaves no file behind."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        raise ValueError("the body failed")

    async def body() -> None:
        with pytest.raises(ValueError, match="the body failed"):
            async with store.session(await store.begin(new_id(), None)) as session:
                await session.append(0, failing())
        assert [name async for name in store.list("")] == []

    asyncio.run(body())
    assert not list((tmp_path / "uploads").iterdir())


def test_a_cancelled_writer_is_waited_for(store: BlobStore) -> None:
    """What a thread is still writing when its request ends goes into this session's file only."""

    async def body() -> None:
        raw = os.urandom(8_000_000)
        state = await store.begin(new_id(), None)

        async def write() -> None:
            async with store.session(state) as session:
                await session.append(0, chunks(raw))
                await session.sync()

        for delay in (0.0, 0.0005, 0.001, 0.002, 0.004):
            writing = asyncio.ensure_future(write())
            await asyncio.sleep(delay)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            async with store.session(state) as session:
                await session.append(0, chunks(b"next"))
                assert b"".join([part async for part in session.read(0, 4)]) == b"next"

    asyncio.run(body())


def test_listing(store: BlobStore) -> None:
    """Locations come in order, behind the one that was named."""

    async def body() -> None:
        made = sorted([await put(store, str(n).encode()) for n in range(20)])
        assert [name async for name in store.list("")] == made
        assert [name async for name in store.list(made[7])] == made[8:]
        assert [name async for name in store.list(made[-1])] == []

    asyncio.run(body())


def test_absent_content(store: BlobStore) -> None:
    """What is not there has no size and can't be read; deleting it does nothing."""

    async def body() -> None:
        absent = new_id()
        assert await store.size(absent) is None
        await store.delete(absent)
        with pytest.raises(FileNotFoundError):
            async for _ in store.read(absent, 0, 1):
                pass
        free = await store.free()
        assert free is None or free > 0

    asyncio.run(body())
