"""Whether the database and the store answer, in a time that whoever asks can wait for."""

import asyncio
from collections.abc import Awaitable, Callable

from moorage.blobs.store import BlobStore
from moorage.clock import new_id
from moorage.db.engine import Database
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
        found = await asyncio.gather(*(self._look_at(name) for name in self._checks))
        return dict(zip(self._checks, found, strict=True))

    async def _look_at(self, name: str) -> bool:
        earlier = self._asking.get(name)
        try:
            async with asyncio.timeout(_SECONDS):
                # A question from before tells that it is well; that it failed may be the past.
                if earlier is not None and not earlier.done() and await asyncio.shield(earlier):
                    return True
                return await asyncio.shield(self._question(name))
        except TimeoutError:
            self._log.error("not ready", dependency=name, reason=f"silent for {_SECONDS} s")
            return False

    def _question(self, name: str) -> asyncio.Task[bool]:
        """Return the question that is under way, or begin one."""
        task = self._asking.get(name)
        if task is None or task.done():
            task = self._asking[name] = asyncio.create_task(self._ask(name, self._checks[name]))
        return task

    async def _ask(self, name: str, check: Check) -> bool:
        try:
            await check()
        except (RegistryError, OSError) as error:
            self._log.error("not ready", dependency=name, exc_info=error)
            return False
        return True

    async def _database(self) -> None:
        await self._db.read(lambda tx: list_repositories(tx, "", 1))

    async def _storage(self) -> None:
        await self._blobs.free()
        try:
            # Only a store that has its bucket and lets us in says that there is no such object.
            async for _ in self._blobs.read(new_id(), 0, 1):
                pass
        except FileNotFoundError:
            return
