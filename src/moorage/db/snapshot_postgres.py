"""PostgreSQL at one moment: a transaction that sees nothing of what is committed after it began."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from moorage.db.address import Address
from moorage.db.columns import metadata
from moorage.db.engine import Row, StoreUnavailable
from moorage.db.snapshot import BYTES, INTEGER, PAGE, TEXT

TYPES = {INTEGER: "int8", TEXT: "text", BYTES: "bytea"}
# The first statement is what fixes the moment.
_BEGIN = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    " SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0; SELECT 1"
)


class PostgresSnapshot:
    """A `Snapshot` of a PostgreSQL database; as long as it is open, nothing there is vacuumed."""

    def __init__(self, url: str) -> None:
        """Fix the moment: now.

        Raises:
            StoreUnavailable: the server does not answer.
        """
        address = Address(url)
        try:
            self._connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
                **address.options, autocommit=True, prepare_threshold=None
            )
            self._connection.execute(_BEGIN, prepare=False)
        except psycopg.Error as error:
            raise StoreUnavailable(f"the database {address} does not answer") from error

    def pages(self, text: str, kinds: Sequence[str]) -> Iterator[Sequence[Row]]:
        """Yield what the statement finds, by COPY.

        Raises:
            StoreUnavailable: the server went away.
        """
        command = f"COPY ({text}) TO STDOUT (FORMAT BINARY)".encode()
        page: list[Row] = []
        try:
            with self._connection.cursor() as cursor, cursor.copy(command) as copy:
                copy.set_types([TYPES[kind] for kind in kinds])
                for row in copy.rows():
                    page.append(row)
                    if len(page) == PAGE:
                        yield page
                        page = []
        except psycopg.Error as error:
            raise StoreUnavailable(f"the database failed: {type(error).__name__}") from error
        if page:
            yield page

    def counters(self) -> dict[str, int]:
        """Return the highest id that each table has ever given out, or a little more.

        Raises:
            StoreUnavailable: the server went away.
        """
        found = {}
        for table in metadata.sorted_tables:
            if table.autoincrement_column is None:
                continue
            # Names of our own tables, no user's text.
            text = f'SELECT last_value FROM "{table.name}_id_seq"'.encode()
            try:
                row = self._connection.execute(text).fetchone()
            except psycopg.Error as error:
                raise StoreUnavailable(f"the database failed: {type(error).__name__}") from error
            found[table.name] = row[0] if row else 0
        return found

    def close(self) -> None:
        """End the transaction and the connection."""
        self._connection.close()
