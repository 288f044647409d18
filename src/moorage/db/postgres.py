"""The fleet's database: PostgreSQL through psycopg 3, for any number of replicas.

Transactions run side by side at READ COMMITTED. What must not happen at the same time is kept
apart by the statements themselves and by the locks that the modules beside take (`locks.py`).
"""

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Awaitable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import coroutine
from typing import Any, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from moorage.db.address import Address
from moorage.db.clock import DatabaseClock
from moorage.db.engine import (
    Body,
    Conflict,
    First,
    Query,
    Raced,
    Row,
    StoreUnavailable,
    WriteObserver,
)
from moorage.errors import InsufficientStorage

Value = TypeVar("Value")
Connection = psycopg.AsyncConnection[Row]

_WAIT_SECONDS = 3.0
# More than a wait for a lock may take. A server that hangs without closing its connections, as one
# whose disk does, costs what waits for it no more than this.
_ANSWER_SECONDS = 30.0
_MEASURE_SECONDS = 30.0
_ATTEMPTS = 8
_FIRST_THREADS = 8
# More than there are statements: each is prepared once and kept.
_PREPARED = 1_000
# One round trip. A replica that stands still in the middle keeps its locks for 10 s at most, and
# nobody waits longer for one. `SET LOCAL`, since behind a pooler a session is not ours to change.
_BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on;"
    " SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '10s'"
)


class PostgresTx:
    """A `Tx` on one connection; `busy` while it waits for the server."""

    __slots__ = ("_connection", "_seconds", "_writes", "busy")

    def __init__(self, connection: Connection, seconds: float, *, writes: bool) -> None:
        """Run on the connection, reads only unless `writes`; each answer may take so long."""
        self._connection = connection
        self._seconds = seconds
        self._writes = writes
        self.busy = False

    async def one(self, query: Query, /, **values: Any) -> Row | None:
        """Return the first row."""
        return await (await self._execute(query, values)).fetchone()

    async def many(self, query: Query, /, **values: Any) -> list[Row]:
        """Return all rows."""
        return await (await self._execute(query, values)).fetchall()

    async def run(self, query: Query, /, **values: Any) -> int:
        """Return how many rows were changed."""
        return (await self._execute(query, values)).rowcount

    async def run_many(self, query: Query, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Run the statement for each mapping, in one round trip."""
        if not rows:
            return
        self._check(query)
        self.busy = True
        try:
            cursor = self._connection.cursor(binary=True)
            bound = [query.bind(values) for values in rows]
            with _answered_within(self._seconds, self._connection):
                await cursor.executemany(query.text("postgresql"), bound)
        finally:
            self.busy = False

    async def _execute(self, query: Query, values: dict[str, Any]) -> psycopg.AsyncCursor[Row]:
        self._check(query)
        self.busy = True
        try:
            cursor = self._connection.cursor(binary=True)
            with _answered_within(self._seconds, self._connection):
                return await cursor.execute(query.text("postgresql"), query.bind(values))
        finally:
            self.busy = False

    def _check(self, query: Query) -> None:
        # Outside a transaction nothing else would keep a read from writing.
        if not (self._writes or query.reads):
            raise StoreUnavailable(f"{query.title} does not read only")


@coroutine
def _watched(tx: PostgresTx, steps: Awaitable[Value]) -> Generator[Any, Any, Value]:
    """Run a transaction's body, which holds a connection and locks while it does.

    Raises:
        RuntimeError: the body awaited something other than its transaction.
    """
    inner = steps.__await__()
    thrown: asyncio.CancelledError | None = None
    while True:
        try:
            wanted = next(inner) if thrown is None else inner.throw(thrown)
        except StopIteration as end:
            return cast("Value", end.value)
        if not tx.busy:
            inner.close()
            raise RuntimeError("a transaction's body may await nothing but its transaction")
        thrown = None
        try:
            yield wanted
        except asyncio.CancelledError as cancelled:
            thrown = cancelled


class PostgresDatabase:
    """A `Database` on a server that any number of replicas share.

    `clock` shows the server's time once the database is open.
    """

    def __init__(
        self,
        url: str,
        connections: int,
        observer: WriteObserver | None = None,
        *,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> None:
        """Name the server and how many connections this process may have; opens none.

        Whoever waits longer than `answer_seconds` for one answer is told that there is none.

        Raises:
            Refused: the URL can't be read.
        """
        self.clock = DatabaseClock()
        self._address = Address(url)
        self._most = connections
        self._observer = observer
        self._seconds = answer_seconds
        self._firsts = ThreadPoolExecutor(_FIRST_THREADS, thread_name_prefix="db-first")
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def open(self) -> None:
        """Open the first connections and measure the server's clock.

        Raises:
            StoreUnavailable: the server does not answer.
        """
        self._pool = AsyncConnectionPool(
            kwargs={
                **self._address.options,
                "autocommit": True,
                "prepare_threshold": 0 if self._address.prepares else None,
            },
            min_size=min(2, self._most),
            max_size=self._most,
            timeout=_WAIT_SECONDS,
            # Given up early, so that the next request tries anew instead of waiting for a backoff.
            reconnect_timeout=1.0,
            configure=_configure,
            open=False,
        )
        try:
            await self._pool.open(wait=True, timeout=_WAIT_SECONDS)
        except PoolTimeout as error:
            await self._pool.close()
            raise StoreUnavailable(f"the database {self._address} does not answer") from error
        await self.clock.measure(self)
        self._measuring = asyncio.create_task(self._keep_time())

    async def read(self, body: Body[Value], *, pages: bool = False) -> Value:  # noqa: ARG002
        """Run the body, each statement by itself; again on another connection if one was dead."""
        for _ in range(self._most + 1):
            connection = await self._take()
            tx = PostgresTx(connection, self._seconds, writes=False)
            try:
                return await _watched(tx, body(tx))
            except psycopg.Error as error:
                if not await _is_dead(connection, error):
                    raise _translated(error) from error
            finally:
                await self._give_back(connection)
        raise StoreUnavailable("the database's connections break")

    async def write(self, body: Body[Value], *, first: First | None = None) -> Value:
        """Run `first` in a thread, then the body in a transaction of its own."""
        if self._pool is None or self._pool.closed:
            raise StoreUnavailable("the database is closed")
        self._under_way += 1
        self._quiet.clear()
        try:
            if first is not None:
                await asyncio.get_running_loop().run_in_executor(self._firsts, first)
            return await self._write(body)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    async def close(self) -> None:
        """Wait for the writes under way, then close."""
        if self._measuring is not None:
            self._measuring.cancel()
        await self._quiet.wait()
        if self._pool is not None:
            await self._pool.close()
        self._firsts.shutdown()

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_MEASURE_SECONDS)
            # Until the server is back, the last measurement is the best there is.
            with contextlib.suppress(StoreUnavailable):
                await self.clock.measure(self)

    async def _write(self, body: Body[Value]) -> Value:
        began = time.perf_counter()
        for attempt in range(_ATTEMPTS):
            try:
                value = await self._try(body)
            except (
                psycopg.errors.SerializationFailure,
                psycopg.errors.DeadlockDetected,
                Raced,
            ):
                await asyncio.sleep(random.random() * 0.005 * 2**attempt)  # noqa: S311 - spreads
                continue
            if self._observer is not None:
                self._observer.committed(1, time.perf_counter() - began)
            return value
        raise Raced

    async def _try(self, body: Body[Value]) -> Value:
        """Run the body once and commit; what goes wrong in COMMIT is never tried again."""
        connection = await self._begin()
        try:
            tx = PostgresTx(connection, self._seconds, writes=True)
            try:
                value = await _watched(tx, body(tx))
            except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
                raise
            except psycopg.Error as error:
                await _is_dead(connection, error)
                raise _translated(error) from error
            try:
                with _answered_within(self._seconds, connection):
                    ended = await connection.execute("COMMIT", prepare=False)
            except psycopg.Error as error:
                raise _translated(error) from error
            if ended.statusmessage != "COMMIT":
                raise StoreUnavailable("the transaction had failed before its end")
            return value
        finally:
            await self._give_back(connection)

    async def _begin(self) -> Connection:
        for _ in range(self._most + 1):
            connection = await self._take()
            try:
                with _answered_within(self._seconds, connection):
                    await connection.execute(_BEGIN, prepare=False)
            except psycopg.Error as error:
                dead = await _is_dead(connection, error)
                await self._give_back(connection)
                if not dead:
                    raise _translated(error) from error
            except (asyncio.CancelledError, StoreUnavailable):
                await self._give_back(connection)
                raise
            else:
                return connection
        raise StoreUnavailable("the database's connections break")

    async def _take(self) -> Connection:
        if self._pool is None:
            raise RuntimeError("the database is not open")
        try:
            return await self._pool.getconn()
        except psycopg.OperationalError as error:  # the pool's own errors are of this class
            raise StoreUnavailable("the database gave no connection in time") from error

    async def _give_back(self, connection: Connection) -> None:
        if connection.closed or connection.pgconn.transaction_status == TransactionStatus.IDLE:
            await cast("AsyncConnectionPool[Connection]", self._pool).putconn(connection)
        else:
            # A caller that is cancelled once more takes no connection along.
            await asyncio.shield(self._undo(connection))

    async def _undo(self, connection: Connection) -> None:
        try:
            with _answered_within(self._seconds, connection):
                await connection.rollback()
        except (psycopg.Error, StoreUnavailable):
            await connection.close()
        await cast("AsyncConnectionPool[Connection]", self._pool).putconn(connection)


@contextlib.contextmanager
def _answered_within(seconds: float, connection: Connection) -> Iterator[None]:
    """Break the connection off when the server has not answered by then.

    Cancelling would ask the same server to give up, and wait for its word.

    Raises:
        StoreUnavailable: it had not.
    """
    late = False

    def break_off() -> None:
        nonlocal late
        late = True
        # The connection stays libpq's to close: what it reads next is the end of the stream.
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(connection.fileno())) as cut,
        ):
            cut.shutdown(socket.SHUT_RDWR)

    timer = asyncio.get_running_loop().call_later(seconds, break_off)
    try:
        yield
    except psycopg.OperationalError as error:
        if late:
            raise StoreUnavailable("the database did not answer in time") from error
        raise
    finally:
        timer.cancel()


async def _configure(connection: Connection) -> None:
    connection.prepared_max = _PREPARED
    # One width for all numbers: otherwise a statement is prepared anew for each width that comes.
    connection.adapters.register_dumper(int, Int8BinaryDumper)


async def _is_dead(connection: Connection, error: psycopg.Error) -> bool:
    """Tell whether the error is the connection's, not the statement's; a dead one is closed.

    One to a server that has become a standby as well: the next may lead to the primary.
    """
    state = error.sqlstate or ""
    if not connection.closed and not state.startswith(("08", "57P0", "25006")):
        return False
    await connection.close()
    return True


def _translated(error: psycopg.Error) -> Exception:
    if isinstance(error, psycopg.IntegrityError):
        return Conflict(str(error))
    if isinstance(error, psycopg.errors.DiskFull):
        return InsufficientStorage()
    return StoreUnavailable(f"the database failed: {type(error).__name__}")
