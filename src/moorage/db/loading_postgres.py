"""A backup into an empty PostgreSQL database: nobody sees anything of it before the end."""

import time
from typing import Any

import psycopg

from moorage.db.address import Address
from moorage.db.engine import StoreUnavailable
from moorage.db.loading import Load, Table, marks, prepared
from moorage.db.migrate import render, stamp
from moorage.db.server import IS_THERE, MIGRATION_LOCK
from moorage.db.snapshot_postgres import TYPES
from moorage.errors import InsufficientStorage, Refused

_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'moorage' AND pid <> pg_backend_pid()"
)
_CLOSING_SECONDS = 2.0

Connection = psycopg.Connection[tuple[Any, ...]]


def load_postgres(url: str, load: Load) -> None:
    """Fill the database, which has no table of ours, with all rows of a backup.

    Raises:
        Refused: a server is connected to it, or it has tables.
        StoreUnavailable: it could not be written; then nothing is in it.
    """
    address = Address(url)
    try:
        with psycopg.connect(
            **address.options, autocommit=True, prepare_threshold=None
        ) as connection:
            connection.execute(
                f"BEGIN; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})".encode(), prepare=False
            )
            _require_unused(connection, address)
            _fill(connection, load)
            connection.execute("COMMIT", prepare=False)
    except psycopg.errors.DiskFull as error:
        raise InsufficientStorage from error
    except psycopg.Error as error:
        raise StoreUnavailable(f"the database {address} could not be filled: {error}") from error


def _others_stay(connection: Connection) -> bool:
    """Tell whether somebody else is connected, and goes on to be.

    What has closed its connection, as this program did a moment ago, is seen until PostgreSQL has
    noticed.
    """
    until = time.monotonic() + _CLOSING_SECONDS
    while True:
        connection.execute(b"SELECT pg_stat_clear_snapshot()")
        others = connection.execute(_OTHERS.encode()).fetchone()
        if not others or not others[0]:
            return False
        if time.monotonic() > until:
            return True
        time.sleep(0.05)


def _require_unused(connection: Connection, address: Address) -> None:
    there = connection.execute(IS_THERE.encode()).fetchone()
    if there and there[0]:
        raise Refused(
            f"The database {address} is not empty.",
            why="It has tables of a registry, which a restore would mix with those of the backup.",
            do="Name a new, empty database.",
            exit_code=9,
        )
    if _others_stay(connection):
        raise Refused(
            f"A server is connected to the database {address}.",
            why="It would go on with what it knows of the database as it was.",
            do="Stop all servers on it, then restore.",
            exit_code=9,
        )


def _fill(connection: Connection, load: Load) -> None:
    text = render("postgresql", 0, load.schema) + stamp(load.schema)
    connection.execute(text.encode(), prepare=False)
    for table in load.tables:
        _copy(connection, table)
    for name, last in load.counters.items():
        connection.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'id'), greatest(%s, 1))",
            (f'"{name}"', last),
        )
    for row in marks(load):
        connection.execute("INSERT INTO setting (key, value) VALUES (%s, %s)", row)
    connection.execute(
        "INSERT INTO store_epoch (epoch, at)"
        " SELECT coalesce(max(epoch), 0) + 1, %s FROM store_epoch",
        (load.now,),
    )


def _copy(connection: Connection, table: Table) -> None:
    pages = prepared(table)
    columns = ", ".join(f'"{name}"' for name in table.columns)
    # `prepared` looks at the names before its first page, and none is sent before that.
    first = next(pages, None)
    if first is None:
        return
    command = f'COPY "{table.name}" ({columns}) FROM STDIN (FORMAT BINARY)'.encode()
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        copy.set_types([TYPES[kind] for kind in table.kinds])
        for row in first:
            copy.write_row(row)
        for page in pages:
            for row in page:
                copy.write_row(row)
