"""What robots and teams have in common: both belong to a namespace, and end with all they have."""

from moorage.db import locks, members, principals
from moorage.db.engine import Tx
from moorage.errors import Conflicting, Invalid, NotFound
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, Role
from moorage.model.artifacts import TagChange
from moorage.model.people import ROBOT_MARK, TEAM_MARK, Principal
from moorage.oci.names import is_component
from moorage.registry import owners, readers, rights
from moorage.registry.services import Services

_MARKS = {"robot": ROBOT_MARK, "team": TEAM_MARK}
_LONGEST = 512


async def present(tx: Tx, kind: str, namespace: str, name: str) -> Principal:
    """Return the live robot or team of the namespace.

    Raises:
        NotFound: there is none.
    """
    found = await members.find_principal(tx, f"{namespace}{_MARKS[kind]}{name}")
    # The name may itself have a mark, and so be of another kind or place.
    if found is None or found.kind != kind or not is_component(name):
        raise NotFound(f"there is no {kind} {name} in {namespace}")
    return found


async def list_belonging(
    s: Services, actor: Actor, kind: str, namespace: str, page: tuple[str, int]
) -> list[Principal]:
    """Return a page of the namespace's robots or teams: those behind a full name, and how many."""

    async def read(tx: Tx) -> list[Principal]:
        place = await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, namespace)
        return await members.list_principals(tx, kind, place.id, *page)

    return await s.db.read(read, pages=True)


async def find(s: Services, actor: Actor, kind: str, namespace: str, name: str) -> Principal:
    """Return a robot or team of the namespace.

    Raises:
        NotFound: there is none.
    """

    async def read(tx: Tx) -> Principal:
        await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, namespace)
        return await present(tx, kind, namespace, name)

    return await s.db.read(read)


async def create(  # noqa: PLR0913 - one row
    s: Services,
    actor: Actor,
    kind: str,
    namespace: str,
    name: str,
    by: TagChange,
    *,
    description: str = "",
) -> Principal:
    """Make a robot or a team, which may nothing yet.

    Raises:
        Invalid: the name or the description will not do.
        Conflicting: the name is taken.
    """
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, namespace)
    if not is_component(name):
        raise Invalid(
            f"that is no name of a {kind}",
            hint="Use lower-case letters, digits, and single . _ or - between them",
        )
    check_description(description)

    async def write(tx: Tx) -> Principal:
        place = await rights.hold_namespace(tx, actor, Action.MANAGE_ACCESS, namespace)
        now = s.clock.now()
        full = f"{namespace}{_MARKS[kind]}{name}"
        made = await members.add_principal(tx, kind, place.id, full, description, now)
        if made is None:
            raise Conflicting(f"there is a {kind} {full} already")
        await s.events.publish(tx, Event(f"{kind}.created", 0, now, by, {kind: full}, place.id))
        return await present(tx, kind, namespace, name)

    return await s.db.write(write)


async def delete(
    s: Services, actor: Actor, kind: str, namespace: str, name: str, by: TagChange
) -> None:
    """End a robot or team with its tokens, its members, and what was granted to it anywhere.

    Raises:
        NotFound: there is none.
        Conflicting: a namespace would be without an owner.
    """
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, namespace)

    async def write(tx: Tx) -> None:
        known = await present(tx, kind, namespace, name)
        await rights.hold_namespace(tx, actor, Action.MANAGE_ACCESS, namespace, [known.id])
        ended = await present(tx, kind, namespace, name)
        owned = await owners.places_of(tx, ended.id, role=Role.OWNER)
        # Nothing is granted to it from now on; whoever writes by what was ends first.
        for _, place in sorted(await owners.places_of(tx, ended.id), key=lambda each: each[1]):
            await locks.take_namespace(tx, place)
        now = s.clock.now()
        await principals.end_credentials(tx, ended.id)
        await members.end_principal(tx, ended.id, now)
        await owners.keep_an_owner(tx, actor, owned)
        await readers.forget(s, tx, ended.id)
        await s.events.publish(
            tx, Event(f"{kind}.deleted", 0, now, by, {kind: ended.name}, ended.namespace_id)
        )

    await s.db.write(write)


def check_description(text: str) -> None:
    """Do nothing if a description will do.

    Raises:
        Invalid: it is too long, or has characters that can't be shown.
    """
    if len(text) > _LONGEST or not text.isprintable():
        raise Invalid(f"a description has up to {_LONGEST} printable characters")
