"""Sorted lists of digests in files, of records of one length: looked up without being read.

`objects.idx` has 40 bytes for each object, its raw sha256 and its size (big-endian);
`manifests.idx` has 32 bytes for each manifest.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

OBJECT, MANIFEST = 40, 32
_DIGEST = 32
_AT_ONCE = 4_096


def record_of(sha256: bytes, size: int) -> bytes:
    """Return the record of an object."""
    return sha256 + size.to_bytes(OBJECT - _DIGEST, "big")


def write_index(path: Path, records: Iterable[bytes]) -> tuple[int, int, str]:
    """Write sorted records durably; return their number, the file's size and its sha256."""
    hashed = hashlib.sha256()
    count = size = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for record in records:
            hashed.update(record)
            file.write(record)
            count += 1
            size += len(record)
        file.flush()
        os.fsync(file.fileno())
    return count, size, hashed.hexdigest()


class Index:
    """One such list, opened to look things up."""

    def __init__(self, path: Path, width: int) -> None:
        """Open the file, of records of that width.

        Raises:
            OSError: it can't be read.
        """
        self._file: BinaryIO = path.open("rb")
        self._width = width
        self.count = os.fstat(self._file.fileno()).st_size // width

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, sha256: bytes) -> bool:
        place = self._first(sha256)
        return place < self.count and self._at(place)[:_DIGEST] == sha256

    def records(self) -> Iterator[tuple[bytes, int]]:
        """Yield each digest, with the size of an object."""
        yield from self._between(0, self.count)

    def under(self, first: int) -> Iterator[tuple[bytes, int]]:
        """Yield those whose digest begins with that byte."""
        end = self._first(bytes((first + 1,))) if first < 255 else self.count
        yield from self._between(self._first(bytes((first,))), end)

    def _between(self, start: int, end: int) -> Iterator[tuple[bytes, int]]:
        while start < end:
            some = min(_AT_ONCE, end - start)
            self._file.seek(start * self._width)
            raw = self._file.read(some * self._width)
            for place in range(0, len(raw), self._width):
                record = raw[place : place + self._width]
                yield record[:_DIGEST], int.from_bytes(record[_DIGEST:], "big")
            start += some

    def _first(self, sha256: bytes) -> int:
        """Return the place of the first record that is not below it."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self._at(middle)[:_DIGEST] < sha256:
                low = middle + 1
            else:
                high = middle
        return low

    def _at(self, place: int) -> bytes:
        self._file.seek(place * self._width)
        return self._file.read(self._width)
