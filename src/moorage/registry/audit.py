"""The audit trail: the job that seals it, and pages of it for whoever may see them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from moorage.auth.chain import ORIGIN, Point, SealKey, seal_of
from moorage.auth.policy import require
from moorage.clock import MINUTE
from moorage.db import access, audit, events, locks, settings
from moorage.db.access import Found
from moorage.db.engine import BEYOND_ALL, Database, Tx
from moorage.jobs.queue import Running
from moorage.model.access import Action, Actor, Namespace, RepositoryTarget, System
from moorage.model.audit import Entry, Filter, Head, Refusal
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.services import Services

REFUSED = "refused"
# Processes write what they refused within seconds; by then nobody adds to a minute any more.
_SETTLED = 2
# Each transaction of a job is to keep the right to write for 20 ms at most.
_SLICE = 100
_WINDOW = 500
_WINDOWS = 4


class Broken(Exception):
    """The trail is not as it was sealed: nothing more may be sealed on top of it."""


class Page(msgspec.Struct, frozen=True):
    """Entries, newest first; `before` is where the next page begins, 0 if there is none.

    A page may have fewer entries than were asked for, or none, while there are more behind it: a
    look goes through a bounded number of entries that do not match.
    """

    entries: list[Entry]
    before: int


async def seal_key(db: Database) -> SealKey:
    """Return the key that heads of this registry's trail are signed with."""
    return SealKey(await settings.secret(db, "audit"))


async def seal(s: Services, running: Running) -> None:
    """Make entries of what was refused, and give all entries their places in the chain.

    Raises:
        Broken: somebody has changed the head; it is left as it is, for people to look at.
    """
    key = await seal_key(s.db)

    async def settle(tx: Tx) -> int:
        return await _settle(tx, s.clock.now() // MINUTE - _SETTLED)

    while await running.write(settle) == _SLICE:
        pass

    async def chain(tx: Tx) -> tuple[int, Head | None]:
        return await seal_some(tx, key, s.clock.now(), _SLICE)

    sealed, head = await running.write(chain)
    while sealed == _SLICE:
        sealed, further = await running.write(chain)
        head = further or head
    if head is not None:
        # Wherever the log goes, it tells later whether the trail was cut off or written anew. It is
        # routine: nobody at a terminal waits for it.
        s.telemetry.log.debug(
            "audit sealed",
            place=head.place,
            seal=head.seal.hex(),
            key=head.key_id,
            signature=head.signature.hex(),
        )


async def seal_some(tx: Tx, key: SealKey, now: int, limit: int) -> tuple[int, Head | None]:
    """Seal up to `limit` entries in the order of their ids; return how many, and the new head.

    Entries get their places here and not when they are written, so that one that is committed late
    comes later and is neither lost nor there twice.

    Raises:
        Broken: the head is not signed by the key, or is missing though there are sealed entries.
    """
    await locks.lock_trail(tx)
    head = await audit.find_head(tx)
    if head is not None and not key.public.has_signed(head):
        raise Broken(f"the head at place {head.place} is not signed by the key {key.public.id}")
    if head is None and await audit.find_stray(tx) is not None:
        raise Broken("entries are sealed, but the chain has no head")
    end = Point(head.place, head.seal) if head is not None else ORIGIN
    sealed = []
    for entry in await audit.list_unsealed(tx, 0, limit):
        placed = msgspec.structs.replace(entry, place=end.place + 1)
        end = Point(placed.place, seal_of(end.seal, placed))
        sealed.append(msgspec.structs.replace(placed, seal=end.seal))
    if not sealed:
        return 0, None
    made = key.sign(end, now)
    await audit.put_seals(tx, sealed, made)
    return len(sealed), made


async def list_entries(
    s: Services, actor: Actor, filters: Mapping[Filter, str], before: int, limit: int
) -> Page:
    """Return entries below the id `before`, newest first; 0 begins with the newest.

    Of a namespace or a repository for its owners and auditors, of the whole registry for
    administrators.

    Raises:
        Unauthorized, NotPermitted: the actor may not see them.
        NameInvalid: no repository can have the name that is looked for.
    """
    repository = filters.get(Filter.REPOSITORY)
    namespace = filters.get(Filter.NAMESPACE)
    if repository is not None:
        name = RepositoryName.parse(repository)
        require(
            actor, Action.AUDIT, RepositoryTarget(name), (await rights.find(s, actor, name)).facts
        )
    elif namespace is not None:
        found = await _find_namespace(s, actor, namespace)
        require(actor, Action.AUDIT, Namespace(namespace), found.facts)
    else:
        require(actor, Action.AUDIT, System(), await rights.find_standing(s, actor))
    return await read_entries(s.db, filters, before, limit)


async def read_entries(
    db: Database, filters: Mapping[Filter, str], before: int, limit: int
) -> Page:
    """Return entries as `list_entries` does, for whoever has the database itself.

    Raises:
        NameInvalid: no repository can have the name that is looked for.
    """
    by = await _index_of(db, filters)
    if by is None:
        return Page([], 0)
    found: list[Entry] = []
    before = before or BEYOND_ALL
    for _ in range(_WINDOWS):
        entries = await _window(db, by, before)
        for entry in entries:
            before = entry.id
            if _matches(entry, filters, by):
                found.append(entry)
                if len(found) == limit:
                    return Page(found, before)
        if len(entries) < _WINDOW:
            return Page(found, 0)
    return Page(found, before)


async def _window(db: Database, by: Mapping[str, Any], before: int) -> list[Entry]:
    return await db.read(lambda tx: audit.list_newest(tx, by, before, _WINDOW), pages=True)


async def _index_of(db: Database, filters: Mapping[Filter, str]) -> dict[str, Any] | None:
    """Return by what the entries are found, None if it does not exist; the rest is compared.

    Raises:
        NameInvalid: no repository can have the name.
    """
    name = filters.get(Filter.REPOSITORY, "")
    namespace = RepositoryName.parse(name).namespace if name else filters.get(Filter.NAMESPACE, "")
    if not namespace:
        return {"actor": filters[Filter.ACTOR]} if Filter.ACTOR in filters else {}
    namespace_id, repository_id = await db.read(lambda tx: audit.find_ids(tx, namespace, name))
    by = {"repository_id": repository_id} if name else {"namespace_id": namespace_id}
    return by if all(by.values()) else None


def _matches(entry: Entry, filters: Mapping[Filter, str], by: Mapping[str, Any]) -> bool:
    if "actor" not in by and entry.actor != filters.get(Filter.ACTOR, entry.actor):
        return False
    return entry.action == filters.get(Filter.ACTION, entry.action)


async def _find_namespace(s: Services, actor: Actor, name: str) -> Found:
    return await s.db.read(lambda tx: access.find_namespace(tx, actor.subject, name))


async def _settle(tx: Tx, before: int) -> int:
    """Make entries of refusals of minutes before `before`; return how many."""
    taken = await audit.take_refusals(tx, before, _SLICE)
    for refused in taken:
        await _add(tx, refused)
    return len(taken)


async def _add(tx: Tx, refused: Refusal) -> None:
    namespace_id, repository_id = await audit.find_ids(tx, **audit.ids_of(refused.repository))
    told = {
        "refused": refused.action,
        "repository": refused.repository,
        "times": refused.times,
        "reason": refused.reason,
    }
    await events.add_audit(
        tx,
        actor=refused.actor,
        credential=refused.credential,
        request_id=refused.request_id,
        action=REFUSED,
        repository_id=repository_id,
        namespace_id=namespace_id,
        address=refused.address,
        detail=msgspec.json.encode({name: value for name, value in told.items() if value != ""}),
        now=refused.minute * MINUTE,
    )
