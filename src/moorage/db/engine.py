"""The seam to the database: statements, transactions, and the two ways to run one.

A statement is written once in SQLAlchemy Core and compiled once per dialect; the raw driver
executes the text. That is 10 to 40 times quicker than going through SQLAlchemy's engine, and its
price is that columns are integers, texts and bytes only: conversions live in the modules beside.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.elements import ClauseElement

from moorage.errors import Unavailable

Row = tuple[Any, ...]
Value = TypeVar("Value")

_DIALECTS = {"sqlite": sqlite.dialect(paramstyle="named")}


class Conflict(Exception):
    """A write broke a uniqueness or reference rule of the schema."""


class StoreUnavailable(Unavailable):
    """The database did not answer, or did not commit; nothing was acknowledged."""


class Query:
    """One statement with the names of its parameters.

    Refuses at construction what raw execution can't carry: an `IN` over a list, whose text would
    depend on the values. Parameters with a value in the statement itself are its defaults.
    """

    __slots__ = ("_defaults", "_statement", "_texts", "names", "title")

    def __init__(self, title: str, statement: ClauseElement) -> None:
        """Take the statement; `title` names it in test reports and slow-query logs."""
        self.title = title
        self._statement = statement
        self._texts: dict[str, str] = {}
        compiled = statement.compile(dialect=_DIALECTS["sqlite"])
        text = str(compiled)
        if "POSTCOMPILE" in text:
            raise ValueError(f"{title}: a list parameter can't be run on the raw driver")
        # SQLAlchemy writes an offset of 0 behind every limit of an SQLite statement.
        idle = {name: f" OFFSET :{name}" for name in compiled.params if name.startswith("param_")}
        for clause in idle.values():
            text = text.replace(clause, "")
        if any(f":{name}" in text for name in idle):
            raise ValueError(f"{title}: a number in a limit must be a named parameter")
        values = {name: value for name, value in compiled.params.items() if name not in idle}
        self._texts["sqlite"] = text
        self._defaults = {name: value for name, value in values.items() if value is not None}
        self.names = frozenset(values)

    def text(self, dialect: str) -> str:
        """Return the SQL in the dialect's own parameter style."""
        return self._texts[dialect]

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


Body = Callable[[Tx], Awaitable[Value]]
First = Callable[[], None]


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

    def open(self) -> None:
        """Open the connections; after a fork, never before."""
        ...

    async def close(self) -> None:
        """Finish what is under way and close the connections."""
        ...
