"""A backup into a new `moorage.db`."""

from pathlib import Path

import apsw

from moorage.db.engine import StoreUnavailable
from moorage.db.loading import Load, Table, marks, prepared
from moorage.db.migrate import render, stamp
from moorage.db.sqlite import connect
from moorage.errors import InsufficientStorage


def load_sqlite(directory: Path, load: Load) -> None:
    """Make `moorage.db` in the directory, which has none, with all rows of a backup.

    Raises:
        StoreUnavailable: it could not be written; then there is none.
    """
    path = directory / "moorage.db"
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    try:
        apsw.Connection(str(path), flags=flags).close()
        path.chmod(0o600)
        connection = connect(path)
        try:
            with connection:
                _fill(connection, load)
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
        finally:
            connection.close()
    except apsw.FullError as error:
        raise InsufficientStorage from error
    except apsw.Error as error:
        raise StoreUnavailable(f"the database could not be filled: {error}") from error


def _fill(connection: apsw.Connection, load: Load) -> None:
    connection.execute(render("sqlite", 0, load.schema) + stamp(load.schema)).fetchall()
    for table in load.tables:
        statement = _insert(table)
        for page in prepared(table):
            connection.executemany(statement, page)
    # Ids that were given out once are never given out again, whether their rows are left or not.
    for name, last in load.counters.items():
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))
    for row in marks(load):
        connection.execute("INSERT INTO setting (key, value) VALUES (?, ?)", row)
    connection.execute(
        "INSERT INTO store_epoch (epoch, at)"
        " SELECT coalesce(max(epoch), 0) + 1, ? FROM store_epoch",
        (load.now,),
    )


def _insert(table: Table) -> str:
    columns = ", ".join(f'"{name}"' for name in table.columns)
    marks = ", ".join("?" for _ in table.columns)
    # `prepared` has looked at the names.
    return f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'
