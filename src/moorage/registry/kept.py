"""Backups as they lie in their directory: listed, verified to the last byte, and pruned.

Nothing here asks a database: what is needed in the worst hour are the files alone.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from moorage.auth.chain import PublicKey
from moorage.blobs.vault import (
    MANIFEST,
    MANIFESTS_INDEX,
    OBJECTS_INDEX,
    SIGNATURE,
    TABLES,
    Vault,
    is_backup_id,
    set_aside,
)
from moorage.blobs.vault_index import MANIFEST as MANIFEST_WIDTH
from moorage.blobs.vault_index import OBJECT, Index
from moorage.blobs.vault_rows import Damaged, Rows, hash_file
from moorage.errors import Refused
from moorage.model.backup import FORMAT, Manifest, Signature
from moorage.oci.digest import Digest, digest_of

_AT_ONCE = 4
_SHA256 = b"\x01"
# Names of tables are names of files here: nobody's manifest may lead elsewhere.
_NAME = re.compile(r"[a-z_]+", re.ASCII)


class Kept(msgspec.Struct, frozen=True):
    """A complete backup: what its manifest says, and the digest of that."""

    manifest: Manifest
    digest: Digest


class Problem(msgspec.Struct, frozen=True):
    """Something that is not as it was written; `backup` is empty where it is in the pool."""

    backup: str
    what: str


class Verified(msgspec.Struct, frozen=True):
    """What a look at everything found."""

    backups: tuple[str, ...]
    objects: int
    bytes: int
    problems: tuple[Problem, ...]


class Pruned(msgspec.Struct, frozen=True):
    """What was removed."""

    backups: tuple[str, ...]
    objects: int
    bytes: int


def find(path: Path) -> tuple[Vault, str]:
    """Return the directory of backups that is meant, and the one in it; empty if none is named.

    Raises:
        Refused: there is neither.
    """
    path = path.absolute()
    if is_backup_id(path.name) and path.parent.name == "backups":
        vault = Vault(path.parent.parent)
        vault.require()
        if path.name not in vault.ids():
            raise Refused(
                f"There is no complete backup {path.name} in {vault.root}.",
                why="It was broken off, or removed.",
                do="`moorage backup list` shows what there is.",
                exit_code=3,
            )
        return vault, path.name
    vault = Vault(path)
    vault.require()
    return vault, ""


def read(vault: Vault, backup_id: str) -> Kept:
    """Return a complete backup.

    Raises:
        Refused: its manifest is damaged, or a later release has made it.
    """
    path = vault.directory(backup_id) / MANIFEST
    try:
        raw = path.read_bytes()
        found = msgspec.json.decode(raw, type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise Refused(
            f"The manifest of the backup {backup_id} can't be read.",
            why=str(error),
            do="Take another backup of the directory.",
            exit_code=7,
        ) from error
    if not all(_NAME.fullmatch(each.name) for each in found.tables) or found.id != backup_id:
        raise Refused(
            f"The manifest of the backup {backup_id} is not one of Moorage's.",
            why="It names what is not there, or another backup.",
            do="Take another backup of the directory.",
            exit_code=7,
        )
    if found.format != FORMAT:
        raise Refused(
            f"The backup {backup_id} is of the format {found.format}, this release reads {FORMAT}.",
            why=f"Moorage {found.version} has made it.",
            do="Use that release, or a later one.",
        )
    return Kept(found, digest_of(raw))


def list_kept(vault: Vault) -> list[Kept]:
    """Return the complete backups, the youngest first.

    Raises:
        Refused: one of them can't be read.
    """
    return [read(vault, each) for each in reversed(vault.ids())]


def holding(vault: Vault, sha256: bytes) -> list[str]:
    """Return the complete backups that have a blob or a manifest of that digest.

    Raises:
        OSError: they can't be read.
    """
    found = []
    for each in vault.ids():
        for name, width in ((OBJECTS_INDEX, OBJECT), (MANIFESTS_INDEX, MANIFEST_WIDTH)):
            with Index(vault.directory(each) / name, width) as index:
                if sha256 in index:
                    found.append(each)
                    break
    return found


def check_files(vault: Vault, kept: Kept, key: PublicKey | None) -> list[str]:
    """Return what is wrong with a backup's own files; the pool is another matter."""
    directory, manifest = vault.directory(kept.manifest.id), kept.manifest
    problems = []
    for path, size, sha256 in _files(directory, manifest):
        try:
            if hash_file(path) != (size, sha256):
                problems.append(f"{path.name} has other bytes than its manifest says")
        except OSError as error:
            problems.append(f"{path.name} can't be read: {error.strerror}")
    if not problems:
        problems += _check_manifest_rows(directory)
    if key is not None and not _is_signed(directory, key):
        problems.append(f"the manifest is not signed by the key {key.id}")
    return problems


def _files(directory: Path, manifest: Manifest) -> Iterator[tuple[Path, int, str]]:
    for each in manifest.tables:
        yield directory / TABLES / f"{each.name}.jsonl.gz", each.size, each.sha256
    for name, index in (
        (OBJECTS_INDEX, manifest.objects),
        (MANIFESTS_INDEX, manifest.manifests),
    ):
        yield directory / name, index.size, index.sha256


def _check_manifest_rows(directory: Path) -> list[str]:
    """Hash the manifests of images, whose bytes are in the rows."""
    problems = []
    try:
        with Rows(directory / TABLES / "manifest.jsonl.gz") as rows:
            identity = rows.header.columns.index("identity")
            raw = rows.header.columns.index("raw")
            problems = [
                f"the manifest {Digest.from_key(row[identity])} has other bytes"
                for row in rows
                if digest_of(row[raw]).key != row[identity]
            ]
    except Damaged as damaged:
        problems = [str(damaged)]
    return problems


def maker_of(vault: Vault, backup_id: str) -> str:
    """Return the id of the key that a backup says it is signed by, empty if that can't be read."""
    found = _signature(vault.directory(backup_id))
    return found.key_id if found is not None else ""


def _is_signed(directory: Path, key: PublicKey) -> bool:
    found = _signature(directory)
    raw = (directory / MANIFEST).read_bytes()
    if found is None or found.key_id != key.id:
        return False
    return key.has_signed_backup(raw, found.signature)


def _signature(directory: Path) -> Signature | None:
    try:
        return msgspec.json.decode((directory / SIGNATURE).read_bytes(), type=Signature)
    except (OSError, msgspec.DecodeError):
        return None


async def verify(
    vault: Vault, chosen: list[Kept], key: PublicKey | None, tell: Callable[[int], None]
) -> Verified:
    """Read everything that the backups are made of, and hash it.

    What is damaged in the pool is set aside, where that can be written, so that the next backup
    brings it anew.
    """
    problems: list[Problem] = []
    sound = []
    for kept in chosen:
        found = await asyncio.to_thread(check_files, vault, kept, key)
        problems += [Problem(kept.manifest.id, each) for each in found]
        if not any(each.startswith(OBJECTS_INDEX) for each in found):
            sound.append(kept.manifest.id)
    count = size = 0
    for first in range(256):
        wanted = await asyncio.to_thread(_named_under, vault, sound, first)
        waiting = iter(sorted(wanted.items()))

        async def check_each(waiting: Iterator[tuple[bytes, tuple[int, str]]]) -> None:
            for sha256, (length, backup_id) in waiting:
                what = await asyncio.to_thread(_check_object, vault, sha256, length)
                if what:
                    problems.append(Problem(backup_id, what))

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(check_each(waiting))
        count += len(wanted)
        size += sum(length for length, _ in wanted.values())
        tell(count)
    names = tuple(kept.manifest.id for kept in chosen)
    return Verified(names, count, size, tuple(problems))


def _named_under(vault: Vault, ids: list[str], first: int) -> dict[bytes, tuple[int, str]]:
    """Return the objects that begin with that byte: the size, and a backup that names it."""
    found: dict[bytes, tuple[int, str]] = {}
    for each in ids:
        with Index(vault.directory(each) / OBJECTS_INDEX, OBJECT) as index:
            for sha256, size in index.under(first):
                found.setdefault(sha256, (size, each))
    return found


def _check_object(vault: Vault, sha256: bytes, size: int) -> str:
    path = vault.path_of(sha256)
    try:
        if hash_file(path) == (size, sha256.hex()):
            return ""
        told = f"the object sha256:{sha256.hex()} has other bytes"
    except FileNotFoundError:
        return f"the object sha256:{sha256.hex()} is missing"
    except OSError as error:
        return f"the object sha256:{sha256.hex()} can't be read: {error.strerror}"
    try:
        set_aside(path)
    except OSError:
        return told
    return f"{told}, and was set aside"


def prune(vault: Vault, keep: int) -> Pruned:
    """Remove all but the youngest backups, and the objects that none of these names.

    Raises:
        Refused: the files of one that stays are damaged, so that what it names can't be known.
        OSError: something can't be removed.
    """
    ids = vault.ids()
    going, staying = ids[:-keep], ids[-keep:]
    for each in staying:
        manifest = read(vault, each).manifest
        path = vault.directory(each) / OBJECTS_INDEX
        if hash_file(path) != (manifest.objects.size, manifest.objects.sha256):
            raise Refused(
                f"The backup {each} is damaged: nothing was removed.",
                why="What it names of the pool can't be told.",
                do="See `moorage backup verify`; make a new backup before you remove this one.",
                exit_code=7,
            )
    for each in going:
        vault.remove(each)
    vault.clear()
    objects = size = 0
    with ExitStack() as stack:
        indexes = [
            stack.enter_context(Index(vault.directory(each) / OBJECTS_INDEX, OBJECT))
            for each in staying
        ]
        for first in range(256):
            named = {sha256.hex() for index in indexes for sha256, _ in index.under(first)}
            for path in vault.pooled(first):
                if path.name not in named:
                    size += path.stat().st_size
                    objects += 1
                    path.unlink()
    return Pruned(tuple(going), objects, size)


def key_of(digest: Digest) -> bytes:
    """Return the raw sha256 of a digest.

    Raises:
        Refused: it is of another algorithm, by which backups know nothing.
    """
    if digest.key[:1] != _SHA256:
        raise Refused(
            f"{digest} is no sha256.",
            why="Backups name everything by its sha256 alone.",
            do="`moorage gc --explain DIGEST` says which that is.",
            exit_code=2,
        )
    return digest.key[1:]
