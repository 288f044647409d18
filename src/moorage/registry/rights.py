"""The facts for a decision, before a request is acted on and again where it writes."""

from moorage.auth.policy import require
from moorage.db import access, locks, repositories
from moorage.db.access import Found
from moorage.db.engine import Tx
from moorage.model.access import Action, Actor, Facts, RepositoryTarget, TagOf, UploadOf
from moorage.model.artifacts import Repository
from moorage.oci.names import RepositoryName
from moorage.registry.services import Services

Place = RepositoryTarget | TagOf | UploadOf


async def find(s: Services, actor: Actor, name: RepositoryName) -> Found:
    """Return the repository of that name, if there is one, with the facts about the actor."""

    async def read(tx: Tx) -> Found:
        return await access.find_target(tx, actor.subject, name)

    return await s.db.read(read)


async def find_standing(s: Services, actor: Actor) -> Facts:
    """Return the facts for what concerns the whole registry."""
    if actor.kind == "operator":
        return Facts(standing=2)
    if not actor.is_signed_in:
        return Facts()

    async def read(tx: Tx) -> Facts:
        return await access.find_standing(tx, actor.subject)

    return await s.db.read(read)


async def hold(tx: Tx, actor: Actor, action: Action, target: Place) -> Found:
    """Decide once more, inside the transaction that acts; what it finds holds until its end.

    Whoever takes the right away does so before or after, never in between: once a revocation has
    been acknowledged, nothing is written on the strength of the right that it took.

    Raises:
        Unauthorized, NotPermitted: the right has gone since the request was let in.
    """
    name = target.name if isinstance(target, RepositoryTarget) else target.repository
    if actor.is_signed_in:
        await locks.share_access(tx, actor.subject.principal_id, name.namespace)
    found = await access.find_target(tx, actor.subject, name)
    require(actor, action, target, found.facts)
    return found


async def hold_for_push(s: Services, tx: Tx, actor: Actor, target: Place) -> Repository:
    """Decide on a push as `hold` does, and return the repository, made if it was not there."""
    found = await hold(tx, actor, Action.PUSH, target)
    return await made(s, tx, found, target)


async def made(s: Services, tx: Tx, found: Found, target: Place) -> Repository:
    """Return the repository that was found for a push, made if it was not there."""
    if found.repository is not None:
        return found.repository
    name = target.name if isinstance(target, RepositoryTarget) else target.repository
    repository, _ = await repositories.put_repository(tx, name, s.config.visibility, s.clock.now())
    return repository
