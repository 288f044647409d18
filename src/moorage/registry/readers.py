"""Keeps the catalogue's candidates beside the grants: at once for the first, by jobs for the rest.

Only candidates: a page of the catalogue looks at the grants again, so one that is late shows nobody
what he may not read.
"""

from functools import partial

import msgspec

from moorage.db import grants, members, namespaces
from moorage.db.engine import Tx
from moorage.db.repositories import END_READER
from moorage.jobs.queue import Running, Work
from moorage.registry.services import Services

_SLICE = 50
_KEEP, _FORGET = "readers.keep", "readers.forget"


class _Kept(msgspec.Struct, frozen=True):
    principal_id: int
    namespace_id: int
    after: str


def work() -> dict[str, Work]:
    """Return what each job's name does."""
    return {_KEEP: _keep_all, _FORGET: _forget_all}


async def keep(s: Services, tx: Tx, principal_id: int, namespace_id: int) -> None:
    """Have the principal find in the namespace what its grants there now let it read."""
    after = await _keep_some(tx, _Kept(principal_id, namespace_id, ""))
    if after:
        key = f"{principal_id} {namespace_id}"
        # From the beginning: one that waits already may be about an earlier grant.
        payload = _Kept(principal_id, namespace_id, "")
        await s.jobs.enqueue(tx, _KEEP, payload, key=key)


async def forget(s: Services, tx: Tx, principal_id: int) -> None:
    """Have a principal that has ended find nothing."""
    await s.jobs.enqueue(tx, _FORGET, principal_id, key=str(principal_id))


async def _keep_some(tx: Tx, place: _Kept) -> str:
    found = await namespaces.list_repositories_in(tx, place.namespace_id, place.after, _SLICE)
    for number, name in found:
        await grants.keep_reader(tx, place.principal_id, place.namespace_id, number, name)
    return found[-1][1] if len(found) == _SLICE else ""


async def _keep_all(running: Running) -> None:
    place = msgspec.json.decode(running.job.payload, type=_Kept)
    while True:
        after = await running.write(partial(_keep_some, place=place))
        if not after:
            return
        place = _Kept(place.principal_id, place.namespace_id, after)


async def _forget_all(running: Running) -> None:
    principal_id = msgspec.json.decode(running.job.payload, type=int)

    async def some(tx: Tx) -> int:
        names = await members.list_readable_of(tx, principal_id, _SLICE)
        for name in names:
            await tx.run(END_READER, principal_id=principal_id, name=name)
        return len(names)

    while await running.write(some) == _SLICE:
        pass
