"""Teams of a namespace: whoever is in one has its rights."""

from collections.abc import Awaitable, Callable

from moorage.db import locks, members, providers
from moorage.db.engine import Tx
from moorage.errors import Conflicting, NotFound
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, Role
from moorage.model.artifacts import TagChange
from moorage.model.people import Principal
from moorage.registry import accounts, belonging, owners, rights
from moorage.registry.services import Services

_KIND = "team"
MOST_GROUPS = 100


async def list_teams(
    s: Services, actor: Actor, namespace: str, after: str, limit: int
) -> list[Principal]:
    """Return up to `limit` teams whose full names, `NAMESPACE/NAME`, come behind `after`."""
    return await belonging.list_belonging(s, actor, _KIND, namespace, (after, limit))


async def find_team(s: Services, actor: Actor, namespace: str, name: str) -> Principal:
    """Return the team; raise `NotFound` if there is none."""
    return await belonging.find(s, actor, _KIND, namespace, name)


async def create_team(
    s: Services, actor: Actor, namespace: str, name: str, by: TagChange, *, description: str = ""
) -> Principal:
    """Make a team with nobody in it; raise `Invalid` or `Conflicting` for a name that can't be."""
    return await belonging.create(s, actor, _KIND, namespace, name, by, description=description)


async def delete_team(s: Services, actor: Actor, namespace: str, name: str, by: TagChange) -> None:
    """End the team and what was granted to it; as `belonging.delete`."""
    await belonging.delete(s, actor, _KIND, namespace, name, by)


async def list_members(
    s: Services, actor: Actor, namespace: str, name: str, page: tuple[int, int]
) -> list[tuple[int, str, str]]:
    """Return a page of members, those with ids above a number, and how many: id, name, source.

    The source is the provider whose group the team is, or nothing for who was put in by hand.

    Raises:
        NotFound: there is no such team.
    """

    async def read(tx: Tx) -> list[tuple[int, str, str]]:
        await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, namespace)
        team = await belonging.present(tx, _KIND, namespace, name)
        return await members.list_members(tx, team.id, *page)

    return await s.db.read(read, pages=True)


async def add_member(
    s: Services, actor: Actor, namespace: str, name: str, account: str, by: TagChange
) -> None:
    """Put an account into the team; one that is in it stays.

    Raises:
        NotFound: there is no such team or account.
    """

    async def change(tx: Tx, team: Principal, account_id: int) -> str:
        added = await members.add_member(tx, team.id, account_id, s.clock.now())
        return "team.joined" if added else ""

    await _change(s, actor, (namespace, name), account, by, change)


async def remove_member(
    s: Services, actor: Actor, namespace: str, name: str, account: str, by: TagChange
) -> None:
    """Take an account out of the team; by its next request, it has no right from it.

    Raises:
        NotFound: there is no such team or account.
        Conflicting: a namespace would be without an owner, or a provider says who is in the team.
    """

    async def change(tx: Tx, team: Principal, account_id: int) -> str:
        if not await members.end_member(tx, team.id, account_id):
            raise Conflicting(f"{account} was not put into the team {team.name} by hand")
        owned = await owners.places_of(tx, team.id, role=Role.OWNER)
        await owners.keep_an_owner(tx, actor, owned)
        return "team.left"

    await _change(s, actor, (namespace, name), account, by, change)


async def list_groups(
    s: Services, actor: Actor, namespace: str, name: str
) -> list[tuple[str, str]]:
    """Return which groups are the team, and of which providers: provider and group.

    Raises:
        NotFound: there is no such team.
    """

    async def read(tx: Tx) -> list[tuple[str, str]]:
        await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, namespace)
        team = await belonging.present(tx, _KIND, namespace, name)
        return sorted(await providers.list_team_groups(tx, team.id, MOST_GROUPS))

    return await s.db.read(read, pages=True)


async def add_group(
    s: Services, actor: Actor, place: tuple[str, str], group: tuple[str, str], by: TagChange
) -> None:
    """Have a provider's group be the team, for whoever signs in from now on.

    Raises:
        NotFound: there is no such team or provider.
        Conflicting: the team is too many groups already.
    """
    namespace, name = place
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, namespace)

    async def write(tx: Tx) -> None:
        await rights.hold_namespace(tx, actor, Action.MANAGE_ACCESS, namespace)
        team = await belonging.present(tx, _KIND, namespace, name)
        if await providers.hold_provider(tx, group[0]) is None:
            raise NotFound(f"there is no provider {group[0]}")
        if len(await providers.list_team_groups(tx, team.id, MOST_GROUPS)) >= MOST_GROUPS:
            raise Conflicting(f"a team is at most {MOST_GROUPS} groups")
        if await providers.add_group(tx, *group, team.id):
            await _publish_group(s, tx, "team.group-added", team, group, by)

    await s.db.write(write)


async def remove_group(
    s: Services, actor: Actor, place: tuple[str, str], group: tuple[str, str], by: TagChange
) -> None:
    """Have a group be the team no longer: by its next request, nobody has a right from that.

    Who is in the team by another group of the same provider comes back with the next sign-in.

    Raises:
        NotFound: there is no such team, or the group is not it.
        Conflicting: a namespace would be without an owner.
    """
    namespace, name = place
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, namespace)

    async def write(tx: Tx) -> None:
        await rights.hold_namespace(tx, actor, Action.MANAGE_ACCESS, namespace)
        team = await belonging.present(tx, _KIND, namespace, name)
        owned = await owners.places_of(tx, team.id, role=Role.OWNER)
        # Whoever writes by what the team was granted ends first.
        for _, each in sorted(await owners.places_of(tx, team.id), key=lambda one: one[1]):
            await locks.take_namespace(tx, each)
        # And nobody signs in by the group at the same time.
        await providers.take_provider(tx, group[0])
        if not await providers.end_group(tx, *group, team.id):
            raise NotFound(f"the group {group[1]} of {group[0]} is not the team {team.name}")
        await owners.keep_an_owner(tx, actor, owned)
        await _publish_group(s, tx, "team.group-removed", team, group, by)

    await s.db.write(write)


async def _publish_group(
    s: Services, tx: Tx, kind: str, team: Principal, group: tuple[str, str], by: TagChange
) -> None:
    data = {"team": team.name, "provider": group[0], "group": group[1]}
    await s.events.publish(tx, Event(kind, 0, s.clock.now(), by, data, team.namespace_id))


async def _change(
    s: Services,
    actor: Actor,
    place: tuple[str, str],
    account: str,
    by: TagChange,
    change: Callable[[Tx, Principal, int], Awaitable[str]],
) -> None:
    namespace, name = place
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, namespace)

    async def write(tx: Tx) -> None:
        # What the account writes at this moment, in whatever namespace the team's rights are, ends.
        known = await _account(s, tx, actor, account)
        await rights.hold_namespace(tx, actor, Action.MANAGE_ACCESS, namespace, [known])
        member = await _account(s, tx, actor, account)
        team = await belonging.present(tx, _KIND, namespace, name)
        kind = await change(tx, team, member)
        if kind:
            data = {"team": team.name, "account": account}
            await s.events.publish(tx, Event(kind, 0, s.clock.now(), by, data, team.namespace_id))

    await s.db.write(write)


async def _account(s: Services, tx: Tx, actor: Actor, name: str) -> int:
    found = await members.find_principal(tx, name)
    if found is None or found.kind != "account":
        raise await accounts.absent(s, tx, actor, name)
    return found.id
