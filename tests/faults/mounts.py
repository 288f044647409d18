"""File systems of a test's own: mounted, filled, broken, and taken away again. Needs root."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from process import find_tool


def run(*command: object) -> str:
    """Run a program that must succeed, and return what it printed."""
    program, *arguments = map(str, command)
    done = subprocess.run(
        [find_tool(program) or program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"
    return done.stdout.strip()


def unmount(place: Path, *command: str) -> None:
    """Unmount, with a command of its own if named, once whoever closes its last file has done so.

    A loop device that was detached is one of those: the kernel lets its file go a little later.
    """
    deadline = time.monotonic() + 10
    while True:
        try:
            run(*(command or ("umount",)), place)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@contextlib.contextmanager
def tmpfs(place: Path, options: str) -> Iterator[Path]:
    """Mount memory as a file system, with options such as `size=48m`."""
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", options, "tmpfs", place)
    try:
        yield place
    finally:
        unmount(place)


@contextlib.contextmanager
def loop_device(file: Path) -> Iterator[str]:
    """Make a block device of a file."""
    device = run("losetup", "--find", "--show", file)
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextlib.contextmanager
def mounted(device: str, place: Path, options: str = "defaults") -> Iterator[Path]:
    """Mount a device."""
    place.mkdir(exist_ok=True)
    run("mount", "-o", options, device, place)
    try:
        yield place
    finally:
        unmount(place)


# How each is made so that nothing is left to be done later, behind a test's back.
MAKERS = {
    "ext4": ("-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"),
    "xfs": ("-q", "-K"),
    "btrfs": ("-q", "-K"),
}


def make_file_system(kind: str, device: str) -> None:
    """Make a file system of that kind."""
    run(f"mkfs.{kind}", *MAKERS[kind], device)


def room(place: Path | int) -> int:
    """Return how many bytes a file system can still take."""
    facts = os.statvfs(place)
    return facts.f_bavail * facts.f_frsize


def fill(file: Path, keep: int = 0) -> None:
    """Fill a file system with one file until only `keep` bytes are left."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        while True:
            left = room(descriptor) - keep
            if left <= 0:
                return
            os.write(descriptor, bytes(min(left, 1 << 20)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(descriptor)
