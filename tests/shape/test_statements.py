"""Every statement of the program on a filled database: named parameters, no full scan, no sort."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
import sqlalchemy as sa

import moorage.db
from moorage.db.columns import metadata
from moorage.db.engine import Query
from moorage.db.looking import Look
from moorage.db.migrate import migrate_sqlite
from moorage.db.sqlite import connect
from postgres import Postgres

ROWS = 300

# Statements that read a whole table or index in its own order and stop at a limit.
ALLOWED = {
    "list_outbox": ("SCAN event_outbox", "the outbox is read from its lowest id, with a limit"),
    "last_feed_place": ("SCAN event_feed", "the highest place is the last row, limit 1"),
    "last_blob": ("SCAN blob", "the highest id is the last row, limit 1"),
    "count_some_links": (
        "SCAN repository_blob USING COVERING INDEX repository_blob_by_blob",
        "any rows will do, with a limit",
    ),
    "count_some_manifests": (
        "SCAN manifest USING COVERING INDEX manifest_by_identity",
        "any rows will do, with a limit",
    ),
    "find_next_due": (
        "SCAN job_schedule USING COVERING INDEX job_schedule_due",
        "the earliest time is the first entry of the index, limit 1",
    ),
}

# The same on PostgreSQL: the node, the index or table that it reads, and why.
ALLOWED_ON_POSTGRES = {
    "list_outbox": ("Index Scan event_outbox_pkey", "from the lowest id, with a limit"),
    "last_feed_place": ("Index Only Scan event_feed_pkey", "the last entry, limit 1"),
    "find_next_due": ("Index Only Scan job_schedule_due", "the first entry, limit 1"),
    "last_blob": ("Index Only Scan blob_pkey", "the last entry, limit 1"),
    "count_some_links": ("Index Only Scan repository_blob_by_blob", "any rows, with a limit"),
    "count_some_manifests": ("Index Only Scan manifest_pkey", "any rows, with a limit"),
    "list_links": ("Incremental Sort", "by the index; those of one millisecond, with a limit"),
}


def queries_in(value: object) -> Iterator[Query]:
    """Yield the value if it is a `Query`, and those in looks, tuples and mappings however deep."""
    if isinstance(value, Query):
        yield value
    elif isinstance(value, Look):
        yield value.query
    elif isinstance(value, tuple | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from queries_in(each)


def all_queries() -> dict[str, Query]:
    """Return every `Query` that a module of `moorage.db` holds, by its title."""
    found: dict[str, Query] = {}
    for module in pkgutil.iter_modules(moorage.db.__path__, "moorage.db."):
        if not module.ispkg:
            for value in vars(importlib.import_module(module.name)).values():
                for query in queries_in(value):
                    assert found.setdefault(query.title, query) is query, query.title
    return found


QUERIES = all_queries()
EVERY = [pytest.param(query, id=title) for title, query in sorted(QUERIES.items())]


def cell(column: sa.Column[Any], number: int) -> int | str | bytes:
    """Return a value of the column's kind, another one for each row."""
    if isinstance(column.type, sa.Integer):
        return number
    text = f"{column.name}-{number}"
    return text.encode() if isinstance(column.type, sa.LargeBinary) else text


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    """Return a connection to a database with rows in every table."""
    directory: Path = tmp_path_factory.mktemp("statements")
    migrate_sqlite(directory)
    connection = connect(directory / "moorage.db")
    with connection:
        for table in metadata.sorted_tables:
            columns = list(table.columns)
            marks = ", ".join("?" for _ in columns)
            rows = [[cell(column, number) for column in columns] for number in range(1, ROWS)]
            text = f'INSERT OR REPLACE INTO "{table.name}" VALUES ({marks})'
            connection.executemany(text, rows)
    yield connection
    connection.close()


def plan(connection: apsw.Connection, query: Query) -> list[str]:
    """Return the steps that SQLite will take."""
    values = query.arguments(dict.fromkeys(query.names, 1))
    if not query.text("sqlite"):
        return []  # a lock, which is PostgreSQL's alone
    text = f"EXPLAIN QUERY PLAN {query.text('sqlite')}"
    return [row[3] for row in connection.execute(text, values).fetchall()]


def is_slow(step: str) -> bool:
    """Tell whether a step grows with the table: a scan of it, or a sort of what was found."""
    if step.startswith("SCAN "):
        # `anon_1` is what SQLAlchemy calls a subquery, whose own steps are listed as well; `here`
        # is the one row that facts begin at.
        return re.match(r"SCAN (CONSTANT ROW|\(subquery|anon_\d|here$)", step) is None
    return "TEMP B-TREE" in step


def test_there_are_statements() -> None:
    assert len(QUERIES) > 50


def test_every_statement_is_written_once() -> None:
    written: dict[str, list[str]] = {}
    for title, query in QUERIES.items():
        written.setdefault(query.text("postgresql"), []).append(title)
    assert [titles for titles in written.values() if len(titles) > 1] == []


@pytest.mark.parametrize("query", EVERY)
def test_no_statement_grows_with_its_table(filled: apsw.Connection, query: Query) -> None:
    slow = [step for step in plan(filled, query) if is_slow(step)]
    expected = [ALLOWED[query.title][0]] if query.title in ALLOWED else []
    assert slow == expected
    if expected:
        assert "LIMIT" in query.text("sqlite")


def test_every_exception_is_still_one() -> None:
    assert ALLOWED.keys() <= QUERIES.keys()
    assert ALLOWED_ON_POSTGRES.keys() <= QUERIES.keys()


def test_scans_and_sorts_are_noticed(filled: apsw.Connection) -> None:
    """The check itself, on statements that must never be."""
    for text in (
        "SELECT name FROM tag WHERE digest = :digest",
        "SELECT name FROM tag WHERE repository_id = :id ORDER BY updated_at",
        "SELECT name FROM repository ORDER BY visibility LIMIT 1",
    ):
        rows = filled.execute(f"EXPLAIN QUERY PLAN {text}", {"digest": b"", "id": 1}).fetchall()
        assert any(is_slow(row[3]) for row in rows), text


@pytest.mark.parametrize("query", EVERY)
def test_every_parameter_has_its_own_name_and_number(query: Query) -> None:
    text = query.text("sqlite")
    numbers = {int(number) for number in re.findall(r"\?(\d*)", text)}
    assert not text or numbers == set(range(1, len(query.names) + 1))
    assert re.search(r"(?<!:):\w", text) is None
    assert set(re.findall(r"%\((\w+)\)s", query.text("postgresql"))) == query.names


@pytest.mark.parametrize("query", EVERY)
def test_no_page_is_counted_or_skipped(query: Query) -> None:
    """Pages are found by key: `OFFSET` reads what it skips, `COUNT(*)` reads everything."""
    text = query.text("sqlite")
    assert " OFFSET " not in text
    for counted in re.finditer(r"count\(\*\)", text, re.IGNORECASE):
        bounded = re.match(
            r"count\(\*\) AS \w+\s+FROM \(SELECT .*?LIMIT", text[counted.start() :], re.DOTALL
        )
        assert bounded is not None, text


@pytest.fixture(scope="module")
def filled_postgres(postgres: Postgres) -> Iterator[psycopg.Connection[Any]]:
    """Return a connection to a PostgreSQL database with rows in every table."""
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as connection:
        for table in metadata.sorted_tables:
            columns = list(table.columns)
            marks = ", ".join("%s" for _ in columns)
            text = f'INSERT INTO "{table.name}" VALUES ({marks}) ON CONFLICT DO NOTHING'
            rows = [[cell(column, number) for column in columns] for number in range(1, ROWS)]
            connection.cursor().executemany(text, rows)
        connection.execute("ANALYZE")
        # The tables are small: what matters is which way there is at all.
        connection.execute("SET enable_seqscan = off")
        yield connection
    postgres.drop(url)


def nodes(connection: psycopg.Connection[Any], text: str) -> Iterator[dict[str, Any]]:
    """Yield the nodes of the plan that serves whatever values the parameters have."""
    names: dict[str, int] = {}
    numbered = re.sub(
        r"%\((\w+)\)s", lambda found: f"${names.setdefault(found[1], len(names) + 1)}", text
    )
    # By the simple protocol, which knows no parameters: they stay open.
    explain = f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {numbered}".encode()
    row = connection.execute(explain, prepare=False).fetchone()
    assert row is not None
    left = [row[0][0]["Plan"]]
    while left:
        node = left.pop()
        left += node.get("Plans", [])
        yield node


def slow_nodes(connection: psycopg.Connection[Any], text: str) -> list[str]:
    """Return the nodes that grow with a table: full scans of it or of an index, and sorts."""
    return [
        f"{node['Node Type']} {node.get('Index Name') or node.get('Relation Name', '')}".strip()
        for node in nodes(connection, text)
        if node["Node Type"] in ("Seq Scan", "Sort", "Incremental Sort")
        or (node["Node Type"].startswith(("Index", "Bitmap Index")) and "Index Cond" not in node)
    ]


@pytest.mark.parametrize("query", EVERY)
def test_no_statement_grows_with_its_table_on_postgres(
    filled_postgres: psycopg.Connection[Any], query: Query
) -> None:
    expected = [ALLOWED_ON_POSTGRES[query.title][0]] if query.title in ALLOWED_ON_POSTGRES else []
    assert slow_nodes(filled_postgres, query.text("postgresql")) == expected
    if expected:
        assert "LIMIT" in query.text("postgresql")


def test_scans_and_sorts_are_noticed_on_postgres(
    filled_postgres: psycopg.Connection[Any],
) -> None:
    """The check itself, on statements that must never be."""
    for text in (
        "SELECT name FROM tag WHERE digest = %(digest)s",
        "SELECT name FROM tag WHERE repository_id = %(id)s ORDER BY updated_at",
        "SELECT name FROM repository ORDER BY visibility LIMIT 1",
    ):
        assert slow_nodes(filled_postgres, text), text
