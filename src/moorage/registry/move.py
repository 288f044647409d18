"""Moves a whole registry to another database and another store, while the old one serves pulls.

Bytes go first, as long as it takes, and pushes go on meanwhile: a run that was interrupted goes on
where it stopped. Then the old registry is frozen, what has come since is fetched, the tables are
copied and compared row by row, and the new registry is told that it is whole. Until then it
refuses to start, and from the freeze on the old one refuses to be written: what is acknowledged is
always in the one that takes over.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec

from moorage.blobs.store import BlobStore, keep_nowhere
from moorage.clock import new_id
from moorage.db import copying, settings
from moorage.db.copying import BlobRow
from moorage.db.engine import Database, Row
from moorage.errors import Refused
from moorage.oci.digest import Digest, Hasher, digest_of

SOURCE, STATE = "move.source", "move.state"
COPYING, DONE = "copying", "done"
_AT_ONCE = 4
# A registry is told from another by this, which it never shows.
_OWN = "secret.upload"


class End(msgspec.Struct, frozen=True):
    """One end of the move: a registry's database and its store."""

    db: Database
    blobs: BlobStore


class Step(msgspec.Struct, frozen=True):
    """How far a part of the move is; `total` is 0 where it is not known beforehand."""

    what: str
    done: int
    total: int = 0


Tell = Callable[[Step], None]


class Moved(msgspec.Struct, frozen=True):
    """What a move has brought over; `lost` are digests whose bytes were damaged where they were."""

    rows: dict[str, int]
    lost: list[Digest]


class Move:
    """One move; `bytes_stay` says that both ends have one store, so that only rows are copied."""

    def __init__(self, source: End, target: End, tell: Tell, *, bytes_stay: bool) -> None:
        """Name both ends; `tell` is called often."""
        self._source = source
        self._target = target
        self._tell = tell
        self._bytes_stay = bytes_stay
        self._lost: set[Digest] = set()

    async def begin(self) -> None:
        """Mark the target as being filled from this source.

        Raises:
            Refused: there is something in it that did not come from here.
        """
        name = await _identity(self._source.db)
        found = await settings.get(self._target.db, SOURCE)
        if found == name:
            await settings.put(self._target.db, STATE, COPYING)
            return
        if found is not None or await _has_content(self._target.db):
            raise Refused(
                "The database to move to is not empty.",
                why="What is in it was not copied from this registry.",
                do="Name an empty database, or one that a move from here has begun to fill.",
            )
        await settings.put(self._target.db, SOURCE, name)
        await settings.put(self._target.db, STATE, COPYING)

    async def copy_blobs(self) -> None:
        """Bring over the bytes of every blob that is not there yet, each verified by its digest."""
        total = await copying.last_blob(self._source.db)
        async for rows in copying.blob_pages(self._source.db):
            waiting = iter(rows)
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(self._copy_each(waiting))
            self._tell(Step("blobs", rows[-1].id, total))

    async def finish(self) -> Moved:
        """Bring over what is left and compare; the source must be frozen.

        Raises:
            Refused: both ends are not the same afterwards.
        """
        await self.copy_blobs()
        await self._drop_blobs()
        rows = {}
        for copy in copying.table_copies():
            await copying.clear(self._target.db, copy)
            rows[copy.name] = 0
            async for page in copying.pages(self._source.db, copy):
                _check_manifests(copy, page)
                await copying.add(self._target.db, copy, page)
                rows[copy.name] += len(page)
                self._tell(Step(copy.name, rows[copy.name]))
            await copying.go_on(self._target.db, copy)
        await copying.go_on_with_blobs(self._target.db)
        await self._compare()
        await settings.put(self._target.db, STATE, DONE)
        return Moved(rows, sorted(self._lost))

    async def _copy_each(self, rows: Iterator[BlobRow]) -> None:
        for row in rows:
            await self._copy_blob(row)

    async def _copy_blob(self, row: BlobRow) -> None:
        known = await copying.find_blob_state(self._target.db, row.id)
        if known in ("live", row.state):
            return
        if self._bytes_stay or row.state != "live":
            await copying.put_blob_row(self._target.db, row)
            return
        location = await self._copy_bytes(row)
        if location is None:
            self._lost.add(row.identity)
            await copying.put_blob_row(self._target.db, msgspec.structs.replace(row, state="lost"))
            return
        await copying.put_blob_row(self._target.db, msgspec.structs.replace(row, location=location))

    async def _copy_bytes(self, row: BlobRow) -> str | None:
        """Return the bytes' new location, None if they are not what their digest says."""
        hasher = Hasher()
        store = self._target.blobs
        async with store.session(await store.begin(new_id(), row.size), keep_nowhere) as session:
            try:
                await session.append(0, self._read(row, hasher))
            except (FileNotFoundError, EOFError):
                await session.abort()
                return None
            if hasher.digest() != row.identity:
                await session.abort()
                return None
            finished = await session.finish()
            if finished.rest is not None:
                await asyncio.to_thread(finished.rest)
            return finished.location

    async def _read(self, row: BlobRow, hasher: Hasher) -> AsyncIterator[bytes]:
        async for chunk in self._source.blobs.read(row.location, 0, row.size):
            await asyncio.to_thread(hasher.update, chunk)
            yield chunk

    async def _drop_blobs(self) -> None:
        """Forget what an earlier run brought over and the source has since given up."""
        async for rows in copying.blob_pages(self._target.db):
            for row in rows:
                if await copying.find_blob_state(self._source.db, row.id) is None:
                    await copying.drop_blob_row(self._target.db, row.id)
                    if not self._bytes_stay:
                        await self._target.blobs.delete([row.location])

    async def _compare(self) -> None:
        for copy in copying.table_copies():
            self._tell(Step(f"comparing {copy.name}", 0))
            if await _fold(self._source.db, copy) != await _fold(self._target.db, copy):
                raise Refused(
                    f"The rows of {copy.name} differ after they were copied.",
                    why="Something has written to one of the two databases meanwhile.",
                    do="Run the move again; nothing is lost where you are.",
                )
        async for rows in copying.blob_pages(self._target.db):
            for row in rows:
                if row.state == "live" and await self._target.blobs.size(row.location) != row.size:
                    raise Refused(
                        f"The bytes of {row.identity} are not where they were copied to.",
                        why="The store has lost or refused them.",
                        do="Look at the store's own log, then run the move again.",
                    )
            self._tell(Step("comparing blobs", rows[-1].id))


async def _identity(db: Database) -> str:
    secret = await settings.get(db, _OWN) or ""
    return hashlib.sha256(secret.encode()).hexdigest()[:32]


async def _has_content(db: Database) -> bool:
    for copy in copying.table_copies():
        if copy.name in ("namespace", "repository", "audit"):
            async for _ in copying.pages(db, copy):
                return True
    return False


async def _fold(db: Database, copy: copying.TableCopy) -> tuple[int, str]:
    """Return how many rows there are and a digest of all of them."""
    count, folded = 0, hashlib.sha256()
    async for page in copying.pages(db, copy):
        count += len(page)
        folded.update(msgspec.msgpack.encode(page))
    return count, folded.hexdigest()


def _check_manifests(copy: copying.TableCopy, rows: list[Row]) -> None:
    if copy.name != "manifest":
        return
    identity, raw = copy.columns.index("identity"), copy.columns.index("raw")
    for row in rows:
        if digest_of(row[raw]).key != row[identity]:
            raise Refused(
                f"The manifest {Digest.from_key(row[identity])} is damaged in the old database.",
                why="Its bytes do not have its digest.",
                do="Push it again, or delete it, then run the move again.",
            )
