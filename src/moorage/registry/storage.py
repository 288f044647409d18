"""What is stored for whom, what is largest, and what a clean-up would free.

Numbers of a namespace are for those who may read all of it, and tell of nothing outside it: what
it shares with others counts as its own.
"""

import heapq

import msgspec

from moorage.auth.policy import decide
from moorage.db import access, keepers, storage, usage
from moorage.db import namespaces as rows
from moorage.db.engine import Tx
from moorage.model.access import Action, Actor, Namespace
from moorage.oci.digest import Digest
from moorage.registry import collection, namespaces, rights
from moorage.registry.services import Services

# Links are gone through in pages, up to so many of a repository or a namespace.
_PAGE = 2_000
_MOST_PAGES = 50
_MOST_LARGEST = 100
_MOST_SHARERS = 10
_MOST_CANDIDATES = 1_000


class NamespaceUsage(msgspec.Struct, frozen=True):
    """A namespace and its bytes, each blob counted once; None for who may not read all of it."""

    name: str
    kind: str
    bytes: int | None


class RepositoryUsage(msgspec.Struct, frozen=True):
    """A repository's bytes, and those that no other one of its namespace has (`own`).

    `more` says that it has more than were added up.
    """

    name: str
    bytes: int
    own: int
    blobs: int
    more: bool


class RepositoryUsages(msgspec.Struct, frozen=True):
    """A page of repositories in ASCII order; `after` begins the next one."""

    rows: tuple[RepositoryUsage, ...]
    after: str


class Large(msgspec.Struct, frozen=True):
    """A blob, and some of the repositories of the namespace that have it."""

    digest: Digest
    size: int
    repositories: tuple[str, ...]
    more: bool


class Largest(msgspec.Struct, frozen=True):
    """The largest blobs of a namespace; `more` says that not all of it was looked at."""

    rows: tuple[Large, ...]
    more: bool


class CleanUp(msgspec.Struct, frozen=True, kw_only=True):
    """What a clean-up would free, and when the rest follows; times are 0 where nothing does.

    `due_…` can be deleted now. `later_…` waits for its time, which begins at `first_at` and ends at
    `last_at`. `candidates` would go at the next run with their bytes, which are then deleted later
    as well. `more` says that there are more than were counted.
    """

    due_objects: int
    due_bytes: int
    later_objects: int
    later_bytes: int
    first_at: int
    last_at: int
    candidates: int
    candidate_bytes: int
    paused: str
    more: bool


async def list_namespaces(
    s: Services, actor: Actor, after: str, limit: int
) -> list[NamespaceUsage]:
    """Return up to `limit` of the namespaces behind `after` that the actor sees, with their bytes.

    Raises:
        Unauthorized, NotPermitted: nobody is signed in, or not for this.
    """
    found = await namespaces.list_namespaces(s, actor, after, limit)

    async def read(tx: Tx) -> list[NamespaceUsage]:
        told = []
        for each in found:
            target = await access.find_namespace_target(tx, actor.subject, each.name)
            place = Namespace(each.name)
            may_read = decide(actor, Action.PULL, place, target.facts).allowed
            size = await usage.find_usage(tx, each.id) if may_read else None
            told.append(NamespaceUsage(each.name, each.kind, size))
        return told

    return await s.db.read(read, pages=True)


async def list_repositories(
    s: Services, actor: Actor, namespace: str, after: str, limit: int
) -> RepositoryUsages:
    """Return up to `limit` repositories of the namespace behind `after`, with their bytes.

    Raises:
        Unauthorized, NotPermitted: the actor may not read all of the namespace.
        NotFound: there is no such namespace.
    """
    place = await rights.require_namespace(s, actor, Action.PULL, namespace)
    found = await s.db.read(
        lambda tx: rows.list_repositories_in(tx, place.id, after, limit + 1), pages=True
    )
    told = tuple([await _usage(s, number, name) for number, name in found[:limit]])
    return RepositoryUsages(told, told[-1].name if len(found) > limit else "")


async def _usage(s: Services, repository_id: int, name: str) -> RepositoryUsage:
    after = total = own = count = 0
    for _ in range(_MOST_PAGES):

        async def read(tx: Tx, after: int = after) -> list[storage.Stored]:
            return await storage.list_links(tx, repository_id, after, _PAGE)

        found = await s.db.read(read, pages=True)
        total += sum(each.size for each in found)
        own += sum(each.size for each in found if not each.is_shared)
        count += len(found)
        if len(found) < _PAGE:
            return RepositoryUsage(name, total, own, count, more=False)
        after = found[-1].blob_id
    return RepositoryUsage(name, total, own, count, more=True)


async def list_largest(s: Services, actor: Actor, namespace: str, limit: int) -> Largest:
    """Return the largest blobs of the namespace, at most 100, and who in it shares them.

    Raises:
        Unauthorized, NotPermitted: the actor may not read all of the namespace.
        NotFound: there is no such namespace.
    """
    place = await rights.require_namespace(s, actor, Action.PULL, namespace)
    wanted = min(limit, _MOST_LARGEST)
    largest: list[tuple[int, int]] = []
    after, more = 0, True
    for _ in range(_MOST_PAGES):

        async def read(tx: Tx, after: int = after) -> list[tuple[int, int]]:
            return await storage.list_sizes(tx, place.id, after, _PAGE)

        found = await s.db.read(read, pages=True)
        sizes = {(size, number) for number, size in found}
        largest = heapq.nlargest(wanted, sizes.union(largest))
        if len(found) < _PAGE:
            more = False
            break
        after = found[-1][0]

    async def told(tx: Tx) -> tuple[Large, ...]:
        made = []
        for size, number in largest:
            digest = await storage.find_identity(tx, number)
            names = await storage.list_sharers(tx, place.id, number, _MOST_SHARERS + 1)
            if digest is not None:
                some = tuple(names[:_MOST_SHARERS])
                made.append(Large(digest, size, some, len(names) > _MOST_SHARERS))
        return tuple(made)

    return Largest(await s.db.read(told, pages=True), more)


async def plan_clean_up(s: Services, actor: Actor) -> CleanUp:
    """Return what a clean-up would free now and what follows; changes nothing.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    state = await collection.find_state(s, actor)
    planned = await collection.preview(s, actor, _MOST_CANDIDATES)
    going = [each for each in planned if not each.why]
    now = s.clock.now()

    async def read(tx: Tx) -> CleanUp:
        due = await storage.sum_queued(tx, now, due=True)
        later = await storage.sum_queued(tx, now, due=False)
        most = storage.MOST_QUEUED
        return CleanUp(
            due_objects=due.objects,
            due_bytes=due.bytes,
            later_objects=later.objects,
            later_bytes=later.bytes,
            first_at=await keepers.next_delete(tx),
            last_at=await storage.find_last_delete(tx, now),
            candidates=len(going),
            candidate_bytes=sum(each.size for each in going),
            paused=state.pause.reason if state.pause is not None else "",
            more=max(due.objects, later.objects) > most or len(planned) == _MOST_CANDIDATES,
        )

    return await s.db.read(read, pages=True)
