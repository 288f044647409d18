"""Repositories as a whole: deleted with all that is in them, and brought back."""

import msgspec

from moorage.auth.policy import require
from moorage.db import access, locks, removals, repositories, tags
from moorage.db.engine import Tx
from moorage.db.removals import Removed
from moorage.db.tags import Outcome
from moorage.errors import Conflicting, Invalid, NotFound
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.artifacts import Repository, TagChange
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import rights
from moorage.registry.services import Services
from moorage.registry.tag_guard import TagGuard, tag_guard
from moorage.registry.trash import kept_until

_TAGS = 1_000


async def delete_repository(s: Services, actor: Actor, name: RepositoryName, by: TagChange) -> int:
    """Put a repository into the trash with all that is in it; return until when it is there.

    Its name is free at once. What is written in the namespace meanwhile has come to its end before,
    or does not find the repository any more: nothing that was acknowledged goes unseen.

    Raises:
        Unauthorized, NotPermitted: the actor may not delete there.
        NotFound: there is no such repository.
        TagProtected: a rule does not let the actor delete one of its tags.
    """

    async def write(tx: Tx) -> int:
        repository = await rights.hold_repository(tx, actor, Action.DELETE, name)
        found = await access.find_target(tx, actor.subject, name)
        await _check_tags(tx, await tag_guard(tx, actor, found, repository))
        now = s.clock.now()
        until = await removals.remove(tx, repository.id, repository.name, kept_until(s, now))
        data = {"repository": repository.name, "id": repository.id, "until": until}
        await s.events.publish(tx, Event.of(repository, "repository.deleted", now, by, data))
        return until

    return await s.db.write(write)


async def restore_repository(
    s: Services,
    actor: Actor,
    name: RepositoryName,
    by: TagChange,
    *,
    number: int = 0,
    new_name: RepositoryName | None = None,
) -> Repository:
    """Bring back the repository of that name that was deleted last, or the one of that id.

    It has the tags, rules, grants and visibility that it had.

    Raises:
        Unauthorized, NotPermitted: the actor may not delete in it, or not push under the new name.
        NotFound: there is none in the trash.
        Conflicting: there is another repository of that name by now.
        Invalid: the new name is in another namespace.
    """
    wanted = new_name or name
    if wanted.namespace != name.namespace:
        raise Invalid("a repository comes back in its own namespace")

    async def write(tx: Tx) -> Repository:
        if actor.is_signed_in:
            await locks.share_principal(tx, actor.subject.principal_id)
        await locks.take_namespace(tx, name.namespace)
        kept, until = await allow_removed(tx, actor, name, number)
        now = s.clock.now()
        if until <= now:
            raise NotFound(f"the time of {name} in the trash is over")
        if wanted != name:
            there = await access.find_target(tx, actor.subject, wanted)
            require(actor, Action.PUSH, RepositoryTarget(wanted), there.facts)
        if await repositories.find_repository(tx, wanted) is not None:
            raise Conflicting(
                f"there is another repository {wanted} by now",
                hint="Restore it under another name",
            )
        await removals.bring_back(tx, kept, until, wanted)
        made = msgspec.structs.replace(kept, name=wanted)
        await repositories.put_everybody(tx, made)
        data = {"repository": wanted, "before": name, "id": made.id}
        await s.events.publish(tx, Event.of(made, "repository.restored", now, by, data))
        return made

    return await s.db.write(write)


async def require_removed(s: Services, actor: Actor, name: RepositoryName) -> None:
    """Let pass who may bring back the deleted repository of that name; as `allow_removed`."""
    await s.db.read(lambda tx: allow_removed(tx, actor, name, 0))


async def allow_removed(
    tx: Tx, actor: Actor, name: RepositoryName, number: int
) -> tuple[Repository, int]:
    """Decide on a deleted repository within a transaction; return it, and until when it is there.

    Who would not be told of it if it never was, is told the same now, however visible it was.

    Raises:
        Unauthorized, NotPermitted: the actor may not delete in it.
        NotFound: there is none in the trash.
    """
    found, until = await removals.find_removed(tx, actor.subject, name, number)
    hidden = msgspec.structs.replace(found.facts, exists=False, visibility="private")
    require(actor, Action.DELETE, RepositoryTarget(name), hidden)
    if found.repository is None:
        raise NotFound(f"there is no repository {name} in the trash")
    return found.repository, until


async def list_removed(
    s: Services, actor: Actor, namespace: str, after: int, limit: int
) -> list[Removed]:
    """Return up to `limit` repositories in the namespace's trash with ids above `after`.

    Raises:
        Unauthorized, NotPermitted: the actor may not delete in all of the namespace.
        NotFound: there is no such namespace.
    """

    async def read(tx: Tx) -> list[Removed]:
        place = await rights.allow_namespace(tx, actor, Action.DELETE, namespace)
        return await removals.list_removed(tx, place.id, after, limit)

    return await s.db.read(read, pages=True)


async def _check_tags(tx: Tx, guard: TagGuard) -> None:
    """Let nobody be rid of a tag by deleting all that is around it."""
    if not guard.rules:
        return
    after = ""
    while True:
        found = await tags.list_tags(tx, guard.repository.id, after, _TAGS)
        for each in map(Tag, found):
            if not guard.of(each).may_delete:
                guard.check(each, Outcome.PROTECTED)
        if len(found) < _TAGS:
            return
        after = found[-1]
