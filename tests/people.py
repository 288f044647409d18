"""People and machines for tests of the use cases, made without the price of a password."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.clock import Clock
from moorage.db import members, principals
from moorage.db.engine import Query
from moorage.db.schema import audit, event_outbox
from moorage.model.access import Actor, Subject
from moorage.model.artifacts import TagChange
from moorage.registry import accounts, namespaces, teams
from moorage.registry.services import Services

PASSWORD = "correct horse battery staple"
BY = TagChange("tester", "password", "request-1")
ANONYMOUS = Actor("anonymous", "anonymous", "none")
STRANGER = "stranger"
AUDIT = Query("test_audit", sa.select(audit.c.action, audit.c.detail, audit.c.actor))
OUTBOX = Query("test_outbox", sa.select(event_outbox.c.kind, event_outbox.c.payload))


class Later:
    """A clock that is ahead of another one."""

    def __init__(self, clock: Clock, ahead: int) -> None:
        self._clock, self._ahead = clock, ahead

    def now(self) -> int:
        """Return the time there."""
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        """Return the other one's."""
        return self._clock.monotonic()


class Still:
    """A clock that stands, so that a code of the moment stays one however slow the machine is."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        """Return always the same time."""
        return self._now

    def monotonic(self) -> float:
        """Return always the same."""
        return 0.0


def still(*those: Services) -> list[Services]:
    """Return the same services at one moment that does not pass."""
    clock = Still(those[0].clock.now())
    return [msgspec.structs.replace(each, clock=clock) for each in those]


def later(s: Services, ahead: int) -> Services:
    """Return the same services some milliseconds from now."""
    return msgspec.structs.replace(s, clock=Later(s.clock, ahead))


async def person(s: Services, name: str, *, administrator: bool = False) -> Actor:
    """Make an account with its personal namespace, and return it signed in by password."""

    async def write(tx: Any) -> int:
        return await accounts.put_account(s, tx, name, "", BY, administrator=administrator)

    return Actor("account", name, "password", subject=Subject(await s.db.write(write), 0, 1))


async def again(s: Services, actor: Actor) -> Actor:
    """Return the actor as it signs in at this moment."""
    found = await s.db.read(lambda tx: principals.find_account(tx, actor.name))
    assert found is not None
    return msgspec.structs.replace(actor, subject=Subject(found.id, 0, found.generation))


async def organisation(s: Services, owner: Actor, name: str = "web") -> None:
    """Make an organisation that the account owns."""
    chief = await person(s, f"chief-of-{name}", administrator=True)
    await namespaces.create_organisation(s, chief, name, BY)
    from moorage.model.access import Role
    from moorage.registry import grants

    await grants.put_grant(s, chief, grants.Where(name), owner.name, Role.OWNER, BY)
    await grants.revoke_grant(s, chief, grants.Where(name), chief.name, BY)


async def team(s: Services, owner: Actor, name: str, *people: str, namespace: str = "web") -> str:
    """Make a team with people in it, and return its full name."""
    made = await teams.create_team(s, owner, namespace, name, BY)
    for each in people:
        await teams.add_member(s, owner, namespace, name, each, BY)
    return made.name


async def number_of(s: Services, who: str) -> int:
    """Return the id of a principal."""
    found = await s.db.read(lambda tx: members.find_principal(tx, who))
    assert found is not None
    return found.id


async def trail(s: Services) -> list[str]:
    """Return what the audit trail has, in order."""
    return [row[0] for row in await s.db.read(lambda tx: tx.many(AUDIT))]


async def everything_told(s: Services) -> bytes:
    """Return all that the trail and the events say, to look for what they must not say."""
    rows = await s.db.read(lambda tx: tx.many(AUDIT))
    more = await s.db.read(lambda tx: tx.many(OUTBOX))
    return repr([rows, more]).encode()
