"""A directory of backups: one pool of objects by their digests, and what each backup names of it.

    moorage-backups           says what this directory is
    lock                      held by whoever changes something here
    incoming/                 objects that are being written
    objects/ab/<sha256>       the pool: what is here is whole, and never changed
    backups/<id>/             tables, indexes, and last of all `manifest.json`

A backup without its manifest is none. All is for its owner alone: 0600 and 0700.
"""

import fcntl
import hashlib
import io
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from moorage.blobs.disk import sync_directory
from moorage.errors import Refused

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
OBJECTS_INDEX, MANIFESTS_INDEX = "objects.idx", "manifests.idx"
TABLES = "tables"
_MARK, _TOLD = "moorage-backups", b"moorage backups 1\n"
_ID = re.compile(r"[0-9]{8}T[0-9]{9}Z-[0-9a-f]{8}", re.ASCII)
_STAMP = "%Y%m%dT%H%M%S"
_DAMAGED = ".damaged"
_OBJECT = re.compile(r"[0-9a-f]{64}(\.damaged)?", re.ASCII)


class Vault:
    """One directory of backups."""

    def __init__(self, root: Path) -> None:
        """Name it; `make` or `require` says that it is one."""
        self.root = root
        self._pool = root / "objects"
        self._incoming = root / "incoming"
        self._backups = root / "backups"

    def make(self) -> None:
        """Make the directory a place for backups, durably, if it is not one yet.

        Raises:
            Refused: it can't be written, or there is something else in it.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._is_vault():
                if not self._is_barely_begun():
                    raise Refused(
                        f"{self.root} is no directory of backups.",
                        why="It is not empty, and no backup was ever made there.",
                        do="Name an empty directory, or one that is not there yet.",
                        exit_code=2,
                    )
                # Said before anything else is made: whoever is killed here can go on later.
                write_file(self.root / _MARK, _TOLD)
                sync_directory(self.root)
            fans = [self._pool / f"{number:02x}" for number in range(256)]
            # `backups` is the last: where it is, the rest is.
            for directory in (self._incoming, self._pool, *fans, self._backups):
                directory.mkdir(exist_ok=True, mode=0o700)
            for directory in (self._pool, self.root, self.root.parent):
                sync_directory(directory)
        except OSError as error:
            raise _unusable(self.root, error) from error

    def require(self) -> None:
        """Do nothing for a directory of backups.

        Raises:
            Refused: it is none, or can't be read.
        """
        try:
            if self._is_vault() and self._backups.is_dir():
                return
        except OSError as error:
            raise _unusable(self.root, error) from error
        raise Refused(
            f"There are no backups in {self.root}.",
            why="It is no directory that `moorage backup create` has made.",
            do="Name the directory that holds the backups.",
            exit_code=3,
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from changing or verifying what is here; it ends with the process.

        Raises:
            Refused: somebody else does.
        """
        try:
            # To read is enough, so that a directory that can't be written can be verified.
            flags = os.O_RDWR | os.O_CREAT if os.access(self.root, os.W_OK) else os.O_RDONLY
            descriptor = os.open(self.root / "lock", flags | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(self.root, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise Refused(
                f"{self.root} is in use.",
                why="A backup is being made, verified, pruned or restored there.",
                do="Wait until it has ended.",
                exit_code=9,
            ) from error
        finally:
            os.close(descriptor)

    def ids(self) -> list[str]:
        """Return the complete backups, the oldest first."""
        return [each for each in self._named() if (self._backups / each / MANIFEST).exists()]

    def directory(self, backup_id: str) -> Path:
        """Return where a backup's own files are."""
        return self._backups / backup_id

    def new_id(self, now: int) -> str:
        """Return the name of a backup that begins now: behind all that are there, by any clock."""
        last = max((_time_of(each) for each in self.ids()), default=0)
        at = max(now, last + 1)
        moment = datetime.fromtimestamp(at // 1000, UTC).strftime(_STAMP)
        return f"{moment}{at % 1000:03}Z-{secrets.token_hex(4)}"

    def begin(self, backup_id: str) -> Path:
        """Make the directory of a new backup, and clear away what was broken off before."""
        self.clear()
        directory = self._backups / backup_id
        (directory / TABLES).mkdir(parents=True, mode=0o700)
        directory.chmod(0o700)
        return directory

    def clear(self) -> None:
        """Remove what was broken off: backups without a manifest, objects without a name."""
        for each in set(self._named()) - set(self.ids()):
            shutil.rmtree(self._backups / each)
        for path in self._incoming.iterdir():
            path.unlink()

    def complete(self, backup_id: str, manifest: bytes) -> None:
        """Make everything durable, and only then write the manifest, which makes it a backup."""
        for fan in self._pool.iterdir():
            sync_directory(fan)
        directory = self._backups / backup_id
        for place in (directory / TABLES, directory, self._backups):
            sync_directory(place)
        unnamed = directory / f"{MANIFEST}.new"
        write_file(unnamed, manifest)
        unnamed.rename(directory / MANIFEST)
        sync_directory(directory)

    def remove(self, backup_id: str) -> None:
        """Remove a backup; from the first step on it is none. Its objects stay in the pool."""
        directory = self._backups / backup_id
        (directory / MANIFEST).unlink(missing_ok=True)
        sync_directory(directory)
        shutil.rmtree(directory)

    def path_of(self, sha256: bytes) -> Path:
        """Return where an object of that digest is, or would be."""
        name = sha256.hex()
        return self._pool / name[:2] / name

    def has(self, sha256: bytes, size: int) -> bool:
        """Tell whether the object is there in its whole length."""
        try:
            return self.path_of(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def receive(self, sha256: bytes) -> "Incoming":
        """Return what an object of that digest is written to, once it is opened."""
        return Incoming(self._incoming / secrets.token_hex(16), self.path_of(sha256), sha256)

    def pooled(self, first: int) -> Iterator[Path]:
        """Yield the objects of the pool whose digest begins with that byte, set aside or not."""
        for entry in os.scandir(self._pool / f"{first:02x}"):
            if _OBJECT.fullmatch(entry.name):
                yield Path(entry.path)

    def _named(self) -> list[str]:
        return sorted(e.name for e in os.scandir(self._backups) if _ID.fullmatch(e.name))

    def _is_vault(self) -> bool:
        try:
            return (self.root / _MARK).read_bytes() == _TOLD
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _is_barely_begun(self) -> bool:
        """Tell whether there is nothing, or nothing but what `make` writes first, cut off."""
        if {entry.name for entry in self.root.iterdir()} <= {_MARK}:
            mark = self.root / _MARK
            return not mark.exists() or _TOLD.startswith(mark.read_bytes())
        return False


class Incoming:
    """An object that is being written to the pool."""

    def __init__(self, path: Path, target: Path, sha256: bytes) -> None:
        """Write nothing yet; `open` begins a file of its own, which `finish` gives its name."""
        self._path = path
        self._target = target
        self._sha256 = sha256
        self._hashed = hashlib.sha256()
        self._file: BinaryIO = io.BytesIO()  # until there is one

    def open(self) -> None:
        """Make the file."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb")

    def write(self, chunk: bytes) -> None:
        """Write on."""
        self._hashed.update(chunk)
        self._file.write(chunk)

    def finish(self) -> bool:
        """Make it an object of the pool; False, and nothing is there, if it has another digest.

        The pool's directory is synced by `Vault.complete`.
        """
        if self._hashed.digest() != self._sha256:
            self.discard()
            return False
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.rename(self._target)
        return True

    def discard(self) -> None:
        """Give it up."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def set_aside(path: Path) -> None:
    """Have a damaged object of the pool count as absent, so that the next backup writes it anew."""
    path.rename(path.with_name(path.name + _DAMAGED))


def write_file(path: Path, raw: bytes) -> None:
    """Write a whole file durably, for its owner alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def _time_of(backup_id: str) -> int:
    stamp = backup_id.partition("Z")[0]
    moment = datetime.strptime(stamp[:-3], _STAMP).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000 + int(stamp[-3:])


def is_backup_id(text: str) -> bool:
    """Tell whether a backup can be called that."""
    return _ID.fullmatch(text) is not None


def _unusable(root: Path, error: OSError) -> Refused:
    return Refused(
        f"The directory of backups {root} can't be used.",
        why=error.strerror or str(error),
        do="See that it is there and that this user may read and write it.",
        exit_code=1,
    )
