"""What is done to files and directories; each blocks, and runs in a thread."""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from moorage.blobs.store import Stored, is_ours


def files(directory: Path, prefix: str) -> list[Stored]:
    """Return what is in the directory and ours, in order."""
    found = []
    for entry in os.scandir(directory):
        if is_ours(entry.name):
            with suppress(FileNotFoundError):  # it was finished or deleted just now
                facts = entry.stat(follow_symlinks=False)
                changed_at = facts.st_mtime_ns // 1_000_000
                found.append(Stored(prefix + entry.name, facts.st_size, changed_at))
    return sorted(found, key=lambda each: each.location)


def unlink(path: Path) -> None:
    """Remove the file, if it is there."""
    path.unlink(missing_ok=True)


def unlink_all(paths: Sequence[Path]) -> None:
    """Remove the files that are there."""
    for path in paths:
        unlink(path)


def write_all(descriptor: int, chunk: bytes, position: int) -> None:
    """Write the whole chunk at that place of the file."""
    view = memoryview(chunk)
    while view:
        written = os.pwrite(descriptor, view, position)
        view = view[written:]
        position += written


def replace(path: Path, raw: bytes) -> None:
    """Put a short file in the place of another one: whoever reads it finds either."""
    made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, raw, 0)
        finally:
            os.close(descriptor)
        made.rename(path)
    except OSError:
        unlink(made)
        raise


def sync_directory(directory: Path | str) -> None:
    """Make the directory's entries durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
