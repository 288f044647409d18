"""Whether the database and the store answer, in a time that whoever asks can wait for."""

import asyncio
from collections.abc import Awaitable, Callable

from moorage.blobs.store import BlobStore
from moorage.clock import new_id
from moorage.db.engine import Database, Tx
from moorage.db.repositories import list_repositories
from moorage.errors import RegistryError
from moorage.telemetry import Telemetry

# Probes give up after a few seconds; ours is to have named what hangs before that.
_SECONDS = 2.0

Check = Callable[[], Awaitable[None]]


class Readiness:
    """Asks each dependency, one question at a time, however many want to know the answer.

    A question that hangs goes on when its time is over: giving it up would take as long, and a new
    one for each probe would soon hold every connection.
    """

    def __init__(self, db: Database, blobs: BlobStore, telemetry: Telemetry) -> None:
        """Have asked nothing yet."""
        self._db = db
        self._blobs = blobs
        self._log = telemetry.log
        self._checks: dict[str, Check] = {"database": self._database, "storage": self._storage}
        self._asking: dict[str, asyncio.Task[bool]] = {}

    async def look(self) -> dict[str, bool]:
        """Return for each dependency whether it answers as it should, within two seconds."""
        for name, check in self._checks.items():
            task = self._asking.get(name)
            if task is None or task.done():
                self._asking[name] = asyncio.create_task(self._ask(name, check))
        asked = dict(self._asking)
        done, _ = await asyncio.wait(asked.values(), timeout=_SECONDS)
        for name, task in asked.items():
            if task not in done:
                self._log.error("not ready", dependency=name, reason=f"silent for {_SECONDS} s")
        return {name: task in done and task.result() for name, task in asked.items()}

    async def _ask(self, name: str, check: Check) -> bool:
        try:
            await check()
        except (RegistryError, OSError) as error:
            self._log.error("not ready", dependency=name, exc_info=error)
            return False
        return True

    async def _database(self) -> None:
        async def read(tx: Tx) -> list[str]:
            return await list_repositories(tx, "", 1)

        await self._db.read(read)

    async def _storage(self) -> None:
        await self._blobs.free()
        try:
            # Only a store that has its bucket and lets us in says that there is no such object.
            async for _ in self._blobs.read(new_id(), 0, 1):
                pass
        except FileNotFoundError:
            return
