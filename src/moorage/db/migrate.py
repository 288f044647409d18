"""Brings a database to this program's schema, and refuses one that it can't read.

Alembic renders the steps to SQL in its offline mode, and the raw driver runs them: no second
SQLite library ever opens the file. Alembic is imported only when there is something to do; it
costs a third of a second. What is PostgreSQL's own is in `server.py`.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import msgspec

from moorage.db.engine import Query, Row
from moorage.db.gate import WriteGate
from moorage.db.schema import SCHEMA_COMPATIBLE, SCHEMA_VERSION
from moorage.db.settings import ADD_SETTING, GET_SETTING, new_secret
from moorage.db.sqlite import connect
from moorage.errors import Refused

_SCRIPTS = Path(__file__).parent / "migrations"
_VERSION, _COMPATIBLE = "schema.version", "schema.compatible"

# Reads one row of `setting`; None when it is not there.
ReadSetting = Callable[[str], str | None]


class SchemaState(msgspec.Struct, frozen=True):
    """What schema a database has and what this release makes of it.

    `found` is 0 for a database without tables, `compatible` the oldest release's schema that can
    still read it, `steps` what a migration would run, in order.
    """

    found: int
    compatible: int
    wanted: int
    usable: bool
    steps: tuple[str, ...]


def check_schema(read: ReadSetting | None) -> SchemaState:
    """Return the state of a database by its settings; None stands for one without tables."""
    found, compatible = (
        int((read(key) if read is not None else None) or 0) for key in (_VERSION, _COMPATIBLE)
    )
    steps = sorted(path.stem for path in (_SCRIPTS / "versions").glob("[0-9]*.py"))
    return SchemaState(
        found,
        compatible,
        SCHEMA_VERSION,
        compatible <= SCHEMA_VERSION,
        tuple(step for step in steps if int(step.partition("_")[0]) > found),
    )


def refuse_unusable(state: SchemaState) -> None:
    """Do nothing for a database that this release can use.

    Raises:
        Refused: a newer release changed the schema so that this one can't read it.
    """
    if not state.usable:
        raise Refused(
            f"The database has schema {state.found}, this release knows {state.wanted}.",
            why=f"Releases before schema {state.compatible} can no longer read it.",
            do="Start the newer release again, or restore a backup made before its upgrade.",
        )


def check_schema_sqlite(directory: Path) -> SchemaState:
    """Return the schema of `moorage.db` in the directory, which is not changed, nor made.

    Raises:
        Refused: the file is no database.
    """
    with _reading(directory) as connection:
        return _state(connection) if connection is not None else check_schema(None)


def migrate_sqlite(directory: Path) -> int:
    """Bring `moorage.db` in the directory to `SCHEMA_VERSION`; return the version it was at.

    Raises:
        Refused: a newer release changed the schema so that this one can't read it, or the file is
            no database.
    """
    try:
        return _migrate(directory)
    except apsw.Error as error:
        raise _unusable_file(directory, error) from error


def _unusable_file(directory: Path, error: apsw.Error) -> Refused:
    return Refused(
        f"The database in {directory} can't be used.",
        why=str(error),
        do="Give --data another directory, or restore moorage.db from a backup.",
    )


def _migrate(directory: Path) -> int:
    path = directory / "moorage.db"
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    apsw.Connection(str(path), flags=flags).close()
    path.chmod(0o600)
    connection = connect(path)
    gate = WriteGate(directory)
    try:
        state = _state(connection)
        refuse_unusable(state)
        if state.found < SCHEMA_VERSION:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            script = render("sqlite", state.found)
            gate.acquire()
            connection.execute(f"BEGIN IMMEDIATE;\n{script}\n{stamp()}COMMIT;").fetchall()
        return state.found
    finally:
        gate.close()
        connection.close()


def _rows(connection: apsw.Connection, query: Query, values: Mapping[str, Any]) -> list[Row]:
    return connection.execute(query.text("sqlite"), query.arguments(values)).fetchall()


def _setting(connection: apsw.Connection, key: str) -> str | None:
    rows = _rows(connection, GET_SETTING, {"key": key})
    return str(rows[0][0]) if rows else None


def _state(connection: apsw.Connection) -> SchemaState:
    has_settings = connection.table_exists(None, "setting")
    return check_schema(partial(_setting, connection) if has_settings else None)


@contextmanager
def _reading(directory: Path) -> Iterator[apsw.Connection | None]:
    path = directory / "moorage.db"
    if not path.exists():
        yield None
        return
    try:
        with closing(connect(path, readonly=True)) as connection:
            yield connection
    except apsw.Error as error:
        raise _unusable_file(directory, error) from error


def setting_sqlite(directory: Path, key: str) -> str | None:
    """Return the value of a setting in `moorage.db` in the directory, None if it is not set.

    Raises:
        Refused: the file is no database.
    """
    with _reading(directory) as connection:
        if connection is None or not connection.table_exists(None, "setting"):
            return None
        return _setting(connection, key)


def secret(directory: Path, name: str) -> bytes:
    """Return the registry's own secret of that name, 32 random bytes made on first use."""
    with closing(connect(directory / "moorage.db")) as connection:
        row = new_secret(name)
        _rows(connection, ADD_SETTING, row)
        return bytes.fromhex(_setting(connection, row["key"]) or row["value"])


def render(dialect: str, start: int, end: int = SCHEMA_VERSION) -> str:
    """Return the SQL of every step behind revision `start` up to `end`, for the named dialect."""
    from alembic.migration import MigrationContext  # noqa: PLC0415 - costs 0.3 s, rarely needed
    from alembic.operations import Operations  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    buffer = io.StringIO()
    context = MigrationContext.configure(
        dialect_name=dialect, opts={"as_sql": True, "output_buffer": buffer}
    )
    revisions = list(ScriptDirectory(str(_SCRIPTS)).walk_revisions())
    with Operations.context(context):
        for revision in reversed(revisions):
            if start < int(revision.revision) <= end:
                revision.module.upgrade()
    return buffer.getvalue()


def stamp(version: int = SCHEMA_VERSION) -> str:
    """Return the SQL that notes a schema, this program's own unless said, beside the steps."""
    rows = ((_VERSION, version), (_COMPATIBLE, min(version, SCHEMA_COMPATIBLE)))
    # Our own constants, no user's text.
    return "".join(
        f"INSERT INTO setting (key, value) VALUES ('{key}', '{value}')"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value;\n"
        for key, value in rows
    )
