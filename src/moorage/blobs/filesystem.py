"""Blobs in a directory: append to `uploads/<key>`, rename to `objects/xx/<new>`, sync both.

The order is that of docs/explanation/architecture.md, "Bytes that are never lost"; a test
replays power losses against it. No name in here comes from a user: keys are random.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from moorage.blobs.disk import files, replace, sync_directory, unlink, unlink_all, write_all
from moorage.blobs.store import (
    MARK,
    UPLOADS,
    Finished,
    Keep,
    LocalFile,
    SessionBusy,
    SessionLost,
    Stored,
    decode_mark,
    encode_mark,
)
from moorage.blobs.writeback import start_writeback
from moorage.clock import new_id
from moorage.errors import CHECK_DISK, InsufficientStorage, Refused, Unavailable

_Value = TypeVar("_Value")

CHUNK = 1 << 20
_SMALL = 64 << 10
# Handing each file over to a thread takes as long as to unlink it.
_AT_ONCE = 100
# What a session's state begins with: the version, and whether its file has been made.
_FRESH, _STARTED = b"1f", b"1s"
# Begin writing dirty pages back after this many bytes, so that the last fsync is short.
_WRITEBACK = 4 << 20


class FilesystemBlobs:
    """A `BlobStore` in one directory of one file system."""

    def __init__(self, root: Path, *, threads: int = 8) -> None:
        """Use the directory; `prepare` must have made it. Threads are started on first use."""
        self._mark = root / MARK
        self._uploads = root / "uploads"
        self._objects = root / "objects"
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blobs")

    @staticmethod
    def prepare(root: Path) -> None:
        """Make all directories durably, once, so that no push ever has to make one.

        Raises:
            Refused: the directory can't be made or written.
        """
        try:
            for directory in (root / "uploads", *_fan_out(root / "objects")):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            for directory in (root / "uploads", root / "objects", root, root.parent):
                sync_directory(directory)
        except OSError as error:
            raise Refused(
                f"The data directory {root} can't be used.",
                why=str(error),
                do="Give --data a directory that this user may write.",
            ) from error

    async def begin(self, key: str, hint: int | None) -> bytes:  # noqa: ARG002 - needs no hint
        """Return the state of a new session; its file is made by the first writer.

        The file's name is a hash of the key: it has one length, and no letter of anybody's.
        """
        return _FRESH + hashlib.sha256(key.encode()).hexdigest()[:32].encode()

    @asynccontextmanager
    async def session(
        self,
        state: bytes,
        keep: Keep,  # noqa: ARG002 - the lock tells writers apart
    ) -> AsyncIterator["FileSession"]:
        """Hold `flock` on the session's file, so that a second writer gets `SessionBusy`."""
        path = self._uploads / _key_of(state)
        # On the event loop: a few system calls on cached directories, less than a hand-over.
        session = FileSession.open(path, self._objects, self._pool, state.startswith(_FRESH))
        try:
            yield session
        finally:
            await session.settle()
            session.close()

    async def size(self, location: str) -> int | None:
        """Return the file's size, None if there is none."""
        try:
            return self._path(location).stat().st_size
        except FileNotFoundError:
            return None

    async def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes by 1 MiB, read in a thread."""
        descriptor = await self._run(os.open, self._path(location), os.O_RDONLY | os.O_CLOEXEC)
        try:
            async for chunk in _read(self._pool, descriptor, start, end):
                yield chunk
        finally:
            os.close(descriptor)

    async def locate(self, location: str, *, redirect: bool) -> LocalFile:  # noqa: ARG002
        """Return the path, for `sendfile`."""
        return LocalFile(f"{self._objects}/{location[:2]}/{location}")

    async def delete(self, locations: Sequence[str]) -> None:
        """Unlink the files."""
        for start in range(0, len(locations), _AT_ONCE):
            some = locations[start : start + _AT_ONCE]
            await self._run(unlink_all, [self._path(location) for location in some])

    async def list(self, after: str) -> AsyncIterator[Stored]:
        """Yield the files directory by directory, those of unfinished uploads at the end."""
        places = [(directory, "") for directory in _fan_out(self._objects)]
        for directory, prefix in (*places, (self._uploads, UPLOADS)):
            if prefix or directory.name >= after[:2]:
                for each in await self._run(files, directory, prefix):
                    if each.location > after:
                        yield each

    async def free(self) -> int:
        """Return the bytes that the file system can still give, nothing when inodes are used up."""
        facts = os.statvfs(self._objects)
        if facts.f_files and not facts.f_favail:
            return 0
        return facts.f_bavail * facts.f_frsize

    async def read_mark(self) -> int:
        """Return what the file says."""
        try:
            return decode_mark(await self._run(self._mark.read_bytes))
        except FileNotFoundError:
            return 0

    async def write_mark(self, at: int) -> None:
        """Put another file in its place; it needs no sync, since an earlier one does no harm."""
        with _disk_errors():
            await self._run(replace, self._mark, encode_mark(at))

    async def close(self) -> None:
        """Do nothing: no file is open outside a request, and threads end with the process."""

    def _path(self, location: str) -> Path:
        if location.startswith(UPLOADS):
            return self._uploads / location.removeprefix(UPLOADS)
        return self._objects / location[:2] / location

    async def _run(self, work: Callable[..., _Value], *arguments: object) -> _Value:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


class FileSession:
    """The open and locked file of one upload session."""

    def __init__(
        self,
        path: Path,
        objects: Path,
        descriptor: int,
        pool: ThreadPoolExecutor,
        *,
        fresh: bool,
        made: bool,
    ) -> None:
        """Take over a locked descriptor; `open` makes one."""
        self._path = path
        self._objects = objects
        self._descriptor = descriptor
        self._pool = pool
        self._size = os.fstat(descriptor).st_size
        # A started session's entry in the directory was synced by the request that made it.
        self._entered = not fresh
        # Whoever made the file takes it away again; one that was there may be another writer's.
        self._made = made
        self._settled = False
        # Held while a thread that is not ours finishes the file; `close` waits for it.
        self._finishing = threading.Lock()
        self._closed = False
        self._pending: asyncio.Future[Any] | None = None
        # A small first chunk waits for the thread that syncs it: one hand-over less.
        self._unwritten: tuple[bytes, int] | None = None

    @classmethod
    def open(
        cls, path: Path, objects: Path, pool: ThreadPoolExecutor, fresh: bool
    ) -> "FileSession":
        """Open and lock the file; it is made only for a session that nothing was written to."""
        for _ in range(3):
            try:
                descriptor, made = _open(path, fresh=fresh)
            except FileNotFoundError as error:
                raise SessionLost from error
            except OSError as error:
                raise _disk_error(error) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, path):
                    return cls(path, objects, descriptor, pool, fresh=fresh, made=made)
            except BlockingIOError as error:
                os.close(descriptor)
                raise SessionBusy from error
            except BaseException:
                os.close(descriptor)
                raise
            # The writer before us finished or gave up between our open and our lock: what we
            # hold is an object by now, and never to be written again.
            os.close(descriptor)
        raise SessionLost

    async def settle(self) -> None:
        """Wait for the thread that still works on the file, when its request was cancelled.

        Its descriptor's number could be another file's by the time that it writes.
        """
        if self._pending is not None and not self._pending.done():
            await asyncio.wait([self._pending])
        if self._finishing.locked():
            await self._run(self._wait)

    def close(self) -> None:
        """Release the lock; a file in which nothing was written goes."""
        with self._finishing:
            self._closed = True
            if self._made and not self._entered and not self._settled:
                with suppress(OSError):  # a file that no row names: only its place is lost
                    self._path.unlink()
            os.close(self._descriptor)

    @property
    def is_current(self) -> bool:
        """Whether this session made the file: nobody can have written to it before."""
        return self._made

    async def append(self, offset: int, chunks: AsyncIterator[bytes]) -> int:
        """Write from `offset` on; `sync` or `finish` makes it durable."""
        if self._size < offset:
            raise SessionLost
        if self._size > offset:
            await self._run(self._cut, offset)
        position = started = offset
        async for chunk in chunks:
            if len(chunk) <= _SMALL and not self._unwritten:
                self._unwritten = (chunk, position)
            else:
                await self._run(self._write, chunk, position, offset)
            position += len(chunk)
            if position - started >= _WRITEBACK:
                start_writeback(self._descriptor, started, position - started)
                started = position
        self._size = position
        return position

    async def sync(self) -> bytes:
        """Make what was appended durable, with the file's entry in its directory."""
        await self._run(self._sync)
        return (_STARTED if self._size else _FRESH) + self._path.name.encode()

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield what was written, by 1 MiB."""
        await self._run(self._write_out)
        async for chunk in _read(self._pool, self._descriptor, start, end):
            yield chunk

    async def finish(self) -> Finished:
        """Rename to a location of its own, sync file and directory; a short file's is left over."""
        # A name of its own: two finishes of one session must never share a place.
        location = new_id()
        if self._size <= _SMALL:
            return Finished(location, partial(self._finish, location))
        await self._run(self._finish, location)
        return Finished(location)

    async def withdraw(self) -> None:
        """Return at once: what stands beyond the session's offset is overwritten."""
        return

    async def abort(self) -> None:
        """Unlink the file."""
        with _disk_errors():
            await self._run(unlink, self._path)
        self._settled = True

    def _cut(self, offset: int) -> None:
        with _disk_errors():
            os.ftruncate(self._descriptor, offset)

    def _write(self, chunk: bytes, position: int, kept: int) -> None:
        try:
            with _disk_errors():
                self._write_unwritten()
                write_all(self._descriptor, chunk, position)
        except InsufficientStorage:
            # What nobody was told of must not hold the last of the disk.
            self._unwritten = None
            self._cut(kept)
            raise

    def _write_out(self) -> None:
        with _disk_errors():
            self._write_unwritten()

    def _write_unwritten(self) -> None:
        if self._unwritten is not None:
            chunk, position = self._unwritten
            self._unwritten = None
            write_all(self._descriptor, chunk, position)

    def _sync(self) -> None:
        with _disk_errors():
            self._write_unwritten()
            os.fdatasync(self._descriptor)
            if not self._entered:
                sync_directory(self._path.parent)
                self._entered = True

    def _finish(self, location: str) -> None:
        directory = f"{self._objects}/{location[:2]}"
        with self._finishing, _disk_errors():
            if self._closed:
                raise SessionLost
            self._write_unwritten()
            # Renamed before it is synced, so that one journal commit of the file system carries
            # bytes and name. Nothing names the location before both syncs have returned.
            os.rename(self._path, f"{directory}/{location}")  # noqa: PTH104 - 15 µs less
            self._settled = True
            os.fsync(self._descriptor)
            sync_directory(directory)

    def _wait(self) -> None:
        with self._finishing:
            return

    async def _run(self, work: Callable[..., _Value], *arguments: object) -> _Value:
        loop = asyncio.get_running_loop()
        running = self._pending = loop.run_in_executor(self._pool, work, *arguments)
        return await asyncio.shield(running)


def _fan_out(objects: Path) -> list[Path]:
    return [objects / f"{number:02x}" for number in range(256)]


def _key_of(state: bytes) -> str:
    if not state.startswith((_FRESH, _STARTED)):
        raise SessionLost
    return state[2:].decode()


def _open(path: Path, *, fresh: bool) -> tuple[int, bool]:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    if fresh:
        with suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600), True
    return os.open(path, flags, 0o600), False


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _disk_errors() -> Iterator[None]:
    # A failed write or sync is never retried: the kernel may have dropped the pages already.
    try:
        yield
    except OSError as error:
        raise _disk_error(error) from error


def _disk_error(error: OSError) -> Unavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InsufficientStorage()
    why = os.strerror(error.errno or errno.EIO)
    message = f"the registry could not write to its disk ({why}): nothing was stored, pulls go on"
    return Unavailable(message, hint=CHECK_DISK)


async def _read(
    pool: ThreadPoolExecutor, descriptor: int, start: int, end: int
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    while start < end:
        wanted = min(CHUNK, end - start)
        chunk = await loop.run_in_executor(pool, os.pread, descriptor, wanted, start)
        if not chunk:
            raise EOFError(f"the file ends at {start}, {end} expected")
        yield chunk
        start += len(chunk)
