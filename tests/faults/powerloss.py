"""A disk that remembers in which order it was written, and what a power loss would leave of it.

Between two flushes a disk may keep any of the writes it was given, torn at any sector; what a
flush has answered for stays. A crash state is a moment and such a choice.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from faults.mounts import loop_device, make_file_system, mounted, run, unmount

# xfs is not made any smaller.
DISK_BYTES = {"ext4": 96 << 20, "xfs": 304 << 20, "btrfs": 256 << 20}
SECTOR = 512
# The disk is written out by pieces, of which most have never been touched.
PIECE = 64 << 10
WRITE, FLUSH, MARK = b"W", b"F", b"M"
HEAD = 13

Choice = Literal["none", "all", "some", "torn"]


@dataclass(frozen=True)
class Record:
    """One write, flush or mark."""

    kind: bytes
    offset: int
    data: bytes


@dataclass(frozen=True)
class CrashState:
    """What a power loss left: an image of the disk, and the marks that were set before it."""

    image: Path
    marks: list[str]
    what: str


class Plan(NamedTuple):
    """A crash state to be: the record before which it is, the flush that holds, what is kept.

    `kept` has, of each write since that flush, how many of its bytes the disk took.
    """

    moment: int
    flushed: int
    choice: Choice
    kept: tuple[int, ...]


class LoggedDisk:
    """A mounted file system whose block device writes down what it is told."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._directory = directory
        self._kind = kind
        self.log = directory / "log"
        self.root = directory / "root"
        self._open = contextlib.ExitStack()

    def __enter__(self) -> LoggedDisk:
        with contextlib.ExitStack() as stack:
            fuse = stack.enter_context(self._fuse())
            device = stack.enter_context(loop_device(fuse / "disk.img"))
            make_file_system(self._kind, device)
            stack.enter_context(mounted(device, self.root))
            self._mark = os.open(fuse / "mark", os.O_WRONLY)
            stack.callback(os.close, self._mark)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def mark(self, text: str) -> None:
        """Put a line into the log of writes."""
        os.pwrite(self._mark, text.encode(), 0)

    @contextlib.contextmanager
    def _fuse(self) -> Iterator[Path]:
        place = self._directory / "fuse"
        place.mkdir()
        program = Path(__file__).with_name("blocklog.py")
        files = (self._directory / "backing", self.log, place, DISK_BYTES[self._kind])
        process = subprocess.Popen([sys.executable, str(program), *map(str, files)])
        try:
            deadline = time.monotonic() + 10
            while not (place / "disk.img").exists():
                assert process.poll() is None, "the logging file system did not start"
                assert time.monotonic() < deadline, "the logging file system is not there"
                time.sleep(0.05)
            yield place
            unmount(place, "fusermount3", "-u")
            process.wait(10)
        finally:
            if process.poll() is None:
                run("fusermount3", "-u", "-z", place)
                process.kill()
                process.wait()


class Recording:
    """The log of a disk, from which crash states are made."""

    def __init__(self, log: Path, workspace: Path, kind: str) -> None:
        self._size = DISK_BYTES[kind]
        self._image = workspace / "crash.img"
        self._records = list(_read(log.read_bytes()))
        self._flushes = [n for n, record in enumerate(self._records) if record.kind == FLUSH]
        self.start = next(n for n, record in enumerate(self._records) if record.kind == MARK)

    def describe(self) -> str:
        """Return how much there is."""
        kinds = [record.kind for record in self._records[self.start :]]
        names = {"writes": WRITE, "flushes": FLUSH, "marks": MARK}
        return ", ".join(f"{kinds.count(kind)} {name}" for name, kind in names.items())

    def states(self, count: int, seed: int) -> Iterator[CrashState]:
        """Yield so many crash states in the order of time, if there are; no two are alike."""
        disk = bytearray(self._size)
        touched: set[int] = set()
        marks: list[str] = []
        flushed = seen = 0
        for plan in self._plans(count, random.Random(seed)):
            new = self._records[seen : plan.moment]
            marks += [record.data.decode() for record in new if record.kind == MARK]
            for record in self._records[flushed : plan.flushed]:
                _apply(disk, touched, record, len(record.data))
            seen, flushed = plan.moment, plan.flushed
            undo = []
            for record, size in zip(self._pending(plan), plan.kept, strict=True):
                undo.append(record.offset)
                undo.append(bytes(disk[record.offset : record.offset + size]))
                _apply(disk, touched, record, size)
            self._write_out(disk, touched)
            while undo:
                before, offset = undo.pop(), undo.pop()
                disk[offset : offset + len(before)] = before
            yield CrashState(self._image, list(marks), f"record {plan.moment}, {plan.choice} kept")

    def _plans(self, count: int, chance: random.Random) -> list[Plan]:
        """Choose different states, half of them right behind a mark."""
        last = len(self._records)
        moments = range(self.start + 1, last + 1)
        behind = [moment for moment in moments if self._records[moment - 1].kind == MARK]
        among = set(behind)
        chosen: dict[tuple[object, ...], Plan] = {}
        others = [moment for moment in moments if moment not in among]
        for some, most in ((behind, count // 2), (others, count)):
            pairs = [(moment, choice) for moment in some for choice in get_args(Choice)]
            for moment, choice in chance.sample(pairs, len(pairs)):
                if len(chosen) >= most:
                    break
                plan = self._plan(moment, choice, chance)
                told = bisect.bisect_left(behind, moment + 1)
                chosen.setdefault((plan.flushed, plan.kept, told), plan)
        return sorted(chosen.values())

    def _plan(self, moment: int, choice: Choice, chance: random.Random) -> Plan:
        place = bisect.bisect_left(self._flushes, moment)
        plan = Plan(moment, self._flushes[place - 1] if place else 0, choice, ())
        kept = (_kept(record.data, choice, chance) for record in self._pending(plan))
        return plan._replace(kept=tuple(kept))

    def _pending(self, plan: Plan) -> list[Record]:
        """Return the writes that no flush has answered for."""
        since = self._records[plan.flushed : plan.moment]
        return [record for record in since if record.kind == WRITE]

    def _write_out(self, disk: bytearray, touched: set[int]) -> None:
        with self._image.open("wb") as image:
            image.truncate(self._size)
            for number in sorted(touched):
                image.seek(number * PIECE)
                image.write(disk[number * PIECE : (number + 1) * PIECE])


def _read(log: bytes) -> Iterator[Record]:
    place = 0
    while place + HEAD <= len(log):
        kind = log[place : place + 1]
        offset = int.from_bytes(log[place + 1 : place + 9], "little")
        length = int.from_bytes(log[place + 9 : place + 13], "little")
        place += HEAD
        yield Record(kind, offset, log[place : place + length])
        place += length


def _apply(disk: bytearray, touched: set[int], record: Record, size: int) -> None:
    """Write the first bytes of a record to the disk, if it is a write, and note where."""
    if record.kind == WRITE and size:
        end = record.offset + size
        disk[record.offset : end] = record.data[:size]
        touched.update(range(record.offset // PIECE, (end - 1) // PIECE + 1))


def _kept(data: bytes, choice: Choice, chance: random.Random) -> int:
    """Return how many bytes of a write the disk keeps."""
    if choice == "none" or (choice in ("some", "torn") and chance.random() < 0.5):
        return 0
    if choice == "torn":
        return chance.randrange(len(data) // SECTOR + 1) * SECTOR
    return len(data)
