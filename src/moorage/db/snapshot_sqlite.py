"""The embedded database at one moment: a copy by SQLite itself, and never of the file's bytes."""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw

from moorage.db.engine import Row, StoreUnavailable
from moorage.db.snapshot import PAGE
from moorage.db.sqlite import connect

_COUNTERS = "SELECT name, seq FROM sqlite_sequence"


class SqliteSnapshot:
    """A `Snapshot` of `moorage.db`, in a file of its own that goes with it.

    Reading row by row in one transaction would keep SQLite from ever beginning its log anew, and
    that grows with every push. The copy is made in one go, without what was deleted.
    """

    def __init__(self, directory: Path, file: Path) -> None:
        """Copy what `moorage.db` in the directory has now to the file.

        Raises:
            OSError: there is no room for it.
            StoreUnavailable: the database can't be read.
        """
        self._file = file
        self._remove()
        # Made beforehand, so that nobody else can ever read it.
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            _copy(directory / "moorage.db", file)
            address = f"{file.as_uri()}?immutable=1"
            flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
            self._connection = apsw.Connection(address, flags=flags)
        except apsw.FullError as error:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        except apsw.Error as error:
            raise StoreUnavailable(f"the database failed: {error}") from error

    def pages(self, text: str, kinds: Sequence[str]) -> Iterator[Sequence[Row]]:  # noqa: ARG002
        """Yield what the statement finds; SQLite's values say themselves what they are."""
        cursor = self._connection.execute(text)
        while True:
            page = [row for _, row in zip(range(PAGE), cursor, strict=False)]
            if not page:
                return
            yield page

    def counters(self) -> dict[str, int]:
        """Return the highest id that each table has ever given out."""
        return {str(name): int(last) for name, last in self._connection.execute(_COUNTERS)}

    def close(self) -> None:
        """Remove the copy."""
        self._connection.close()
        self._remove()

    def _remove(self) -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)


def _copy(source: Path, file: Path) -> None:
    connection = connect(source)
    try:
        connection.execute("VACUUM INTO ?", (str(file),)).fetchall()
    finally:
        connection.close()
