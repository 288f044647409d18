"""A PostgreSQL server before the program starts: its settings, its schema, the secrets in it.

Everything here is synchronous and done once, before any process is forked.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg

from moorage.db.address import Address
from moorage.db.backups import FIND_RESTORED
from moorage.db.engine import Query
from moorage.db.migrate import (
    SchemaState,
    check_schema,
    refuse_unusable,
    render,
    stamp,
)
from moorage.db.schema import SCHEMA_VERSION
from moorage.db.settings import ADD_SETTING, GET_SETTING, new_secret
from moorage.errors import Refused

_OLDEST = 13
# Any number would do, as long as all releases of this program take the same.
MIGRATION_LOCK = 0x6D6F6F72616765
# Not `to_regclass`: within a transaction it may still say no of a table that another program has
# made while this one waited for the lock.
IS_THERE = (
    "SELECT EXISTS (SELECT FROM pg_tables WHERE tablename = 'setting'"
    " AND schemaname = ANY (current_schemas(false)))"
)
_SETTINGS = (
    "SELECT current_setting('server_version_num')::int, current_setting('fsync'),"
    " current_setting('full_page_writes'), pg_is_in_recovery(), getdatabaseencoding()"
)


def check_postgres(url: str) -> None:
    """Do nothing for a server that keeps what it acknowledges and that this program can use.

    Raises:
        Refused: it can't be reached, it may lose what it has acknowledged, it is a standby, too
            old, or its database is not in UTF-8.
    """
    address = Address(url)
    with _connected(address) as connection:
        row = connection.execute(_SETTINGS).fetchone()
    version, fsync, whole_pages, standby, encoding = row or ()
    if version // 10_000 < _OLDEST:
        raise _refused(
            address,
            f"PostgreSQL {version // 10_000} is too old, {_OLDEST} is the oldest that will do.",
            "Upgrade the server.",
        )
    for name, value in (("fsync", fsync), ("full_page_writes", whole_pages)):
        if value != "on":
            raise _refused(
                address,
                f"It runs with {name} = {value}: a loss of power would take pushes that clients"
                " were told are there.",
                f"Set {name} = on in postgresql.conf and reload the server.",
            )
    if standby:
        raise _refused(
            address,
            "It is a standby, on which nothing can be written.",
            "Name the primary, or all servers with ?target_session_attrs=read-write.",
        )
    if encoding != "UTF8":
        raise _refused(
            address,
            f"Its encoding is {encoding}, and names are in UTF-8.",
            "Make another one: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0.",
        )


def check_schema_postgres(url: str) -> SchemaState:
    """Return the schema of the database, which is not changed.

    Raises:
        Refused: it can't be reached.
    """
    with _connected(Address(url)) as connection:
        return _state(connection)


def migrate_postgres(url: str) -> int:
    """Bring the database to `SCHEMA_VERSION` in one transaction; return the version it was at.

    Of several programs that start at once one does it, and the others wait.

    Raises:
        Refused: it can't be reached or changed, or a newer release changed the schema so that this
            one can't read it.
    """
    with _connected(Address(url)) as connection:
        found = _usable(connection)
        if found >= SCHEMA_VERSION:
            return found
        connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})", prepare=False)
        found = _usable(connection)
        if found < SCHEMA_VERSION:
            connection.execute(render("postgresql", found) + stamp(), prepare=False)
        connection.execute("COMMIT", prepare=False)
        return found


def secret_postgres(url: str, name: str) -> bytes:
    """Return the registry's own secret of that name, 32 random bytes made on first use.

    Raises:
        Refused: the database can't be reached or written.
    """
    with _connected(Address(url)) as connection:
        row = new_secret(name)
        _run(connection, ADD_SETTING, row)
        return bytes.fromhex(_setting(connection, row["key"]) or row["value"])


def setting_postgres(url: str, key: str) -> str | None:
    """Return the value of a setting in the database, None if it is not set.

    Raises:
        Refused: the database can't be reached.
    """
    with _connected(Address(url)) as connection:
        return _setting(connection, key)


def restored_postgres(url: str) -> int:
    """Return when the database was last restored from a backup, 0 if it never was.

    Raises:
        Refused: it can't be reached.
    """
    with _connected(Address(url)) as connection:
        found = _run(connection, FIND_RESTORED, {}).fetchone()
    return int(found[0]) if found else 0


@contextlib.contextmanager
def _connected(address: Address) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    try:
        with contextlib.closing(
            psycopg.connect(**address.options, autocommit=True, prepare_threshold=None)
        ) as connection:
            yield connection
    except psycopg.Error as error:
        raise _refused(
            address,
            str(error).strip().splitlines()[0] if str(error) else type(error).__name__,
            "See that the server runs, and that the address, the user and its rights are right.",
        ) from error


def _setting(connection: psycopg.Connection[tuple[Any, ...]], key: str) -> str | None:
    row = _run(connection, GET_SETTING, {"key": key}).fetchone()
    return str(row[0]) if row else None


def _state(connection: psycopg.Connection[tuple[Any, ...]]) -> SchemaState:
    there = connection.execute(IS_THERE).fetchone()
    return check_schema(partial(_setting, connection) if there and there[0] else None)


def _usable(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    state = _state(connection)
    refuse_unusable(state)
    return state.found


def _run(
    connection: psycopg.Connection[tuple[Any, ...]], query: Query, values: dict[str, str]
) -> psycopg.Cursor[tuple[Any, ...]]:
    return connection.execute(query.text("postgresql"), values)


def _refused(address: Address, why: str, do: str) -> Refused:
    return Refused(f"The database {address} can't be used.", why=why, do=do)
