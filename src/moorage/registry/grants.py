"""Grants: a role for an account, a robot or a team, on a namespace or on one repository of it."""

import msgspec

from moorage.db import grants as rows
from moorage.db import members
from moorage.db.engine import Tx
from moorage.errors import NotFound, RegistryError
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, Role
from moorage.model.artifacts import TagChange
from moorage.model.people import GrantRecord, Principal
from moorage.oci.names import RepositoryName
from moorage.registry import accounts, owners, readers, rights
from moorage.registry.services import Services


class Where(msgspec.Struct, frozen=True):
    """What a grant is on: all of a namespace, or one repository of it."""

    namespace: str
    repository: RepositoryName | None = None

    @classmethod
    def of(cls, repository: RepositoryName) -> "Where":
        """Return the place of one repository."""
        return cls(repository.namespace, repository)

    def __str__(self) -> str:
        """Return it as people write it."""
        return self.repository or f"{self.namespace}/**"


async def list_grants(
    s: Services, actor: Actor, where: Where, after: tuple[int, int], limit: int
) -> list[GrantRecord]:
    """Return up to `limit` grants: of a namespace with all its repositories, or of one of these.

    `after` is the last one's `(repository_id, principal_id)`; (0, 0) begins.
    """

    async def read(tx: Tx) -> list[GrantRecord]:
        namespace_id, repository_id = await _allow(tx, actor, Action.SEE_ACCESS, where)
        if repository_id:
            place = (namespace_id, repository_id)
            return await rows.list_grants_at(tx, place, after[1], limit)
        return await rows.list_grants_in(tx, namespace_id, after, limit)

    return await s.db.read(read, pages=True)


async def put_grant(
    s: Services, actor: Actor, where: Where, who: str, role: Role, by: TagChange
) -> GrantRecord:
    """Give `who` the role there, whatever role it had there before.

    Raises:
        NotFound: there is no such account, robot or team, or none that the actor may know of.
        Conflicting: a namespace would be without an owner.
    """
    await _require(s, actor, where)

    async def write(tx: Tx) -> GrantRecord:
        whom, place = await _hold(s, tx, actor, where, who)
        before = await rows.find_grant(tx, whom.id, place)
        if before is not None and before.role is role:
            return before
        now = s.clock.now()
        await rows.put_grant(tx, whom.id, place, role, by.actor, now)
        await _follow(s, tx, actor, where, whom, place)
        told = before.role.value if before is not None else ""
        data = {"who": whom.name, "on": str(where), "role": role.value, "before": told}
        await s.events.publish(tx, Event("access.granted", place[1], now, by, data, place[0]))
        made = await rows.find_grant(tx, whom.id, place)
        assert made is not None  # noqa: S101 - written above
        return made

    return await s.db.write(write)


async def revoke_grant(s: Services, actor: Actor, where: Where, who: str, by: TagChange) -> None:
    """Take the role that `who` has exactly there; what it has elsewhere stays.

    Once this returns, nothing is written any more on the strength of the role.

    Raises:
        NotFound: it has none there, or there is nobody of that name.
        Conflicting: a namespace would be without an owner.
    """
    await _require(s, actor, where)

    async def write(tx: Tx) -> None:
        whom, place = await _hold(s, tx, actor, where, who)
        before = await rows.find_grant(tx, whom.id, place)
        if before is None:
            raise NotFound(f"{who} has no role on {where}")
        await rows.end_grant(tx, whom.id, place)
        await _follow(s, tx, actor, where, whom, place)
        data = {"who": whom.name, "on": str(where), "role": before.role.value}
        event = Event("access.revoked", place[1], s.clock.now(), by, data, place[0])
        await s.events.publish(tx, event)

    await s.db.write(write)


async def _follow(
    s: Services,
    tx: Tx,
    actor: Actor,
    where: Where,
    whom: Principal,
    place: tuple[int, int],
) -> None:
    """Bring along what follows from a change: an owner that must be left, and the catalogue."""
    if where.repository is None:
        await owners.keep_an_owner(tx, actor, [(place[0], where.namespace)])
        await readers.keep(s, tx, whom.id, place[0])
    else:
        await rows.keep_reader(tx, whom.id, place[0], place[1], where.repository)


async def _require(s: Services, actor: Actor, where: Where) -> None:
    await s.db.read(lambda tx: _allow(tx, actor, Action.MANAGE_ACCESS, where))


async def _allow(tx: Tx, actor: Actor, action: Action, where: Where) -> tuple[int, int]:
    if where.repository is not None:
        found = await rights.allow_repository(tx, actor, action, where.repository)
        return found.namespace_id, found.id
    return (await rights.allow_namespace(tx, actor, action, where.namespace)).id, 0


async def _hold(
    s: Services, tx: Tx, actor: Actor, where: Where, who: str
) -> tuple[Principal, tuple[int, int]]:
    """Decide once more, with the grantee's writes at an end; return it and the place."""
    known = await _find(s, tx, actor, who)
    take = [known.id]
    if where.repository is not None:
        repository = await rights.hold_repository(
            tx, actor, Action.MANAGE_ACCESS, where.repository, take
        )
        place = (repository.namespace_id, repository.id)
    else:
        namespace = await rights.hold_namespace(
            tx, actor, Action.MANAGE_ACCESS, where.namespace, take
        )
        place = (namespace.id, 0)
    whom = await _find(s, tx, actor, who)
    if whom.namespace_id not in (0, place[0]):
        await _see_home(tx, actor, who)
    return whom, place


async def _see_home(tx: Tx, actor: Actor, who: str) -> None:
    """Let only those use another namespace's robots and teams who may see them there."""
    _, home = members.home_of(who)
    try:
        await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, home)
    except RegistryError:
        raise _nobody(who) from None


async def _find(s: Services, tx: Tx, actor: Actor, who: str) -> Principal:
    found = await members.find_principal(tx, who)
    if found is None:
        if members.home_of(who)[0] == "account":
            raise await accounts.absent(s, tx, actor, who)
        raise _nobody(who)
    return found


def _nobody(who: str) -> NotFound:
    kind, _ = members.home_of(who)
    return NotFound(f"there is no {kind} {who}")
