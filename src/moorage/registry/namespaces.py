"""Namespaces, and how visible what is in them is."""

from moorage.auth.policy import decide, require
from moorage.db import access, locks, members, repositories
from moorage.db import grants as grant_rows
from moorage.db import namespaces as rows
from moorage.db.engine import Tx
from moorage.errors import Conflicting, Invalid
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, RepositoryTarget, Role, System
from moorage.model.artifacts import Repository, TagChange
from moorage.model.people import NamespaceRecord
from moorage.oci.names import DEFAULT_NAMESPACE, RepositoryName, is_component
from moorage.registry import accounts, rights
from moorage.registry.services import Services

VISIBILITIES = ("private", "internal", "public")


async def list_namespaces(
    s: Services, actor: Actor, after: str, limit: int
) -> list[NamespaceRecord]:
    """Return up to `limit` namespaces behind `after`; for administrators, of all there are.

    Others see those in which they were given anything, if only one repository.
    """
    facts = await rights.find_standing(s, actor)
    require(actor, Action.CATALOG, System(), facts)
    sees_all = decide(actor, Action.ADMINISTER, System(), facts).allowed or actor.kind == "local"

    async def read(tx: Tx) -> list[NamespaceRecord]:
        if sees_all:
            return await rows.list_namespaces(tx, after, limit)
        if not actor.is_signed_in:
            return []
        return await rows.list_own_namespaces(tx, actor.subject, after, limit)

    return await s.db.read(read, pages=True)


async def create_organisation(
    s: Services, actor: Actor, name: str, by: TagChange, *, visibility: str = "private"
) -> NamespaceRecord:
    """Make an organisation, whose owner is the account that makes it.

    Raises:
        Invalid: the name is no name of a namespace.
        Conflicting: it is taken.
    """
    require(actor, Action.CREATE_NAMESPACE, System(), await rights.find_standing(s, actor))
    _check_visibility(visibility)
    if not is_component(name) or name in accounts.RESERVED - {DEFAULT_NAMESPACE}:
        raise Invalid(
            "that is no name of a namespace",
            hint="Use lower-case letters, digits, and single . _ or - between them",
        )

    async def write(tx: Tx) -> NamespaceRecord:
        await locks.take_namespace(tx, name)
        facts = await access.find_standing(tx, actor.subject)
        require(actor, Action.CREATE_NAMESPACE, System(), facts)
        now = s.clock.now()
        made = await rows.add_namespace(tx, name, "organisation", visibility, now)
        if made is None:
            raise Conflicting(f"there is a namespace {name} already")
        if actor.kind == "account":
            owner = actor.subject.principal_id
            await grant_rows.put_grant(tx, owner, (made, 0), Role.OWNER, by.actor, now)
        data = {"namespace": name, "visibility": visibility}
        await s.events.publish(tx, Event("namespace.created", 0, now, by, data, made))
        return NamespaceRecord(made, name, "organisation", visibility)

    return await s.db.write(write)


async def set_default_visibility(
    s: Services, actor: Actor, name: str, visibility: str, by: TagChange
) -> NamespaceRecord:
    """Say how visible the repositories are that pushes will make; those that are there stay."""
    await rights.require_namespace(s, actor, Action.CONFIGURE, name)
    _check_visibility(visibility)

    async def write(tx: Tx) -> NamespaceRecord:
        place = await rights.hold_namespace(tx, actor, Action.CONFIGURE, name)
        await rows.set_default_visibility(tx, place.id, visibility)
        data = {"namespace": name, "visibility": visibility, "before": place.visibility}
        event = Event("namespace.visibility-changed", 0, s.clock.now(), by, data, place.id)
        await s.events.publish(tx, event)
        return NamespaceRecord(place.id, name, place.kind, visibility)

    return await s.db.write(write)


async def delete_namespace(s: Services, actor: Actor, name: str, by: TagChange) -> None:
    """Remove a namespace that has no repositories, robots or teams; its name is free again.

    Raises:
        Conflicting: it has some.
    """
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, name)

    async def write(tx: Tx) -> None:
        place = await rights.hold_namespace(tx, actor, Action.MANAGE_ACCESS, name)
        if place.kind == "personal" and await members.find_principal(tx, name) is not None:
            raise Conflicting(f"the namespace {name} stays as long as the account does")
        left = await rows.is_in_use(tx, place.id)
        if left:
            hint = "Wait for its end" if "trash" in left else "Delete them first"
            raise Conflicting(f"the namespace {name} still has {left}", hint=hint)
        await rows.end_namespace(tx, place.id)
        event = Event("namespace.deleted", 0, s.clock.now(), by, {"namespace": name}, place.id)
        await s.events.publish(tx, event)

    await s.db.write(write)


async def create_repository(
    s: Services, actor: Actor, name: RepositoryName, by: TagChange, *, visibility: str = ""
) -> Repository:
    """Make an empty repository, as visible as its namespace says or as is asked for.

    Raises:
        Conflicting: there is one.
        Unauthorized, NotPermitted: the actor may not push there, or may not say how visible it is.
    """
    target = RepositoryTarget(name)
    require(actor, Action.PUSH, target, (await rights.find(s, actor, name)).facts)
    if visibility:
        _check_visibility(visibility)

    async def write(tx: Tx) -> Repository:
        before = await rights.hold(tx, actor, Action.PUSH, target)
        if before.repository is not None:
            raise Conflicting(f"there is a repository {name} already")
        now = s.clock.now()
        made, _ = await repositories.put_repository(tx, name, s.config.visibility, now)
        if visibility not in ("", made.visibility):
            require(actor, Action.CONFIGURE, target, before.facts)
            made = await _make_visible(tx, made, visibility)
        data = {"repository": name, "visibility": made.visibility}
        await s.events.publish(tx, Event.of(made, "repository.created", now, by, data))
        return made

    return await s.db.write(write)


async def set_visibility(
    s: Services, actor: Actor, name: RepositoryName, visibility: str, by: TagChange
) -> Repository:
    """Say who finds and reads the repository besides those with a right in it.

    Raises:
        Unauthorized, NotPermitted: the actor may not configure it, or there is none.
    """
    target = RepositoryTarget(name)
    require(actor, Action.CONFIGURE, target, (await rights.find(s, actor, name)).facts)
    _check_visibility(visibility)

    async def write(tx: Tx) -> Repository:
        before = await rights.hold_repository(tx, actor, Action.CONFIGURE, name)
        made = await _make_visible(tx, before, visibility)
        data = {"repository": name, "visibility": visibility, "before": before.visibility}
        event = Event.of(made, "repository.visibility-changed", s.clock.now(), by, data)
        await s.events.publish(tx, event)
        return made

    return await s.db.write(write)


async def _make_visible(tx: Tx, repository: Repository, visibility: str) -> Repository:
    await rows.set_visibility(tx, repository.id, visibility)
    made = Repository(repository.id, repository.namespace_id, repository.name, visibility)
    await repositories.put_everybody(tx, made)
    return made


def _check_visibility(visibility: str) -> None:
    if visibility not in VISIBILITIES:
        raise Invalid(f"a visibility is one of {', '.join(VISIBILITIES)}")
