"""What /proc says of a server: CPU seconds and memory of its whole process tree."""

import os
import threading
from pathlib import Path
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
PARENT, SESSION = 1, 3  # fields of /proc/PID/stat counted after the command's closing bracket
TIMES = slice(11, 15)  # utime, stime, and the same two of children that ended and were waited for


def _stat(pid: int | str) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def family(root: int) -> dict[int, list[str]]:
    """Return the stat fields of every process of the session `root` leads and their children."""
    entries = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    stats = {pid: fields for pid in entries if (fields := _stat(pid)) is not None}
    members = {pid for pid, fields in stats.items() if pid == root or fields[SESSION] == str(root)}
    while more := {
        pid
        for pid, fields in stats.items()
        if pid not in members and int(fields[PARENT]) in members
    }:
        members |= more
    return {pid: stats[pid] for pid in members}


def cpu_seconds(root: int) -> float:
    """Return user and system time of the tree, ended children included."""
    times = (sum(map(int, fields[TIMES])) for fields in family(root).values())
    return sum(times) / TICKS


def memory(root: int) -> int:
    """Return the proportional set size of the tree in bytes, shared pages counted once."""
    total = 0
    for pid in family(root):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line[:4] == "Pss:")
    return total * 1024


class Watch:
    """Samples a tree's memory from a thread of its own while the block runs."""

    def __init__(self, root: int, interval: float = 0.2) -> None:
        """Watch the tree of `root`."""
        self.peak = 0
        self._root = root
        self._interval = interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while True:
            self.peak = max(self.peak, memory(self._root))
            if self._done.wait(self._interval):
                return

    def __enter__(self) -> Self:
        """Take the first sample and start."""
        self.peak = memory(self._root)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop after the sample under way."""
        self._done.set()
        self._thread.join()
