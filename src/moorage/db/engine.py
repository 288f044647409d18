"""The seam to the database: statements, transactions, and the two ways to run one.

A statement is written once in SQLAlchemy Core and compiled once per dialect; the raw driver
executes the text. That is 10 to 40 times quicker than going through SQLAlchemy's engine, and its
price is that columns are integers, texts and bytes only: conversions live in the modules beside.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from moorage.errors import Unavailable

Row = tuple[Any, ...]
# Above every id and every time: what comes before it begins with the newest.
BEYOND_ALL = 2**62
Value = TypeVar("Value")

_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="named"),
    "postgresql": PGDialect_psycopg(),  # type: ignore[no-untyped-call]
}
# A text, which is left alone, or a parameter.
_TEXT_OR_PARAMETER = re.compile(r"'[^']*'|:(\w+)", re.ASCII)
# Its `ON CONFLICT` is SQLite's as well; SQLite's own does not compile for PostgreSQL.
insert = postgresql.insert


class _Bytes(sa.ColumnElement[bytes]):
    """Bytes as a literal: a partial index is used only where its rule stands word for word."""

    inherit_cache = False
    type = sa.LargeBinary()

    def __init__(self, value: bytes) -> None:
        self.value = value


@compiles(_Bytes, "sqlite")
def _bytes_on_sqlite(literal: _Bytes, *_: SQLCompiler, **__: Any) -> str:
    return f"x'{literal.value.hex()}'"


@compiles(_Bytes, "postgresql")
def _bytes_on_postgres(literal: _Bytes, *_: SQLCompiler, **__: Any) -> str:
    return f"'\\x{literal.value.hex()}'::bytea" if literal.value else "''::bytea"


# What stands in the text of a statement, and is no parameter of it.
ZERO: sa.ColumnClause[int] = sa.literal_column("0")
ONE: sa.ColumnClause[int] = sa.literal_column("1")
NO_TEXT: sa.ColumnClause[str] = sa.literal_column("''")
EMPTY = _Bytes(b"")
# An identity is a sha256, whose key begins with 1: of all digests of some content, the one before.
BEYOND_IDENTITIES = _Bytes(b"\x02")


class Conflict(Exception):
    """A write broke a uniqueness or reference rule of the schema."""


class StoreUnavailable(Unavailable):
    """The database did not answer, or did not commit; nothing was acknowledged."""

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        """Say when the client may try again: by then most servers have been replaced."""
        super().__init__(message, hint=hint, headers={"Retry-After": "2"})


class Raced(StoreUnavailable):
    """Another transaction came in between two statements of a body, which is to be run again.

    Only where transactions run side by side; the driver undoes the body and runs it again, and the
    client is told only when that was of no use several times.
    """

    message = "others are changing the same thing at this moment; nothing was changed, try again"


class Query:
    """One statement with the names of its parameters.

    It is compiled when it is first used: all of them would be a quarter of the time of a start.
    Then it refuses what raw execution can't carry: an `IN` over a list, whose text would depend on
    the values. Parameters with a value in the statement itself are its defaults.
    """

    __slots__ = (
        "_defaults",
        "_in_order",
        "_only",
        "_statement",
        "_texts",
        "names",
        "reads",
        "title",
    )
    _defaults: dict[str, Any]
    _in_order: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    names: frozenset[str]

    def __init__(
        self, title: str, statement: ClauseElement, *, only: Literal["postgresql"] | None = None
    ) -> None:
        """Take the statement; `title` names it in test reports and slow-query logs.

        One that exists on PostgreSQL only, such as a lock, finds nothing on SQLite, which lets one
        transaction write at a time.
        """
        self.title = title
        self.reads = isinstance(statement, sa.Select) and statement._for_update_arg is None
        self._statement = statement
        self._only = only
        self._texts: dict[str, str] = {}

    def text(self, dialect: str) -> str:
        """Return the SQL in the dialect's own parameter style; empty if it has none for it.

        Raises:
            ValueError: the raw driver can't run it.
        """
        try:
            return self._texts[dialect]
        except KeyError:
            self._compile(dialect)
            return self._texts[dialect]

    def prepare(self, dialect: str) -> None:
        """Compile it, and what is asked for its parameters, before it is used.

        Raises:
            ValueError: the raw driver can't run it.
        """
        self.text(dialect)
        if not self._texts.get("sqlite") and self._only is None:
            self._compile("sqlite")

    def __getattr__(self, name: str) -> Any:
        """Compile what is asked for its parameters before its text was."""
        if name not in ("_defaults", "_in_order", "names"):
            raise AttributeError(name)
        self._compile("sqlite")
        return getattr(self, name)

    def _compile(self, dialect: str) -> None:
        if dialect != "sqlite":
            self._texts[dialect] = str(self._statement.compile(dialect=_DIALECTS[dialect]))
        elif self._only is not None:
            compiled = self._statement.compile(dialect=_DIALECTS[self._only])
            self._in_order, self._defaults = _getter(()), {}
            self.names = frozenset(compiled.params)
            self._texts[dialect] = ""
        else:
            self._compile_sqlite()

    def _compile_sqlite(self) -> None:
        compiled = self._statement.compile(dialect=_DIALECTS["sqlite"])
        text = str(compiled)
        if "POSTCOMPILE" in text:
            raise ValueError(f"{self.title}: a list parameter can't be run on the raw driver")
        # SQLAlchemy writes an offset of 0 behind every limit of an SQLite statement.
        idle = {name: f" OFFSET :{name}" for name in compiled.params if name.startswith("param_")}
        for clause in idle.values():
            text = text.replace(clause, "")
        if any(f":{name}" in text for name in idle):
            raise ValueError(f"{self.title}: a number in a limit must be a named parameter")
        values = {name: value for name, value in compiled.params.items() if name not in idle}
        numbered, order = _numbered(text)
        self._in_order = _getter(order)
        self._defaults = {name: value for name, value in values.items() if value is not None}
        self.names = frozenset(values)
        # Last: another thread that finds it finds the rest as well.
        self._texts["sqlite"] = numbered

    def bind(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters with the defaults filled in.

        Raises:
            TypeError: a name is unknown or missing.
        """
        bound = {**self._defaults, **values} if self._defaults else values
        if bound.keys() != self.names:
            unknown, missing = bound.keys() - self.names, self.names - bound.keys()
            raise TypeError(f"{self.title}: unknown {sorted(unknown)}, missing {sorted(missing)}")
        return bound

    def arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the parameters in the order of their numbers in the text for SQLite.

        Raises:
            TypeError: a name is unknown or missing.
        """
        # With all that are needed and not one more, none is unknown: comparing names takes longer.
        if len(values) == len(self.names) and not self._defaults:
            try:
                return self._in_order(values)
            except KeyError:
                pass  # one is missing, and another too many: told below
        return self._in_order(self.bind(values))


def _numbered(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with numbers for its parameters, and their names in that order.

    They are bound in a third of the time, and SQLite's statements are looked for by all their text.
    """
    order: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return found[0] if name is None else f"?{order.setdefault(name, len(order) + 1)}"

    return _TEXT_OR_PARAMETER.sub(number, text), tuple(order)


def _getter(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


class Tx(Protocol):
    """A transaction; the only thing that a transaction's body may await."""

    async def one(self, query: Query, /, **values: Any) -> Row | None:
        """Return the first row, None if there is none."""
        ...

    async def many(self, query: Query, /, **values: Any) -> list[Row]:
        """Return all rows; the statement itself bounds how many."""
        ...

    async def run(self, query: Query, /, **values: Any) -> int:
        """Return how many rows were changed."""
        ...

    async def run_many(self, query: Query, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Run the statement for each mapping of values."""
        ...


async def add_row(tx: Tx, query: Query, /, **values: Any) -> int:
    """Run an `INSERT … RETURNING id`, and return the id of the row that it has made."""
    row = await tx.one(query, **values)
    assert row is not None  # noqa: S101 - it returns its row, or has raised
    number: int = row[0]
    return number


Body = Callable[[Tx], Awaitable[Value]]
First = Callable[[], None]


class WriteObserver(Protocol):
    """What wants to know of each commit: the metrics."""

    def committed(self, requests: int, seconds: float) -> None:
        """Take note of one commit of that many requests, with the wait for its turn in it."""
        ...


class Database(Protocol):
    """Where metadata is kept; every driver passes `tests/contract/test_database.py`.

    A body may be run again after a conflict between transactions, so it changes nothing outside.
    """

    async def read(self, body: Body[Value], *, pages: bool = False) -> Value:
        """Run a body that only reads; `pages` says that it reads more than 100 rows."""
        ...

    async def write(self, body: Body[Value], *, first: First | None = None) -> Value:
        """Run a body and return its value once what it wrote is durable.

        `first` is what must have happened before, such as the syncs of a short file: it blocks, and
        the driver runs it in a thread of its choice. What it raises is raised, and the body is not
        run. It is run at most once; not at all when the caller was cancelled before.

        Raises:
            StoreUnavailable: it is not durable, and was not acknowledged.
            Conflict: a rule of the schema was broken; this body alone was undone.
        """
        ...

    async def open(self) -> None:
        """Open the connections; after a fork, never before."""
        ...

    async def close(self) -> None:
        """Finish what is under way and close the connections."""
        ...
