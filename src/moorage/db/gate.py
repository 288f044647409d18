"""The right to write to the embedded database, between the processes of one host."""

import fcntl
import os
from pathlib import Path


class WriteGate:
    """The right to write, handed round between processes in the order they came.

    SQLite's own busy handler starves: with two writers one made 13,287 commits while the other
    made 1. A blocking `flock` wakes the next one, but the process that has just unlocked would
    mostly win the race for it; the second lock makes it queue behind those who already wait.
    """

    def __init__(self, directory: Path) -> None:
        """Open `write.lock` and `write.turn` in the directory."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._lock = os.open(directory / "write.lock", flags, 0o600)
        self._turn = os.open(directory / "write.turn", flags, 0o600)

    def acquire(self) -> None:
        """Wait for the turn."""
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def release(self) -> None:
        """Let the next one write; does nothing when the turn was never had."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close both files."""
        os.close(self._lock)
        os.close(self._turn)
