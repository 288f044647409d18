"""The right to use a data directory: one server at a time, on one host.

`flock` keeps two servers of one host apart. Over a network file system it may not reach the other
host, so the holder also writes who it is and a number that goes on, and whoever finds another
host's name in the file watches whether the number still moves.
"""

import fcntl
import os
import platform
import time
from contextlib import suppress
from pathlib import Path

from moorage.errors import Refused

BEAT_SECONDS = 2.0
_WATCH_SECONDS = 5.0
_LONGEST = 512


class DataLock:
    """The lock on a data directory, held until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        """Take over a locked descriptor; `acquire` makes one."""
        self.descriptor = descriptor
        self._beats = 0

    @classmethod
    def acquire(cls, directory: Path) -> "DataLock":
        """Lock the directory, which is made if it is not there.

        Waits 5 s when another host has used it last and did not say that it ended.

        Raises:
            Refused: it can't be used, or another server, of this host or another one, uses it.
        """
        path = directory / "server.lock"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(directory, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _taken(directory, "Another server") from error
        lock = cls(descriptor)
        other = lock._other_host()
        if other:
            os.close(descriptor)
            raise _taken(directory, f"A server on the host {other}")
        try:
            lock.beat()
        except OSError as error:
            os.close(descriptor)
            raise _unusable(directory, error) from error
        return lock

    def beat(self) -> None:
        """Show other hosts that this one goes on; to be called every `BEAT_SECONDS`.

        Raises:
            OSError: the file can't be written.
        """
        self._beats += 1
        text = f"{_identity()}\n{os.getpid()} {self._beats}\n".encode()
        os.pwrite(self.descriptor, text.ljust(_LONGEST), 0)

    def release(self) -> None:
        """Say that the directory is free, and unlock it."""
        with suppress(OSError):  # on a disk that can't be written the next host only waits
            os.ftruncate(self.descriptor, 0)
        os.close(self.descriptor)

    def _other_host(self) -> str:
        """Return the name of another host that still uses the directory, empty if none does."""
        found = os.pread(self.descriptor, _LONGEST, 0)
        told = found.decode("utf-8", "replace").split("\n", 1)[0].strip()
        if not told or told == _identity():
            return ""
        until = time.monotonic() + _WATCH_SECONDS
        while time.monotonic() < until:
            time.sleep(0.25)
            # Opened anew: a network file system shows other hosts' writes to whoever opens.
            if Path(f"/proc/self/fd/{self.descriptor}").read_bytes() != found:
                return told.partition(" ")[0]
        return ""


def _identity() -> str:
    """Return this host's name and the number that its installation has, which outlives a boot."""
    number = Path("/etc/machine-id")
    return f"{platform.node() or 'unnamed'} {number.read_text().strip() if number.exists() else ''}"


def _unusable(directory: Path, error: OSError) -> Refused:
    return Refused(
        f"The data directory {directory} can't be used.",
        why=str(error),
        do="Give --data a directory that this user may write.",
    )


def _taken(directory: Path, by: str) -> Refused:
    return Refused(
        f"{by} is using the data directory {directory}.",
        why="Two servers on one directory would each take the other's jobs and sessions.",
        do="Stop the other one, or give this one another --data. Several replicas need PostgreSQL "
        "and an object store: see docs/how-to/fleet.md.",
    )
