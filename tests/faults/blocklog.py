"""A FUSE file system with a disk image whose every write and flush is written down.

    python blocklog.py BACKING LOG MOUNTPOINT BYTES

`disk.img` is to be the backing of a loop device; what is written to `mark` goes into the log at
that moment. A program of its own: it must answer while the test waits for the disk.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
from typing import Any

import mfusepy

RECORD = struct.Struct("<cQI")
WRITE, FLUSH, MARK = b"W", b"F", b"M"


class BlockLog(mfusepy.Operations):
    """The two files."""

    use_ns = True

    def __init__(self, backing: str, log: str, size: int) -> None:
        self._disk = os.open(backing, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._disk, size)
        self._size = size
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _note(self, kind: bytes, offset: int = 0, data: bytes = b"") -> None:
        os.writev(self._log, [RECORD.pack(kind, offset, len(data)), data])

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Return a file's attributes."""
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
        sizes = {"/disk.img": self._size, "/mark": 0}
        if path not in sizes:
            raise mfusepy.FuseOSError(errno.ENOENT)
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": sizes[path]}

    def open(self, path: str, flags: int) -> int:
        """Open either file."""
        return 1

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read the disk."""
        return os.pread(self._disk, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write to the disk, or a mark, and write it down."""
        data = bytes(data)
        if path == "/mark":
            self._note(MARK, data=data)
        else:
            os.pwrite(self._disk, data, offset)
            self._note(WRITE, offset, data)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Change nothing: the sizes are fixed."""
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        """Write down that all that came before is durable."""
        if path == "/disk.img":
            self._note(FLUSH)
        return 0

    def flush(self, path: str, fh: int) -> int:
        """Do nothing when a descriptor is closed."""
        return 0


if __name__ == "__main__":
    backing, log, place, size = sys.argv[1:]
    mfusepy.FUSE(BlockLog(backing, log, int(size)), place, foreground=True, nothreads=True)
