"""The embedded database: SQLite through apsw, one writer at a time and group commit.

Only apsw may open the file: it carries its own SQLite, and two SQLite libraries in one process
drop each other's locks. Connections are opened after a fork, each by the thread that uses it.
"""

import asyncio
import os
import queue
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw
import msgspec

from moorage.db.engine import (
    Body,
    Conflict,
    First,
    Query,
    Row,
    StoreUnavailable,
    Tx,
    WriteObserver,
)
from moorage.db.gate import WriteGate
from moorage.errors import CHECK_DISK, InsufficientStorage

Value = TypeVar("Value")

BATCH_SIZE = 64
BATCH_SECONDS = 0.005
_READER_THREADS = 2
_FIRST_THREADS = 8


class SqliteTx:
    """A `Tx` on one connection; its coroutines never suspend."""

    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        """Run on the connection."""
        self._connection = connection

    async def one(self, query: Query, /, **values: Any) -> Row | None:
        """Return the first row."""
        rows = self._connection.execute(query.text("sqlite"), query.arguments(values)).fetchall()
        return rows[0] if rows else None

    async def many(self, query: Query, /, **values: Any) -> list[Row]:
        """Return all rows."""
        return self._connection.execute(query.text("sqlite"), query.arguments(values)).fetchall()

    async def run(self, query: Query, /, **values: Any) -> int:
        """Return how many rows were changed."""
        self._connection.execute(query.text("sqlite"), query.arguments(values)).fetchall()
        return self._connection.changes()

    async def run_many(self, query: Query, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Run the statement for each mapping."""
        text = query.text("sqlite")
        for values in rows:
            self._connection.execute(text, query.arguments(values)).fetchall()


def drive(awaitable: Awaitable[Value]) -> Value:
    """Run a transaction's body to its end in this thread.

    Raises:
        RuntimeError: the body awaited something other than its transaction.
    """
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return cast("Value", end.value)
    raise RuntimeError("a transaction's body may await nothing but its transaction")


def connect(path: Path, *, readonly: bool = False) -> apsw.Connection:
    """Open the file as every part of the program must: WAL, `synchronous=FULL`, foreign keys."""
    flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE
    connection = apsw.Connection(str(path), flags=flags | apsw.SQLITE_OPEN_NOMUTEX)
    connection.set_busy_timeout(10_000)
    # Otherwise SQLite plans every joined statement anew for each value that is bound to it: 14 µs
    # instead of 3 for the one that finds a manifest.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    for pragma in (
        "synchronous=FULL",
        "fullfsync=1",
        "foreign_keys=ON",
        "cache_size=-8000",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


# Of the numbers that SQLite keeps in a file's head for whoever made it.
_IS_FROZEN = "PRAGMA user_version"
_NOT_FROZEN = [(0,)]


def freeze(directory: Path, *, frozen: bool) -> None:
    """Have every transaction that begins from now on refused, or taken again; reads go on.

    What was acknowledged before this returns is in the file, and nothing is acknowledged after it.
    """
    connection, gate = connect(directory / "moorage.db"), WriteGate(directory)
    try:
        gate.acquire()
        connection.execute(f"PRAGMA user_version={int(frozen)}").fetchall()
    finally:
        gate.close()
        connection.close()


class _Request(msgspec.Struct, eq=False):
    body: Callable[[Tx], Awaitable[Any]]
    future: asyncio.Future[Any]
    first: First | None = None
    value: Any = None
    error: BaseException | None = None


class SqliteDatabase:
    """A `Database` in one file of one host, shared by the processes of one server."""

    def __init__(self, directory: Path, observer: WriteObserver | None = None) -> None:
        """Name the directory of `moorage.db`; nothing is opened before `open`."""
        self._directory = directory
        self._path = directory / "moorage.db"
        self._observer = observer
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(_READER_THREADS, thread_name_prefix="db-read")
        self._firsts = ThreadPoolExecutor(_FIRST_THREADS, thread_name_prefix="db-first")
        # Whether the writer waits for work, and what it took from the queue for its next batch.
        self._idle = False
        self._carried: _Request | None = None
        self._local = threading.local()
        self._reader: SqliteTx | None = None
        self._writer: threading.Thread | None = None
        self._closing = self._ended = False

    async def open(self) -> None:
        """Open the event loop's reading connection and start the writer thread."""
        self._reader = SqliteTx(connect(self._path, readonly=True))
        # Opened here, so that what is wrong with them is wrong with the start.
        tools = (WriteGate(self._directory), connect(self._path))
        self._writer = threading.Thread(
            target=self._write_loop, args=tools, name="db-write", daemon=True
        )
        self._writer.start()

    async def read(self, body: Body[Value], *, pages: bool = False) -> Value:
        """Run the body here on the event loop, or in a thread when it reads whole pages."""
        if pages:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._readers, self._read_in_thread, body)
        if self._reader is None:
            raise RuntimeError("the database is not open")
        try:
            return drive(body(self._reader))
        except apsw.Error as error:
            raise _translated(error) from error

    async def write(self, body: Body[Value], *, first: First | None = None) -> Value:
        """Hand the body to the writer thread and wait for the commit that it is part of.

        An idle writer runs `first` itself, which saves two hand-overs between threads; a busy one
        commits what others wrote meanwhile.
        """
        if self._ended:
            raise StoreUnavailable("the database's writer has ended")
        future: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        request = _Request(body, future, first)
        if first is None or self._idle:
            self._idle = False
            self._submit(request)
        else:
            self._firsts.submit(self._prepare_and_submit, request)
        return await future

    def _prepare_and_submit(self, request: _Request) -> None:
        if _prepare(request):
            self._submit(request)

    def _submit(self, request: _Request) -> None:
        self._queue.put(request)
        if self._ended:
            self._refuse_left()

    async def close(self) -> None:
        """Let the writer finish what is queued, then close."""
        self._firsts.shutdown()
        if self._writer is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._writer.join)
            self._writer = None
        self._readers.shutdown()
        self._reader = None

    def _read_in_thread(self, body: Body[Value]) -> Value:
        transaction = getattr(self._local, "transaction", None)
        if transaction is None:
            transaction = self._local.transaction = SqliteTx(connect(self._path, readonly=True))
        try:
            return drive(body(transaction))
        except apsw.Error as error:
            raise _translated(error) from error

    def _write_loop(self, gate: WriteGate, connection: apsw.Connection) -> None:
        try:
            while (request := self._take()) is not None:
                if not _prepare(request):
                    continue
                batch = [request]
                began = time.perf_counter()
                transaction = _Transaction(gate, connection, batch)
                with transaction:
                    self._run_batch(transaction, batch)
                if self._observer is not None:
                    self._observer.committed(len(batch), time.perf_counter() - began)
                _answer(batch)
                if transaction.broken:
                    connection.close(force=True)
                    connection = connect(self._path)
            self._closing = True
        finally:
            connection.close(force=True)
            gate.close()
            self._end()

    def _take(self) -> _Request | None:
        if self._carried is not None:
            request, self._carried = self._carried, None
            return request
        self._idle = True
        found = self._queue.get()
        self._idle = False
        return found

    def _end(self) -> None:
        """Answer whoever still waits; a thread that ended by a fault ends its process with it."""
        ended_by_itself, self._ended = not self._closing, True
        self._refuse_left()
        if ended_by_itself:
            os.kill(os.getpid(), signal.SIGTERM)  # the supervisor starts another one

    def _refuse_left(self) -> None:
        left = [self._carried] if self._carried is not None else []
        while not self._queue.empty():
            request = self._queue.get_nowait()
            if request is not None:
                left.append(request)
        for request in left:
            request.error = StoreUnavailable("the database's writer has ended")
        _answer(left)

    def _run_batch(self, transaction: "_Transaction", batch: list[_Request]) -> None:
        """Run what is queued, the first request is in the batch already, until it is enough."""
        connection = transaction.begin()
        until = time.perf_counter() + BATCH_SECONDS
        while True:
            request = batch[-1]
            with _Savepoint(connection, request):
                request.value = drive(request.body(SqliteTx(connection)))
            if len(batch) >= BATCH_SIZE or time.perf_counter() > until:
                return
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                return
            if following is None:
                self._queue.put(None)
                return
            if following.first is not None:
                self._carried = following  # the gate is not held for what only it waits for
                return
            batch.append(following)


class _Transaction:
    """A turn at the gate that commits at its end.

    Whatever fails in it, the gate and the commit included, is every request's failure. A failed
    commit is never tried again: SQLite may have lost the pages already. `broken` says that the
    connection could not even undo, and must be replaced.
    """

    def __init__(
        self, gate: "WriteGate", connection: apsw.Connection, batch: list[_Request]
    ) -> None:
        self._gate = gate
        self._connection = connection
        self._batch = batch
        self.broken = False

    def begin(self) -> apsw.Connection:
        """Wait for the turn and begin; within the block, so that its failure is told as well."""
        self._gate.acquire()
        self._connection.execute("BEGIN IMMEDIATE")
        if self._connection.execute(_IS_FROZEN).fetchall() != _NOT_FROZEN:
            raise StoreUnavailable(
                "this registry is being moved to another place, or has been: it takes nothing more"
            )
        return self._connection

    def __enter__(self) -> None:
        """Do nothing yet: see `begin`."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        try:
            if error is None:
                self._connection.execute("COMMIT")
                return False
        except apsw.Error as failure:
            error = failure
        finally:
            self._finish()
        for request in self._batch:
            request.error = request.error or _translated(error)
        return isinstance(error, Exception)

    def _finish(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            self.broken = True
        finally:
            self._gate.release()


class _First:
    """What a request wants done before its turn; what that raises ends the request."""

    def __init__(self, request: _Request) -> None:
        self._request = request

    def __enter__(self) -> First | None:
        first, self._request.first = self._request.first, None
        return first

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self._request.error = error
        return isinstance(error, Exception)


def _prepare(request: _Request) -> bool:
    """Do what comes first, and tell whether the request is to be run; if not, it is answered."""
    if request.first is None:
        return True
    if request.future.cancelled():
        return False
    with _First(request) as first:
        if first is not None:
            first()
    if request.error is not None:
        _answer([request])
    return request.error is None


class _Savepoint:
    """One request of a batch: what it raises undoes it alone, and is its caller's to see."""

    def __init__(self, connection: apsw.Connection, request: _Request) -> None:
        self._connection = connection
        self._request = request

    def __enter__(self) -> None:
        self._connection.execute("SAVEPOINT request")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is not None:
            if not self._connection.in_transaction:
                return False  # SQLite undid the whole transaction itself: disk full, I/O error
            self._connection.execute("ROLLBACK TO request")
            self._request.error = _translated(error)
        self._connection.execute("RELEASE request")
        return isinstance(error, Exception)


def _translated(error: BaseException) -> BaseException:
    if isinstance(error, OSError):
        return StoreUnavailable(f"the right to write could not be had: {error.strerror}")
    if not isinstance(error, apsw.Error):
        return error
    if isinstance(error, apsw.ConstraintError):
        return Conflict(str(error))
    if isinstance(error, apsw.FullError):
        return InsufficientStorage()
    message = f"the registry's database failed ({type(error).__name__}): nothing was changed"
    return StoreUnavailable(message, hint=CHECK_DISK)


def _answer(batch: list[_Request]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[_Request]] = {}
    for request in batch:
        loops.setdefault(request.future.get_loop(), []).append(request)
    for loop, requests in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, requests)


def _settle(requests: list[_Request]) -> None:
    for request in requests:
        if request.future.done():
            continue  # the caller was cancelled while its commit was under way
        if request.error is not None:
            request.future.set_exception(request.error)
        else:
            request.future.set_result(request.value)
