"""A disk that remembers in which order it was written, and what a power loss would leave of it.

Between two flushes a disk may keep any of the writes it was given, torn at any sector; what a
flush has answered for stays. A crash state is a moment and such a choice.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from faults.mounts import loop_device, make_ext4, mounted, run

DISK_BYTES = 96 << 20
SECTOR = 512
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


class LoggedDisk:
    """A mounted ext4 file system whose block device writes down what it is told."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.log = directory / "log"
        self.root = directory / "root"
        self._open = contextlib.ExitStack()

    def __enter__(self) -> LoggedDisk:
        with contextlib.ExitStack() as stack:
            fuse = stack.enter_context(self._fuse())
            device = stack.enter_context(loop_device(fuse / "disk.img"))
            make_ext4(device)
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
        files = (self._directory / "backing", self.log, place, DISK_BYTES)
        process = subprocess.Popen([sys.executable, str(program), *map(str, files)])
        try:
            deadline = time.monotonic() + 10
            while not (place / "disk.img").exists():
                assert process.poll() is None, "the logging file system did not start"
                assert time.monotonic() < deadline, "the logging file system is not there"
                time.sleep(0.05)
            yield place
            run("fusermount3", "-u", place)
            process.wait(10)
        finally:
            if process.poll() is None:
                run("fusermount3", "-u", "-z", place)
                process.kill()
                process.wait()


class Recording:
    """The log of a disk, from which crash states are made."""

    def __init__(self, log: Path, workspace: Path) -> None:
        self._image = workspace / "crash.img"
        self._records = list(_read(log.read_bytes()))
        self.start = next(n for n, record in enumerate(self._records) if record.kind == MARK)

    def describe(self) -> str:
        """Return how much there is."""
        kinds = [record.kind for record in self._records[self.start :]]
        names = {"writes": WRITE, "flushes": FLUSH, "marks": MARK}
        return ", ".join(f"{kinds.count(kind)} {name}" for name, kind in names.items())

    def states(self, count: int, seed: int) -> Iterator[CrashState]:
        """Yield crash states in the order of time, half of them right behind a mark."""
        chance = random.Random(seed)
        durable = bytearray(DISK_BYTES)
        flushed = 0
        marks: list[str] = []
        seen = 0
        for moment in self._moments(chance, count):
            new = self._records[seen:moment]
            marks += [record.data.decode() for record in new if record.kind == MARK]
            behind = self._flush_before(moment, flushed)
            for record in self._records[flushed:behind]:
                _apply(durable, record.kind, record.offset, record.data)
            seen, flushed = moment, behind
            choice: Choice = chance.choice(get_args(Choice))
            image = bytearray(durable)
            for record in self._records[behind:moment]:
                _apply(image, record.kind, record.offset, _kept(record.data, choice, chance))
            self._image.write_bytes(image)
            yield CrashState(self._image, list(marks), f"record {moment}, {choice} kept")

    def _moments(self, chance: random.Random, count: int) -> list[int]:
        last = len(self._records)
        behind_marks = [
            number + 1 for number in range(self.start, last) if self._records[number].kind == MARK
        ]
        chosen = set(chance.sample(behind_marks, min(count // 2, len(behind_marks))))
        others = [number for number in range(self.start + 1, last + 1) if number not in chosen]
        return sorted([*chosen, *chance.sample(others, min(count - len(chosen), len(others)))])

    def _flush_before(self, moment: int, least: int) -> int:
        for number in range(moment - 1, least - 1, -1):
            if self._records[number].kind == FLUSH:
                return number
        return least


def _read(log: bytes) -> Iterator[Record]:
    place = 0
    while place + HEAD <= len(log):
        kind = log[place : place + 1]
        offset = int.from_bytes(log[place + 1 : place + 9], "little")
        length = int.from_bytes(log[place + 9 : place + 13], "little")
        place += HEAD
        yield Record(kind, offset, log[place : place + length])
        place += length


def _apply(image: bytearray, kind: bytes, offset: int, data: bytes) -> None:
    if kind == WRITE:
        image[offset : offset + len(data)] = data


def _kept(data: bytes, choice: Choice, chance: random.Random) -> bytes:
    if choice == "none" or (choice in ("some", "torn") and chance.random() < 0.5):
        return b""
    if choice == "torn":
        return data[: chance.randrange(len(data) // SECTOR + 1) * SECTOR]
    return data
