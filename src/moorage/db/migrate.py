"""Brings a database to this program's schema, and refuses one that it can't read.

Alembic renders the steps to SQL in its offline mode, and the raw driver runs them: no second
SQLite library ever opens the file. Alembic is imported only when there is something to do; it
costs a third of a second.
"""

import io
import secrets
from pathlib import Path

import apsw
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from moorage.db.engine import Query
from moorage.db.gate import WriteGate
from moorage.db.schema import SCHEMA_COMPATIBLE, SCHEMA_VERSION, setting
from moorage.db.sqlite import connect
from moorage.errors import Refused

_SCRIPTS = Path(__file__).parent / "migrations"
_VERSION, _COMPATIBLE = "schema.version", "schema.compatible"

READ_SETTING = Query(
    "read_setting",
    sa.select(setting.c.value).where(setting.c.key == sa.bindparam("key")),
)


ADD_SETTING = Query(
    "add_setting",
    sqlite.insert(setting)
    .values(key=sa.bindparam("key"), value=sa.bindparam("value"))
    .on_conflict_do_nothing(),
)


def migrate_sqlite(directory: Path) -> int:
    """Bring `moorage.db` in the directory to `SCHEMA_VERSION`; return the version it was at.

    Raises:
        Refused: a newer release changed the schema so that this one can't read it, or the file is
            no database.
    """
    try:
        return _migrate(directory)
    except apsw.Error as error:
        raise Refused(
            f"The database in {directory} can't be used.",
            why=str(error),
            do="Give --data another directory, or restore moorage.db from a backup.",
        ) from error


def _migrate(directory: Path) -> int:
    path = directory / "moorage.db"
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    apsw.Connection(str(path), flags=flags).close()
    path.chmod(0o600)
    connection = connect(path)
    gate = WriteGate(directory)
    try:
        version = _version(connection)
        if version < SCHEMA_VERSION:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            script = render("sqlite", version)
            gate.acquire()
            connection.execute(f"BEGIN IMMEDIATE;\n{script}\n{_stamp()}COMMIT;").fetchall()
        return version
    finally:
        gate.close()
        connection.close()


def secret(directory: Path, name: str) -> bytes:
    """Return the registry's own secret of that name, 32 random bytes made on first use."""
    connection = connect(directory / "moorage.db")
    try:
        key = f"secret.{name}"
        row = {"key": key, "value": secrets.token_hex(32)}
        connection.execute(ADD_SETTING.text("sqlite"), row).fetchall()
        rows = connection.execute(READ_SETTING.text("sqlite"), {"key": key}).fetchall()
        return bytes.fromhex(str(rows[0][0]))
    finally:
        connection.close()


def render(dialect: str, start: int) -> str:
    """Return the SQL of every step behind revision `start`, for the named dialect."""
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
            if int(revision.revision) > start:
                revision.module.upgrade()
    return buffer.getvalue()


def _version(connection: apsw.Connection) -> int:
    if not connection.table_exists(None, "setting"):
        return 0
    found = {}
    for key in (_VERSION, _COMPATIBLE):
        rows = connection.execute(READ_SETTING.text("sqlite"), {"key": key}).fetchall()
        found[key] = int(str(rows[0][0])) if rows else 0
    if found[_COMPATIBLE] > SCHEMA_VERSION:
        raise Refused(
            f"The database has schema {found[_VERSION]}, this release knows {SCHEMA_VERSION}.",
            why=f"Releases before schema {found[_COMPATIBLE]} can no longer read it.",
            do="Start the newer release again, or restore a backup made before its upgrade.",
        )
    return found[_VERSION]


def _stamp() -> str:
    rows = ((_VERSION, SCHEMA_VERSION), (_COMPATIBLE, SCHEMA_COMPATIBLE))
    # Our own constants, no user's text.
    return "".join(
        f"INSERT OR REPLACE INTO setting (key, value) VALUES ('{key}', '{value}');\n"
        for key, value in rows
    )
