"""What every `BlobStore` promises."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.conftest import OpenStore
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.store import (
    BlobStore,
    LocalFile,
    SessionBusy,
    SessionLost,
    UploadSession,
    keep_nowhere,
)
from moorage.clock import new_id


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    """Yield the parts."""
    for part in parts:
        yield part


async def put(store: BlobStore, *parts: bytes) -> str:
    """Store content and return its location."""
    async with store.session(await store.begin(new_id(), None), keep_nowhere) as session:
        await session.append(0, chunks(*parts))
        return await finish(session)


async def go_on(store: BlobStore, state: bytes, offset: int) -> str:
    """Finish a session with no further bytes and return the location."""
    async with store.session(state, keep_nowhere) as session:
        await session.append(offset, chunks())
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


@pytest.mark.parametrize("size", [0, 1, 4_096, 65_536, 65_537, 3_000_001, 5 << 20, (10 << 20) + 1])
def test_what_goes_in_comes_out(store: OpenStore, size: int) -> None:
    """Content of any size, whole and by spans, of one chunk or many."""
    raw = os.urandom(size)

    async def body(store: BlobStore) -> None:
        location = await put(store, *(raw[i : i + 50_000] for i in range(0, size, 50_000)))
        assert await store.size(location) == size
        assert await content(store, location) == raw
        middle = size // 2
        assert await content(store, location, middle // 2, middle) == raw[middle // 2 : middle]
        located = await store.locate(location, redirect=True)
        if isinstance(located, LocalFile):
            assert Path(located.path).read_bytes() == raw

    store.run(body)


def test_a_session_goes_on(store: OpenStore) -> None:
    """Appends follow one another over sessions; what was not acknowledged is overwritten."""

    async def body(store: BlobStore) -> None:
        state = await store.begin(new_id(), None)
        async with store.session(state, keep_nowhere) as session:
            assert await session.append(0, chunks(b"first")) == 5
            state = await session.sync()
        async with store.session(state, keep_nowhere) as session:
            assert await session.append(5, chunks(b"-lost")) == 10
            await session.sync()  # and nobody kept what it returned
        async with store.session(state, keep_nowhere) as session:
            assert await session.append(5, chunks(b"-kept")) == 10
            assert b"".join([part async for part in session.read(0, 10)]) == b"first-kept"
        async with store.session(state, keep_nowhere) as session:
            assert await session.append(5, chunks(b"-kept")) == 10
            state = await session.sync()
        async with store.session(state, keep_nowhere) as session:
            assert await session.append(10, chunks()) == 10
            location = await finish(session)
        assert await content(store, location) == b"first-kept"

    store.run(body)


@pytest.mark.parametrize("sizes", [[1] * 20, [3 << 20] * 5, [(5 << 20) - 1, 1, 1], [7 << 20, 1, 9]])
def test_a_session_of_many_requests(store: OpenStore, sizes: list[int]) -> None:
    """However it is cut, content comes out whole; what it was made from is gone at the end."""
    raw = os.urandom(sum(sizes))

    async def body(store: BlobStore) -> None:
        state = await store.begin(new_id(), None)
        offset = 0
        for size in sizes:
            async with store.session(state, keep_nowhere) as session:
                offset = await session.append(offset, chunks(raw[offset : offset + size]))
                state = await session.sync()
        async with store.session(state, keep_nowhere) as session:
            assert await session.append(offset, chunks()) == len(raw)
            finished = await session.finish()
            if finished.rest is not None:
                await asyncio.to_thread(finished.rest)
        assert await content(store, finished.location) == raw
        await store.delete(finished.leftovers)
        for location in finished.leftovers:
            assert await store.size(location) is None
        assert await content(store, finished.location) == raw
        assert [each.location async for each in store.list("")] == [finished.location]

    store.run(body)


def test_locations_are_fresh(store: OpenStore) -> None:
    """The same content twice has two locations; one that is deleted leaves the other."""

    async def body(store: BlobStore) -> None:
        one, two = await put(store, b"same"), await put(store, b"same")
        assert one != two
        await store.delete([one])
        await store.delete([one, new_id()])
        await store.delete([])
        assert await store.size(one) is None
        assert await content(store, two) == b"same"

    store.run(body)


def test_a_second_writer_is_refused(store: OpenStore) -> None:
    """While one writes nobody else does: at the latest `keep` tells who came second."""
    raw = os.urandom(11 << 20)

    async def body(blobs: BlobStore) -> None:
        state = await blobs.begin(new_id(), None)

        async def keep_late(new: bytes) -> None:
            raise SessionBusy

        async with blobs.session(state, keep_nowhere) as session:
            with pytest.raises(SessionBusy):
                async with blobs.session(state, keep_late) as late:
                    await late.append(0, chunks(raw[::-1]))
            await session.append(0, chunks(raw))
            state = await session.sync()
        async with blobs.session(state, keep_nowhere) as session:
            await session.append(len(raw), chunks(b"two"))
            location = await finish(session)
        assert await content(blobs, location) == raw + b"two"

    store.run(body)


OTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.store import SessionBusy, keep_nowhere
async def body():
    try:
        async with FilesystemBlobs(Path(sys.argv[1])).session(sys.argv[2].encode(), keep_nowhere):
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
        async with store.session(state, keep_nowhere) as session:
            await session.append(0, chunks(b"mine"))
            state = await session.sync()
            assert other(state) == "busy"
        assert other(state) == "held"

    asyncio.run(body())


@pytest.mark.parametrize("size", [4, 6 << 20])
def test_what_nobody_keeps_is_withdrawn(store: OpenStore, size: int) -> None:
    """A writer whose state is kept nowhere takes along what it wrote, and nothing else."""
    raw = os.urandom(size)

    async def body(blobs: BlobStore) -> None:
        state = await blobs.begin(new_id(), None)
        async with blobs.session(state, keep_nowhere) as session:
            await session.append(0, chunks(raw))
            state = await session.sync()
        async with blobs.session(state, keep_nowhere) as session:
            await session.append(size, chunks(b"late"))
            late = await session.sync()
            await session.withdraw()
            await session.withdraw()
        if not store.is_locking:
            with pytest.raises(SessionLost):
                await go_on(blobs, late, size + 4)
        location = await go_on(blobs, state, size)
        assert await content(blobs, location) == raw

    store.run(body)


@pytest.mark.parametrize("size", [4, 6 << 20])
@pytest.mark.parametrize("end", ["finish", "abort"])
def test_lost_bytes_are_told(store: OpenStore, size: int, end: str) -> None:
    """A session that was given up, or has fewer bytes than it should, is lost."""
    raw = os.urandom(size)

    async def body(blobs: BlobStore) -> None:
        state = await blobs.begin(new_id(), None)
        async with blobs.session(state, keep_nowhere) as session:
            await session.append(0, chunks(raw))
            state = await session.sync()
        async with blobs.session(state, keep_nowhere) as session:
            with pytest.raises(SessionLost):
                await session.append(size + 1, chunks(b"more"))
            if end == "abort":
                await session.abort()
                await session.abort()
        if end == "abort":
            with pytest.raises(SessionLost):
                await go_on(blobs, state, size)
            assert [each.location async for each in blobs.list("")] == []

    store.run(body)


@pytest.mark.parametrize("size", [4, 6 << 20])
def test_a_second_finish_is_lost_or_the_same(store: OpenStore, size: int) -> None:
    """A session finished twice never gives out a location that is not there."""
    raw = os.urandom(size)

    async def body(blobs: BlobStore) -> None:
        state = await blobs.begin(new_id(), None)
        async with blobs.session(state, keep_nowhere) as session:
            await session.append(0, chunks(raw))
            state = await session.sync()
        async with blobs.session(state, keep_nowhere) as session:
            await session.append(size, chunks())
            location = await finish(session)
        try:
            async with blobs.session(state, keep_nowhere) as session:
                await session.append(size, chunks())
                finished = await session.finish()
        except SessionLost:
            return
        assert finished.location == location
        assert not finished.is_own
        assert await content(blobs, location) == raw

    store.run(body)


def test_two_finishes_never_share_a_place(store: OpenStore) -> None:
    """First writers of one key, one behind the other, end at two locations."""

    async def body(store: BlobStore) -> None:
        key = new_id()
        locations = []
        for raw in (b"one", b"two"):
            async with store.session(await store.begin(key, None), keep_nowhere) as session:
                await session.append(0, chunks(raw))
                locations.append(await finish(session))
        assert [await content(store, place) for place in locations] == [b"one", b"two"]

    store.run(body)


def test_a_failing_body_leaves_nothing(store: OpenStore, tmp_path: Path) -> None:
    """A body that raises before anything was acknowledged leaves nothing behind."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        raise ValueError("the body failed")

    async def body(blobs: BlobStore) -> None:
        with pytest.raises(ValueError, match="the body failed"):
            async with blobs.session(await blobs.begin(new_id(), None), keep_nowhere) as session:
                await session.append(0, failing())
        assert [each.location async for each in blobs.list("")] == []

    store.run(body)
    assert not list(tmp_path.glob("uploads/*"))


def test_a_cancelled_writer_is_waited_for(store: OpenStore) -> None:
    """What a thread is still writing when its request ends goes into this session's file only."""

    async def body(store: BlobStore) -> None:
        raw = os.urandom(48_000_000)  # memory takes 2 GB/s, and is not done after 4 ms
        state = await store.begin(new_id(), None)

        async def write() -> None:
            async with store.session(state, keep_nowhere) as session:
                await session.append(0, chunks(raw))
                await session.sync()

        for delay in (0.0, 0.0005, 0.001, 0.002, 0.004):
            writing = asyncio.ensure_future(write())
            await asyncio.sleep(delay)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            async with store.session(state, keep_nowhere) as session:
                await session.append(0, chunks(b"next"))
                assert b"".join([part async for part in session.read(0, 4)]) == b"next"

    store.run(body)


def test_listing(store: OpenStore) -> None:
    """Locations come in order, behind the one that was named."""

    async def body(store: BlobStore) -> None:
        made = sorted([await put(store, str(n).encode()) for n in range(20)])
        assert [each.location async for each in store.list("")] == made
        assert [each.location async for each in store.list(made[7])] == made[8:]
        assert [each.location async for each in store.list(made[-1])] == []

    store.run(body)


def test_absent_content(store: OpenStore) -> None:
    """What is not there has no size and can't be read; deleting it does nothing."""

    async def body(store: BlobStore) -> None:
        absent = new_id()
        assert await store.size(absent) is None
        await store.delete(absent)
        with pytest.raises(FileNotFoundError):
            async for _ in store.read(absent, 0, 1):
                pass
        free = await store.free()
        assert free is None or free > 0

    store.run(body)


def test_what_is_not_ours_is_left_alone(store: OpenStore, tmp_path: Path) -> None:
    """Neither listed nor deleted: what an administrator put there."""

    async def body(blobs: BlobStore) -> None:
        state = await blobs.begin(new_id(), None)
        async with blobs.session(state, keep_nowhere) as session:
            await session.append(0, chunks(os.urandom(1_000)))
            await session.sync()
        if store.is_locking:
            (tmp_path / "objects" / "ab" / "README").write_text("mine")
            (tmp_path / "uploads" / "notes.txt").write_text("mine")
        listed = [each async for each in blobs.list("")]
        assert [each.size for each in listed] == [1_000]
        assert all(abs(each.changed_at / 1000 - time.time()) < 3_600 for each in listed)
        await blobs.delete([each.location for each in listed])
        assert [each async for each in blobs.list("")] == []

    store.run(body)
    if store.is_locking:
        assert (tmp_path / "uploads" / "notes.txt").exists()
