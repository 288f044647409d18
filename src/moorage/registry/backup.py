"""Takes a backup beside the running server: the metadata at one moment, then every object of it.

Objects never change, and are deleted only by way of the delete queue. So a hold on the whole store
comes first, then the snapshot, then the objects, of which those that an earlier backup brought are
there already: what the snapshot names is there, whatever is pushed and deleted meanwhile. The hold
has to be renewed, so that a backup that was killed does not keep everything for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from moorage import __version__
from moorage.auth.chain import SealKey
from moorage.blobs.store import BlobStore
from moorage.blobs.vault import (
    MANIFESTS_INDEX,
    OBJECTS_INDEX,
    SIGNATURE,
    TABLES,
    Vault,
    write_file,
)
from moorage.blobs.vault_index import record_of, write_index
from moorage.blobs.vault_rows import Header, Rows, write_rows
from moorage.clock import MINUTE, Clock
from moorage.db import backups as rows
from moorage.db import purge, snapshot
from moorage.db.engine import Database, Tx
from moorage.db.schema import SCHEMA_VERSION
from moorage.db.snapshot import Content, Snapshot
from moorage.errors import Refused, Unavailable
from moorage.events.outbox import Event, Outbox
from moorage.model.artifacts import TagChange
from moorage.model.backup import FORMAT, IndexFile, Manifest, Signature, TableFile
from moorage.oci.digest import Digest, digest_of
from moorage.registry.audit import seal_key
from moorage.registry.kept import maker_of
from moorage.registry.move import Step, Tell

Value = TypeVar("Value")

HOLD = 15 * MINUTE
EXTEND_SECONDS = 60.0
_AT_ONCE = 8
_MOST_BACKUPS = 10_000
_TODO = Header(
    "todo", ("sha256", "size", "location", "state"), ("bytes", "integer", "text", "text")
)


class Source(msgspec.Struct, frozen=True):
    """The registry that is backed up; `snapshot` takes one, and may use that file for it."""

    db: Database
    clock: Clock
    blobs: BlobStore
    snapshot: Callable[[Path], Snapshot]


class Made(msgspec.Struct, frozen=True):
    """A complete backup, with the digest of its manifest and what had to be copied for it."""

    manifest: Manifest
    digest: Digest
    copied: int
    copied_bytes: int


class Backup:
    """One backup into a directory of backups, which is locked and named as on `host`."""

    def __init__(self, source: Source, vault: Vault, host: str, by: TagChange, tell: Tell) -> None:
        """Have done nothing yet; `tell` is called often."""
        self._source = source
        self._vault = vault
        self._by = by
        self._tell = tell
        now = source.clock.now()
        self._row = rows.Backup(vault.new_id(now), host, str(vault.root), rows.RUNNING, now)
        self._lost: set[bytes] = set()
        self._copied = self._copied_bytes = 0

    async def make(self) -> Made:
        """Take the backup.

        Raises:
            Refused: the directory can't be written, or has another registry's backups, or objects
                were deleted because the hold had ended while this process stood still.
            Unavailable: the database or the store does not answer.
        """
        # Before the snapshot, which is to have the key that the manifest is signed with.
        key = await seal_key(self._source.db)
        await _on_disk(self._require_own, key)
        directory = await _on_disk(self._vault.begin, self._row.id)
        async with self._holding():
            taken = await _on_disk(self._take, directory)
            self._tell(Step("metadata", sum(each.rows for each in taken.tables)))
            await self._copy_all(directory)
            return await self._complete(directory, taken, key)

    def _require_own(self, key: SealKey) -> None:
        """Do nothing in a directory of this registry's backups: others would be pruned with them.

        Raises:
            Refused: those that are there are another one's.
        """
        for each in self._vault.ids()[-1:]:
            maker = maker_of(self._vault, each)
            if maker not in ("", key.public.id):
                raise Refused(
                    f"{self._vault.root} has the backups of another registry.",
                    why="They would be counted and pruned together.",
                    do="Name another directory.",
                    exit_code=9,
                )

    @asynccontextmanager
    async def _holding(self) -> AsyncIterator[None]:
        """Keep every object where it is until the block ends."""
        db, number = self._source.db, self._row.id
        there = set(await _on_disk(self._vault.ids))

        async def begin(tx: Tx) -> None:
            await self._reconcile(tx, there)
            await rows.hold_store(tx, number, self._source.clock.now() + HOLD)
            await rows.put_backup(tx, self._row)

        async def end(tx: Tx) -> None:
            await rows.release_store(tx, number)
            if self._row.state == rows.RUNNING:
                await rows.drop_backup(tx, number)

        await db.write(begin)
        extending = asyncio.create_task(self._extend())
        try:
            yield
        finally:
            extending.cancel()
            await db.write(end)

    async def _extend(self) -> None:
        while True:
            await asyncio.sleep(EXTEND_SECONDS)
            with suppress(Unavailable):  # the next time may be early enough
                await self._is_still_held()

    async def _is_still_held(self) -> bool:
        """Tell whether nothing was deleted since the hold began, and hold on longer."""
        now = self._source.clock.now()
        return await self._source.db.write(
            lambda tx: rows.extend_hold(tx, self._row.id, now, now + HOLD)
        )

    async def _reconcile(self, tx: Tx, there: set[str]) -> None:
        """Forget what is no longer in the directory, and what was broken off there."""
        for known in await rows.list_backups_in(tx, self._row.host, self._row.place, _MOST_BACKUPS):
            if known.id not in there:
                await rows.drop_backup(tx, known.id)
                await rows.release_store(tx, known.id)
            elif known.state == rows.RUNNING:  # it came to its end, and could not say so
                await rows.put_backup(tx, msgspec.structs.replace(known, state=rows.COMPLETE))
                await rows.release_store(tx, known.id)

    def _take(self, directory: Path) -> Manifest:
        """Write down what the database has now; what is left open is for `_complete`."""
        taken_at = self._source.clock.now()
        shot = self._source.snapshot(directory / "snapshot.db")
        try:
            tables = tuple(self._write_table(directory, shot, name) for name in snapshot.tables())
            write_rows(directory / "todo", _TODO, snapshot.contents(shot))
            listed = write_index(directory / MANIFESTS_INDEX, snapshot.manifests(shot))
            return Manifest(
                format=FORMAT,
                id=self._row.id,
                version=__version__,
                schema=SCHEMA_VERSION,
                taken_at=taken_at,
                ended_at=0,
                tables=tables,
                objects=IndexFile(0, 0, ""),
                manifests=IndexFile(*listed),
                bytes=0,
                lost=(),
                counters=shot.counters(),
            )
        finally:
            shot.close()

    def _write_table(self, directory: Path, shot: Snapshot, table: sa.Table) -> TableFile:
        name = snapshot.name_of(table)
        header = Header(name, *snapshot.columns_of(table))
        path = directory / TABLES / f"{name}.jsonl.gz"
        count, size, sha256 = write_rows(path, header, snapshot.rows(shot, table))
        return TableFile(name, count, size, sha256)

    async def _copy_all(self, directory: Path) -> None:
        done = 0
        with Rows(directory / "todo") as listed:
            waiting = (Content(*row) for row in listed)

            async def copy_each(waiting: Iterator[Content]) -> None:
                nonlocal done
                for content in waiting:
                    await self._copy(content)
                    done += 1
                    self._tell(Step("objects", done))

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(_AT_ONCE):
                        group.create_task(copy_each(waiting))
            except ExceptionGroup as several:
                raise several.exceptions[0] from several

    async def _copy(self, content: Content) -> None:
        if await _on_disk(self._vault.has, content.sha256, content.size):
            return
        if content.state == "live" and await self._fetch(content, content.location):
            return
        # Bytes that were damaged may have been pushed anew since: they are elsewhere now.
        digest = Digest.from_key(b"\x01" + content.sha256)
        current = await self._source.db.read(lambda tx: purge.find_blob(tx, digest))
        is_elsewhere = current is not None and current.location != content.location
        if current is not None and is_elsewhere and await self._fetch(content, current.location):
            return
        if not await self._is_still_held():
            raise Refused(
                "The backup was stopped for so long that collection went on without it.",
                why=f"{digest} is no longer there.",
                do="Make it again: what it has copied so far is kept.",
            )
        self._lost.add(content.sha256)

    async def _fetch(self, content: Content, location: str) -> bool:
        """Bring an object into the pool; False if its bytes are not there or not right."""
        incoming = self._vault.receive(content.sha256)
        try:
            await _on_disk(incoming.open)
            async for chunk in self._source.blobs.read(location, 0, content.size):
                await _on_disk(incoming.write, chunk)
            if not await _on_disk(incoming.finish):
                return False
        except (OSError, EOFError):  # of the store: those of the pool are `Refused`
            await _on_disk(incoming.discard)
            return False
        except BaseException:
            incoming.discard()
            raise
        self._copied += 1
        self._copied_bytes += content.size
        return True

    async def _complete(self, directory: Path, taken: Manifest, key: SealKey) -> Made:
        objects, size = await _on_disk(self._index_objects, directory)
        now = self._source.clock.now()
        lost = tuple(f"sha256:{each.hex()}" for each in sorted(self._lost))
        manifest = msgspec.structs.replace(
            taken, ended_at=now, objects=objects, bytes=size, lost=lost
        )
        raw = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
        await _on_disk(self._write_manifest, directory, raw, key)
        self._row = msgspec.structs.replace(
            self._row,
            state=rows.COMPLETE,
            taken_at=manifest.taken_at,
            ended_at=now,
            objects=objects.count,
            bytes=size,
            digest=digest_of(raw).key[1:],
        )
        data = {
            "backup": self._row.id,
            "host": self._row.host,
            "place": self._row.place,
            "manifest": digest_of(raw),
            "objects": objects.count,
            "lost": len(lost),
        }

        async def note(tx: Tx) -> None:
            await rows.put_backup(tx, self._row)
            await rows.release_store(tx, self._row.id)
            await Outbox().publish(tx, Event("backup.made", 0, now, self._by, data))

        await self._source.db.write(note)
        return Made(manifest, digest_of(raw), self._copied, self._copied_bytes)

    def _index_objects(self, directory: Path) -> tuple[IndexFile, int]:
        size = 0

        def records() -> Iterator[bytes]:
            nonlocal size
            with Rows(directory / "todo") as listed:
                for content in (Content(*row) for row in listed):
                    if content.sha256 not in self._lost:
                        size += content.size
                        yield record_of(content.sha256, content.size)

        written = IndexFile(*write_index(directory / OBJECTS_INDEX, records()))
        (directory / "todo").unlink()
        return written, size

    def _write_manifest(self, directory: Path, raw: bytes, key: SealKey) -> None:
        signature = Signature(key.public.id, key.sign_backup(raw))
        write_file(directory / SIGNATURE, msgspec.json.encode(signature))
        self._vault.complete(self._row.id, raw)


async def _on_disk(work: Callable[..., Value], *arguments: object) -> Value:
    """Do something with the directory of backups, in a thread.

    When the caller is cancelled, it has ended all the same.

    Raises:
        Refused: it can't be read or written.
    """
    step = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        # A file must not be closed, nor forgotten, while the thread still opens or writes it.
        await asyncio.wait({step})
        raise
    except OSError as error:
        raise Refused(
            "The backup can't be written.",
            why=error.strerror or str(error),
            do="Make room there, then make it again: what it has copied so far is kept.",
        ) from error
