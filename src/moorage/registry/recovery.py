"""Makes a registry of a backup, in a database that has just its rows and a store that has nothing.

Every object is hashed on its way. Until all are there the registry says so, and refuses to start;
a run that was interrupted goes on where it stopped.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec

from moorage.blobs.store import BlobStore, keep_nowhere
from moorage.blobs.vault import Vault
from moorage.clock import Clock, new_id
from moorage.db import alive, copying, settings
from moorage.db import backups as rows
from moorage.db.copying import BlobRow
from moorage.db.engine import Database, Tx
from moorage.db.loading import COMING, RESTORED, State
from moorage.db.walking import walk
from moorage.errors import Refused
from moorage.events.outbox import Event, Outbox
from moorage.model.artifacts import TagChange
from moorage.model.backup import Credential
from moorage.oci.digest import Digest
from moorage.registry.kept import Kept
from moorage.registry.move import Step, Tell

_AT_ONCE = 8
_CHUNK = 1 << 20
_PAGE = 500


class Target(msgspec.Struct, frozen=True):
    """Where the backup goes."""

    db: Database
    clock: Clock
    blobs: BlobStore


class Restored(msgspec.Struct, frozen=True):
    """A registry again; `lost` are digests whose bytes the backup has not, or not whole."""

    objects: int
    bytes: int
    lost: tuple[str, ...]
    credentials: tuple[Credential, ...]


async def require_empty(blobs: BlobStore) -> None:
    """Do nothing for a store without a single object.

    Raises:
        Refused: there is one.
    """
    async for each in blobs.list(""):
        raise Refused(
            "The store is not empty.",
            why=f"There is {each.location} in it, and perhaps more.",
            do="Name an empty directory or bucket: a restore mixes with nothing.",
            exit_code=9,
        )


class Recovery:
    """One restore, whose rows are there already."""

    def __init__(self, vault: Vault, kept: Kept, target: Target, by: TagChange, tell: Tell) -> None:
        """Name the backup, and where it goes; `tell` is called often."""
        self._vault = vault
        self._kept = kept
        self._target = target
        self._by = by
        self._tell = tell
        self._objects = self._bytes = 0
        self._lost: list[str] = []

    async def bring(self) -> None:
        """Bring every object that is not there yet, each verified by its digest."""
        total = self._kept.manifest.objects.count
        async for page in copying.blob_pages(self._target.db):
            waiting = iter(page)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(_AT_ONCE):
                        group.create_task(self._bring_each(waiting))
            except ExceptionGroup as several:
                raise several.exceptions[0] from several
            self._tell(Step("objects", self._objects, total))

    async def finish(self, host: str) -> Restored:
        """Say that the registry is whole, and return what it came to."""
        manifest, digest = self._kept.manifest, self._kept.digest
        now = self._target.clock.now()
        known = rows.Backup(
            manifest.id,
            host,
            str(self._vault.root),
            rows.COMPLETE,
            manifest.taken_at,
            manifest.taken_at,
            manifest.ended_at,
            manifest.objects.count,
            digest.key[1:],
            manifest.bytes,
        )
        data = {
            "backup": manifest.id,
            "taken_at": manifest.taken_at,
            "manifest": digest,
            "lost": len(self._lost),
        }
        state = msgspec.json.encode(State(str(digest), done=True)).decode()

        async def write(tx: Tx) -> None:
            await rows.put_backup(tx, known)
            await tx.run(settings.PUT_SETTING, key=RESTORED, value=state)
            await Outbox().publish(tx, Event("backup.restored", 0, now, self._by, data))

        await self._target.db.write(write)
        found = await self._credentials(now)
        return Restored(self._objects, self._bytes, tuple(sorted(self._lost)), tuple(found))

    async def _bring_each(self, page: Iterator[BlobRow]) -> None:
        for row in page:
            if row.state == COMING:
                await self._bring(row)
            elif row.state == "live":
                self._count(row)
            else:
                self._lost.append(str(row.identity))

    async def _bring(self, row: BlobRow) -> None:
        location = await self._copy(row)
        if location is None:
            self._lost.append(str(row.identity))
            await copying.put_blob_row(self._target.db, msgspec.structs.replace(row, state="lost"))
            return
        brought = msgspec.structs.replace(row, location=location, state="live")
        await copying.put_blob_row(self._target.db, brought)
        self._count(row)

    def _count(self, row: BlobRow) -> None:
        self._objects += 1
        self._bytes += row.size

    async def _copy(self, row: BlobRow) -> str | None:
        """Return where the bytes are now, None if the backup has them not, or not right."""
        store = self._target.blobs
        hashed = hashlib.sha256()
        async with store.session(await store.begin(new_id(), row.size), keep_nowhere) as session:
            try:
                written = await session.append(0, self._read(row.identity, hashed.update))
            except _Unreadable:
                await session.abort()
                return None
            if written != row.size or hashed.hexdigest() != row.identity.hex:
                await session.abort()
                return None
            finished = await session.finish()
            if finished.rest is not None:
                await asyncio.to_thread(finished.rest)
            return finished.location

    async def _read(
        self, identity: Digest, update: Callable[[bytes], None]
    ) -> AsyncIterator[bytes]:
        try:
            # Opened by a thread it would stay open where the restore is cancelled meanwhile.
            with self._vault.path_of(identity.key[1:]).open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, _CHUNK):
                    await asyncio.to_thread(update, chunk)
                    yield chunk
        except OSError as error:
            raise _Unreadable from error

    async def _credentials(self, now: int) -> list[Credential]:
        found: list[Credential] = []
        for list_some in (
            alive.list_accounts,
            lambda tx, after, limit: alive.list_tokens(tx, after, limit, now),
            alive.list_trusts,
        ):
            pages = walk(self._target.db, list_some, lambda each: each[0], 0, _PAGE)
            found += [credential async for _, credential in pages]
        return found


class _Unreadable(Exception):
    """An object of the backup is not there, or can't be read."""
