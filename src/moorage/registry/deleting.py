"""Deletes the objects that no blob has any more, once nothing can be reading them.

The job of the store. What people delete, tags, manifests and blobs, is in `delete.py`.
"""

import asyncio
from collections.abc import Sequence

from moorage.db import blobs
from moorage.db import collection_runs as runs
from moorage.db.blobs import DueDelete
from moorage.db.collection_runs import Counts
from moorage.db.engine import Tx
from moorage.jobs.queue import Running
from moorage.registry.collecting import Collecting, Stopped, Watch
from moorage.registry.services import Services

# What an object store removes in some calls at once, of a thousand each.
_BATCH = 4_000
_PAGE = 5 * _BATCH
_SLICE = 1_000


async def delete(s: Services, watch: Watch, running: Running) -> None:
    """Delete every object whose time has come.

    A location is never used again, so nobody can give it back to a blob meanwhile: the row goes
    after the object, and what is deleted twice does no harm.
    """
    run = Collecting(s, watch, running, "delete")

    async def work() -> None:
        gone: Sequence[DueDelete] = ()
        while page := await _list_due(run, gone):
            for start in range(0, len(page), _BATCH):
                due = page[start : start + _BATCH]
                # The rows of those before go while the store is busy with these.
                for each in await asyncio.gather(
                    _end(run, gone), _delete(run, due), return_exceptions=True
                ):
                    if each is not None:
                        raise each
                gone = due
        await _end(run, gone)

    await run.attempt(work)


async def _list_due(run: Collecting, gone: Sequence[DueDelete]) -> Sequence[DueDelete]:
    """Return what is due but for what is gone already and still has its rows."""
    now = run.now()
    known = {each.location for each in gone}

    async def read(tx: Tx) -> list[DueDelete]:
        pause = await runs.find_pause(tx, now)
        if pause is not None:
            raise Stopped(pause)
        found = await blobs.list_due_deletes(tx, now, _PAGE + len(known))
        # Looked for last: a hold that comes after this is of a backup that names none of these, so
        # they may still go when it is there.
        return [] if await runs.is_store_held(tx, now) else found

    found = await run.s.db.read(read, pages=True)
    return [each for each in found if each.location not in known][:_PAGE]


async def _delete(run: Collecting, due: Sequence[DueDelete]) -> None:
    named = [each.location for each in due if each.blob_id is not None]
    if named:
        run.s.telemetry.log.error("objects to delete have blobs", objects=named)
    await run.s.blobs.delete([each.location for each in due if each.blob_id is None])


async def _end(run: Collecting, due: Sequence[DueDelete]) -> None:
    """Remove the rows, and count what was deleted."""
    for start in range(0, len(due), _SLICE):
        some = due[start : start + _SLICE]

        async def end(tx: Tx, _: int, some: Sequence[DueDelete] = some) -> tuple[Counts, None]:
            await blobs.end_deletes(tx, [each.location for each in some])
            gone = [each for each in some if each.blob_id is None]
            size = sum(each.size for each in gone)
            return Counts(looked=len(some), objects=len(gone), bytes=size), None

        await run.write(end)
