"""A disk on which chosen system calls fail, in all processes of a server, from one of them on."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from faults.mounts import run

# What can fail: bytes written, syncs, and names that are made or changed.
WRITES, SYNCS, NAMES = 1, 2, 4
ALWAYS = 1 << 62
PLAN = struct.Struct("<6q")


class FailingDisk:
    """The plan that is shared with servers which run in this environment."""

    def __init__(self, workspace: Path, under: Path) -> None:
        self._library = workspace / "failing.so"
        self._file = workspace / "failing.plan"
        self._under = under
        source = Path(__file__).with_name("failing.c")
        run("cc", "-shared", "-fPIC", "-O2", "-o", self._library, source)
        self._file.write_bytes(bytes(PLAN.size))
        with self._file.open("r+b") as file:
            self._plan = mmap.mmap(file.fileno(), PLAN.size)

    @property
    def environment(self) -> dict[str, str]:
        """What a server needs to find the plan."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAILING_PLAN": str(self._file),
            # Its log too, which lies beside it under a name that begins alike.
            "FAILING_UNDER": str(self._under.resolve()),
        }

    def fail(self, kinds: int, error: int, first: int, last: int | None = None) -> None:
        """Have calls of these kinds fail from the first to the last one of them, or only that."""
        self._plan[:] = PLAN.pack(0, 0, first, first if last is None else last, kinds, error)

    def stop(self) -> int:
        """Let every call succeed again; return how many failed."""
        _, hits, *_ = PLAN.unpack(self._plan[:])
        self._plan[:] = PLAN.pack(0, 0, 0, 0, 0, 0)
        return hits
