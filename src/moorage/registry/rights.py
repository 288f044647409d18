"""The facts for a decision, before a request is acted on and again where it writes."""

from collections.abc import Iterable

from moorage.auth.policy import require, require_whole
from moorage.db import access, locks, repositories
from moorage.db.access import Found, FoundNamespace
from moorage.db.engine import Tx
from moorage.errors import NotFound
from moorage.model.access import (
    Action,
    Actor,
    Facts,
    Namespace,
    RepositoryTarget,
    System,
    TagOf,
    UploadOf,
)
from moorage.model.artifacts import Repository
from moorage.model.people import NamespaceRecord
from moorage.oci.names import RepositoryName
from moorage.registry.services import Services

Place = RepositoryTarget | TagOf | UploadOf


async def find(s: Services, actor: Actor, name: RepositoryName) -> Found:
    """Return the repository of that name, if there is one, with the facts about the actor."""
    return await s.db.read(lambda tx: access.find_target(tx, actor.subject, name))


async def find_standing(s: Services, actor: Actor) -> Facts:
    """Return the facts for what concerns the whole registry."""
    if actor.kind == "operator":
        return Facts(standing=2)
    if not (actor.is_signed_in or actor.subject.is_early):
        return Facts()
    return await s.db.read(lambda tx: access.find_standing(tx, actor.subject))


async def hold(tx: Tx, actor: Actor, action: Action, target: Place) -> Found:
    """Decide once more, inside the transaction that acts; what it finds holds until its end.

    Whoever takes the right away does so before or after, never in between: once a revocation has
    been acknowledged, nothing is written on the strength of the right that it took. Nor does a
    repository go meanwhile that was found.

    Raises:
        Unauthorized, NotPermitted: the right has gone since the request was let in.
    """
    name = target.name if isinstance(target, RepositoryTarget) else target.repository
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


async def require_administrator(s: Services, actor: Actor) -> None:
    """Let administrators of the registry pass.

    Raises:
        Unauthorized, NotPermitted: the actor is none.
    """
    require(actor, Action.ADMINISTER, System(), await find_standing(s, actor))


async def allow_administrator(tx: Tx, actor: Actor) -> None:
    """Decide within a transaction, as `require_administrator`."""
    require(actor, Action.ADMINISTER, System(), await access.find_standing(tx, actor.subject))


async def require_namespace(
    s: Services, actor: Actor, action: Action, name: str
) -> NamespaceRecord:
    """Return the namespace if the actor may do this to it.

    Raises:
        Unauthorized, NotPermitted: the actor may not, or there is none for all that it may know.
        NotFound: the actor may, and there is none.
    """
    return await s.db.read(lambda tx: allow_namespace(tx, actor, action, name))


async def allow_namespace(tx: Tx, actor: Actor, action: Action, name: str) -> NamespaceRecord:
    """Decide on the namespace within a transaction, and return it; as `require_namespace`."""
    found = await access.find_namespace_target(tx, actor.subject, name)
    require(actor, action, Namespace(name), found.facts)
    return _present(found, name)


async def hold_administration(tx: Tx, actor: Actor, principals: Iterable[int] = ()) -> None:
    """Decide once more on an administrator, and let what the principals are doing come to its end.

    One such transaction follows the other: who looks at how many administrators are left sees all.

    Raises:
        Unauthorized, NotPermitted: the right has gone since the request was let in.
    """
    await locks.take_administration(tx)
    await _take(tx, actor, principals)
    require(actor, Action.ADMINISTER, System(), await access.find_standing(tx, actor.subject))


async def hold_namespace(
    tx: Tx, actor: Actor, action: Action, name: str, principals: Iterable[int] = ()
) -> NamespaceRecord:
    """Decide once more on the namespace, with nothing being written in it nor by the principals.

    Raises:
        Unauthorized, NotPermitted: the right has gone since the request was let in.
        NotFound: the namespace has.
    """
    await _take(tx, actor, principals)
    await locks.take_namespace(tx, name)
    return await allow_namespace(tx, actor, action, name)


async def hold_repository(
    tx: Tx, actor: Actor, action: Action, name: RepositoryName, principals: Iterable[int] = ()
) -> Repository:
    """Decide once more on the repository, with nothing being written in its namespace.

    Raises:
        Unauthorized, NotPermitted: the right has gone since the request was let in.
        NotFound: the repository has.
    """
    await _take(tx, actor, principals)
    await locks.take_namespace(tx, name.namespace)
    return await allow_repository(tx, actor, action, name)


async def allow_repository(
    tx: Tx, actor: Actor, action: Action, name: RepositoryName
) -> Repository:
    """Decide on the repository within a transaction, and return it; as `hold_repository`."""
    found = await access.find_target(tx, actor.subject, name)
    require(actor, action, RepositoryTarget(name), found.facts)
    if found.repository is None:
        raise NotFound(f"there is no repository {name}")
    return found.repository


async def require_repository(
    s: Services, actor: Actor, action: Action, name: RepositoryName
) -> Repository:
    """Return the repository if the actor may do this to it; as `require_namespace`."""
    return await s.db.read(lambda tx: allow_repository(tx, actor, action, name))


async def hold_own(tx: Tx, actor: Actor) -> None:
    """Let an account pass to what is its own, with its writes at an end.

    Raises:
        Unauthorized: nobody is signed in, or by what has ended.
        NotPermitted: it is no account, or came by a token that is confined to something.
    """
    if actor.is_signed_in:
        await locks.take_principal(tx, actor.subject.principal_id)
    await require_own(tx, actor)


async def require_own(tx: Tx, actor: Actor) -> int:
    """Decide as `hold_own`, where nothing is written, and return the account's id."""
    require_whole(actor, await access.find_standing(tx, actor.subject))
    return actor.subject.principal_id


async def _take(tx: Tx, actor: Actor, principals: Iterable[int]) -> None:
    taken = set(principals)
    own = {actor.subject.principal_id} if actor.is_signed_in else set()
    for each in sorted(taken | own):
        if each in taken:
            await locks.take_principal(tx, each)
        else:
            await locks.share_principal(tx, each)


def _present(found: FoundNamespace, name: str) -> NamespaceRecord:
    if found.namespace is None:
        raise NotFound(f"there is no namespace {name}")
    return found.namespace
