"""Robots of a namespace, `NAMESPACE+NAME`: machines that sign in by tokens of their own."""

from moorage.db import principals
from moorage.db.engine import Tx
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor
from moorage.model.artifacts import TagChange
from moorage.model.people import Principal
from moorage.registry import belonging, rights
from moorage.registry.services import Services

_KIND = "robot"


async def list_robots(
    s: Services, actor: Actor, namespace: str, after: str, limit: int
) -> list[Principal]:
    """Return up to `limit` robots whose full names come behind `after`."""
    return await belonging.list_belonging(s, actor, _KIND, namespace, (after, limit))


async def find_robot(s: Services, actor: Actor, namespace: str, name: str) -> Principal:
    """Return the robot; raise `NotFound` if there is none."""
    return await belonging.find(s, actor, _KIND, namespace, name)


async def create_robot(
    s: Services, actor: Actor, namespace: str, name: str, by: TagChange, *, description: str = ""
) -> Principal:
    """Make a robot without any token or right; raise `Invalid` or `Conflicting` for its name."""
    return await belonging.create(s, actor, _KIND, namespace, name, by, description=description)


async def set_enabled(
    s: Services, actor: Actor, namespace: str, name: str, by: TagChange, *, enabled: bool
) -> Principal:
    """Put the robot out of force, and everything that it signed in with, or in force again.

    Its tokens stay: they are good again with it.

    Raises:
        NotFound: there is none.
    """
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, namespace)

    async def write(tx: Tx) -> Principal:
        known = await belonging.present(tx, _KIND, namespace, name)
        await rights.hold_namespace(tx, actor, Action.MANAGE_ACCESS, namespace, [known.id])
        robot = await belonging.present(tx, _KIND, namespace, name)
        if robot.enabled == enabled:
            return robot
        await principals.set_standing(tx, robot.id, enabled=enabled, administrator=False)
        if not enabled:
            await principals.end_credentials(tx, robot.id)
        kind = "robot.enabled" if enabled else "robot.disabled"
        await s.events.publish(
            tx, Event(kind, 0, s.clock.now(), by, {"robot": robot.name}, robot.namespace_id)
        )
        return await belonging.present(tx, _KIND, namespace, name)

    return await s.db.write(write)


async def delete_robot(s: Services, actor: Actor, namespace: str, name: str, by: TagChange) -> None:
    """End the robot with its tokens and grants; as `belonging.delete`."""
    await belonging.delete(s, actor, _KIND, namespace, name, by)
