"""Rows of a table in a file: lines of JSON, compressed by gzip, for any program to read.

The first line names the table and its columns, each with what it holds; each further line is a row.
Bytes are in base64.
"""

import gzip
import hashlib
import os
import zlib
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

_BYTES = "bytes"
# Rows of digests and names: more work makes them hardly smaller.
_LEVEL = 1
_CHUNK = 1 << 20


class Header(msgspec.Struct, frozen=True):
    """The first line: the table, its columns, and what each holds (integer, text or bytes)."""

    table: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...]


class Damaged(Exception):
    """The file is not as it was written."""


class _Hashing:
    """A file that knows the digest of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.hashed = hashlib.sha256()
        self.size = 0

    def write(self, raw: bytes) -> int:
        """Write on."""
        self.hashed.update(raw)
        self.size += len(raw)
        return self._file.write(raw)

    def flush(self) -> None:
        """Do nothing yet."""


def write_rows(path: Path, header: Header, rows: Iterable[Sequence[Any]]) -> tuple[int, int, str]:
    """Write the rows durably; return their number, the file's size and its sha256."""
    encode = msgspec.json.Encoder().encode
    count = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        told = _Hashing(file)
        with gzip.GzipFile("", "wb", _LEVEL, told, mtime=0) as packed:
            packed.write(encode(header) + b"\n")
            for row in rows:
                packed.write(encode(row) + b"\n")
                count += 1
        file.flush()
        os.fsync(file.fileno())
    return count, told.size, told.hashed.hexdigest()


class Rows:
    """Such a file, to be read once from its beginning."""

    def __init__(self, path: Path) -> None:
        """Open it and read its first line.

        Raises:
            Damaged: it is no such file.
        """
        try:
            self._file = gzip.open(path, "rb")  # noqa: SIM115 - closed by whoever reads it
            self.header = msgspec.json.decode(self._file.readline(), type=Header)
        except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
            raise Damaged(f"{path.name} can't be read: {error}") from error

    @property
    def name(self) -> str:
        """The table's name."""
        return self.header.table

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""
        return self.header.columns

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each column holds."""
        return self.header.kinds

    def __enter__(self) -> "Rows":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        packed = [place for place, kind in enumerate(self.header.kinds) if kind == _BYTES]
        decode = msgspec.json.Decoder(list[Any]).decode
        try:
            for line in self._file:
                row = decode(line)
                for place in packed:
                    row[place] = b64decode(row[place])
                yield tuple(row)
        except (OSError, EOFError, ValueError, zlib.error, msgspec.DecodeError) as error:
            raise Damaged(f"the rows of {self.header.table} can't be read: {error}") from error


def hash_file(path: Path) -> tuple[int, str]:
    """Return a file's size and its sha256."""
    hashed = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
            size += len(chunk)
    return size, hashed.hexdigest()
