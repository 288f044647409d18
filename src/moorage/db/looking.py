"""What a look at a table for what breaks an invariant is made of: pages in the order of keys."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.db.engine import ONE, ZERO, Query, Row, Tx
from moorage.db.schema import repository
from moorage.db.verifications import Finding
from moorage.oci.digest import Digest


class Look(msgspec.Struct, frozen=True):
    """One table that is looked through, by its key; `about` is how its rows are called.

    A row has its key, the number of its problem or 0, and what `about` is filled in with.
    """

    query: Query
    key: Mapping[str, Any]
    about: str
    problems: Mapping[int, tuple[str, str]]


class Broken(msgspec.Struct, frozen=True):
    """A row that breaks an invariant: its problem's number, and what its subject is made of."""

    number: int
    about: Row
    finding: Finding


def none(rows: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Return whether there is no row; EXISTS may be answered by reading the whole table once."""
    return rows.limit(ONE).scalar_subquery().is_(None)


def look_at(
    title: str,
    columns: tuple[Any, ...],
    source: sa.FromClause,
    about: str,
    problems: Mapping[int, tuple[str, str]],
    *,
    key: tuple[sa.Column[Any], ...],
) -> Look:
    """Return the look at a table: what each row is called by, and by `key` in what order."""
    names = [f"after_{each.name}" for each in key]
    first = {name: _before(each) for name, each in zip(names, key, strict=True)}
    marks = [sa.bindparam(name, type_=each.type) for name, each in zip(names, key, strict=True)]
    behind = key[0] > marks[0] if len(key) == 1 else sa.tuple_(*key) > sa.tuple_(*marks)
    statement = (
        sa.select(*key, *columns)
        .select_from(source)
        .where(behind)
        .order_by(*key)
        .limit(sa.bindparam("limit"))
    )
    return Look(Query(title, statement), first, about, problems)


def _before(column: sa.Column[Any]) -> Any:
    if isinstance(column.type, sa.Integer):
        return -1
    return b"" if isinstance(column.type, sa.LargeBinary) else ""


def one_of(table: sa.FromClause, *rules: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return a statement for a row of which all of this holds."""
    return sa.select(ONE).select_from(table).where(*rules)


def case(*rules: tuple[sa.ColumnElement[bool], int]) -> sa.Case[int]:
    """Return the number of the first rule that holds; 0, which stands for no problem, if none."""
    return sa.case(*((rule, sa.literal_column(str(number))) for rule, number in rules), else_=ZERO)


def of(column: sa.Column[Any], number: sa.ColumnElement[int]) -> sa.ScalarSelect[Any]:
    """Return a column of what has that id; a join would have PostgreSQL read all of both."""
    return sa.select(column).where(column.table.c.id == number).scalar_subquery()


def absent(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return whether its repository is not there."""
    return of(repository.c.id, table.c.repository_id).is_(None)


def going(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return whether its repository is being removed: in parts, which then break everything."""
    return of(repository.c.trash_until, table.c.repository_id) < ZERO


def name_of(table: sa.FromClause) -> sa.ColumnElement[str]:
    """Return the name of its repository."""
    return of(repository.c.name, table.c.repository_id).label("repository_name")


async def list_page(
    tx: Tx, look: Look, after: tuple[Any, ...], limit: int
) -> tuple[list[Broken], int, tuple[Any, ...]]:
    """Return what is wrong on the page behind a key, its rows, and its last key; empty at the end.

    An empty key begins at the first.
    """
    values = dict(zip(look.key, after, strict=True)) if after else dict(look.key)
    rows = await tx.many(look.query, limit=limit, **values)
    broken = [_broken(look, row) for row in rows if row[len(look.key)]]
    last = tuple(rows[-1][: len(look.key)]) if len(rows) == limit else ()
    return broken, len(rows), last


def _broken(look: Look, row: Row) -> Broken:
    number, *about = row[len(look.key) :]
    rule, problem = look.problems[number]
    return Broken(number, tuple(about), Finding(rule, _subject(look, about), problem))


def _subject(look: Look, values: Sequence[Any]) -> str:
    return look.about.format(*("nothing" if each is None else _shown(each) for each in values))


def _shown(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return Digest.from_key(value)
    except (KeyError, IndexError):
        return value.hex()
