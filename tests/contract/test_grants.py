"""Roles given, changed and taken, the catalogue beside them, and no namespace without an owner."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase, Registries
from moorage import worker
from moorage.db import access, readable
from moorage.db.engine import Query
from moorage.errors import Conflicting, Denied, NotFound, Unauthorized
from moorage.model.access import EARLY, Action, Actor, RepositoryTarget, Role, Subject
from moorage.oci.names import RepositoryName
from moorage.registry import (
    accounts,
    grants,
    links,
    namespaces,
    passwords,
    rights,
    robots,
    teams,
    tokens,
)
from moorage.registry.grants import Where
from moorage.registry.services import Services
from people import ANONYMOUS, BY, PASSWORD, number_of, organisation, person, team, trail

SHOP, DESK = RepositoryName.parse("web/shop"), RepositoryName.parse("web/desk")
WEB = Where("web")
Refused = (Unauthorized, Denied)
WAIT = Query("test_wait", sa.select(sa.func.pg_sleep(sa.literal_column("1.5"))), only="postgresql")


async def rank(s: Services, actor: Actor, name: RepositoryName = SHOP) -> int:
    """Return how much the actor may with the repository."""
    found = await s.db.read(lambda tx: access.find_target(tx, actor.subject, name))
    return found.facts.rank


async def catalogue(s: Services, actor: Actor) -> list[str]:
    """Return what the actor finds."""
    return await s.db.read(lambda tx: readable.list_names(tx, actor.subject, "", 1_000))


async def candidates(s: Services, principal: int) -> list[str]:
    """Return what the principal has rows for."""
    return sorted(
        row[0]
        for row in await s.db.read(
            lambda tx: tx.many(
                readable.LIST_READABLE,
                whose=principal,
                after="",
                limit=1_000,
                principal_id=principal,
            )
        )
    )


async def start(s: Services) -> tuple[Actor, Actor]:
    """Make an organisation with two repositories; return its owner and somebody else."""
    owner, alice = await person(s, "owner"), await person(s, "alice")
    await organisation(s, owner)
    for name in (SHOP, DESK):
        await namespaces.create_repository(s, owner, name, BY)
    return owner, alice


def test_on_a_namespace(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await start(s)
        assert await catalogue(s, alice) == []
        made = await grants.put_grant(s, owner, WEB, "alice", Role.WRITER, BY)
        assert (made.who, made.kind, made.repository, made.role) == (
            "alice",
            "account",
            "",
            Role.WRITER,
        )
        assert await rank(s, alice) == 2
        assert await catalogue(s, alice) == ["web/desk", "web/shop"]
        await grants.put_grant(s, owner, WEB, "alice", Role.READER, BY)
        assert await rank(s, alice) == 1
        await grants.revoke_grant(s, owner, WEB, "alice", BY)
        assert await rank(s, alice) == 0
        assert await catalogue(s, alice) == []
        assert await candidates(s, alice.subject.principal_id) == []
        with pytest.raises(NotFound):
            await grants.revoke_grant(s, owner, WEB, "alice", BY)
        assert (await trail(s)).count("access.granted") >= 2

    registries.run(use)


def test_on_one_repository(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await start(s)
        await grants.put_grant(s, owner, Where.of(SHOP), "alice", Role.WRITER, BY)
        assert (await rank(s, alice), await rank(s, alice, DESK)) == (2, 0)
        assert await catalogue(s, alice) == ["web/shop"]
        # Both: what is taken of the namespace leaves what is of the repository.
        await grants.put_grant(s, owner, WEB, "alice", Role.READER, BY)
        assert await catalogue(s, alice) == ["web/desk", "web/shop"]
        await grants.revoke_grant(s, owner, WEB, "alice", BY)
        assert await catalogue(s, alice) == ["web/shop"]
        await grants.revoke_grant(s, owner, Where.of(SHOP), "alice", BY)
        assert await candidates(s, alice.subject.principal_id) == []

    registries.run(use)


def test_through_a_team(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await start(s)
        dev = await team(s, owner, "dev", "alice")
        await grants.put_grant(s, owner, WEB, dev, Role.MAINTAINER, BY)
        assert await rank(s, alice) == 3
        assert await catalogue(s, alice) == ["web/desk", "web/shop"]
        await teams.remove_member(s, owner, "web", "dev", "alice", BY)
        assert await rank(s, alice) == 0
        assert await catalogue(s, alice) == []
        with pytest.raises(Conflicting):
            await teams.remove_member(s, owner, "web", "dev", "alice", BY)
        await teams.add_member(s, owner, "web", "dev", "alice", BY)
        await teams.delete_team(s, owner, "web", "dev", BY)
        assert await rank(s, alice) == 0
        # One of the same name is another one.
        await team(s, owner, "dev", "alice")
        assert await rank(s, alice) == 0

    registries.run(use)


def test_who_may_give_roles(registries: Registries) -> None:
    """Owners of the place alone; and all others learn the same of what is there and what is not."""

    async def use(s: Services) -> None:
        owner, alice = await start(s)
        for role in (Role.MAINTAINER, Role.AUDITOR):
            other = await person(s, f"{role.value}")
            await grants.put_grant(s, owner, WEB, other.name, role, BY)
            for who in ("alice", other.name):
                with pytest.raises(Refused):
                    await grants.put_grant(s, other, WEB, who, Role.OWNER, BY)
                with pytest.raises(Refused):
                    await grants.put_grant(s, other, Where.of(SHOP), who, Role.OWNER, BY)
        for actor in (alice, ANONYMOUS, Actor("local", "local", "loopback", subject=EARLY)):
            told = set()
            for place in (WEB, Where("none")):
                with pytest.raises(Refused) as refused:
                    await grants.put_grant(s, actor, place, "alice", Role.OWNER, BY)
                told.add(refused.value.message.replace(place.namespace, "…"))
                with pytest.raises(Refused):
                    await grants.list_grants(s, actor, place, (0, 0), 10)
                with pytest.raises(Refused):
                    await grants.revoke_grant(s, actor, place, "owner", BY)
            assert len(told) == 1
        assert await rank(s, alice) == 0

    registries.run(use)


def test_an_owner_of_one_repository(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await start(s)
        bob = await person(s, "bob")
        await grants.put_grant(s, owner, Where.of(SHOP), "alice", Role.OWNER, BY)
        await grants.put_grant(s, alice, Where.of(SHOP), "bob", Role.READER, BY)
        assert (await rank(s, bob), await rank(s, bob, DESK)) == (1, 0)
        for place in (WEB, Where.of(DESK)):
            with pytest.raises(Refused):
                await grants.put_grant(s, alice, place, "alice", Role.OWNER, BY)

    registries.run(use)


def test_scoped_tokens_give_nothing(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, _ = await start(s)
        scoped = Actor("account", "owner", "token:1", subject=owner.subject, scopes=())
        bound = Actor("account", "owner", "bearer", subject=owner.subject, bound=())
        for actor in (scoped, bound):
            with pytest.raises(Refused):
                await grants.put_grant(s, actor, WEB, "alice", Role.OWNER, BY)

    registries.run(use)


def test_nobody_of_that_name(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, _ = await start(s)
        for who in ("nobody", "web+nobody", "web/nobody", "", "+", "/", "web/", "'"):
            with pytest.raises(NotFound):
                await grants.put_grant(s, owner, WEB, who, Role.READER, BY)
        none = Where.of(RepositoryName.parse("web/none"))
        with pytest.raises(NotFound):
            await grants.put_grant(s, owner, none, "alice", Role.READER, BY)

    registries.run(use)


def test_robots_of_others_are_not_there(registries: Registries) -> None:
    """A robot or team of a namespace that one can't look into is as one that does not exist."""

    async def use(s: Services) -> None:
        owner, alice = await start(s)
        await robots.create_robot(s, owner, "web", "ci", BY)
        await team(s, owner, "dev")
        told = set()
        for who in ("web+ci", "web+no", "web/dev", "web/no"):
            with pytest.raises(NotFound) as refused:
                await grants.put_grant(s, alice, Where("alice"), who, Role.READER, BY)
            told.add(refused.value.message.replace(who, "…").replace("team", "robot"))
        assert len(told) == 1
        # Who owns both may.
        await grants.put_grant(s, alice, Where("alice"), "owner", Role.OWNER, BY)
        await grants.put_grant(s, owner, Where("alice"), "web+ci", Role.READER, BY)

    registries.run(use)


def test_the_last_owner_stays(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await start(s)
        with pytest.raises(Conflicting):
            await grants.revoke_grant(s, owner, WEB, "owner", BY)
        with pytest.raises(Conflicting):
            await grants.put_grant(s, owner, WEB, "owner", Role.MAINTAINER, BY)
        # A robot, or a team with nobody in it, owns nothing that a person could go on with.
        await robots.create_robot(s, owner, "web", "ci", BY)
        await grants.put_grant(s, owner, WEB, "web+ci", Role.OWNER, BY)
        heads = await team(s, owner, "heads")
        await grants.put_grant(s, owner, WEB, heads, Role.OWNER, BY)
        with pytest.raises(Conflicting):
            await grants.revoke_grant(s, owner, WEB, "owner", BY)
        await teams.add_member(s, owner, "web", "heads", "alice", BY)
        await grants.revoke_grant(s, owner, WEB, "owner", BY)
        assert (await rank(s, owner), await rank(s, alice)) == (0, 4)
        with pytest.raises(Conflicting):
            await teams.remove_member(s, alice, "web", "heads", "alice", BY)
        with pytest.raises(Conflicting):
            await teams.delete_team(s, alice, "web", "heads", BY)
        root = await person(s, "root", administrator=True)
        await teams.delete_team(s, root, "web", "heads", BY)
        await grants.put_grant(s, root, WEB, "alice", Role.OWNER, BY)
        await grants.revoke_grant(s, root, WEB, "alice", BY)
        assert await rank(s, alice) == 0

    registries.run(use)


def test_two_owners_can_not_take_each_other_out(registries: Registries) -> None:
    async def use(s: Services, t: Services) -> None:
        owner, alice = await start(s)
        await grants.put_grant(s, owner, WEB, "alice", Role.OWNER, BY)
        done = await asyncio.gather(
            grants.revoke_grant(s, owner, WEB, "alice", BY),
            grants.revoke_grant(t, alice, WEB, "owner", BY),
            return_exceptions=True,
        )
        assert sum(each is None for each in done) == 1, done
        assert sorted([await rank(s, owner), await rank(s, alice)]) == [0, 4]

    registries.run(use, 2)


def test_a_disabled_owner_is_none(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, _ = await start(s)
        root = await person(s, "root", administrator=True)
        await grants.put_grant(s, owner, WEB, "alice", Role.OWNER, BY)
        await accounts.set_enabled(s, root, "alice", BY, enabled=False)
        with pytest.raises(Conflicting):
            await grants.revoke_grant(s, owner, WEB, "owner", BY)

    registries.run(use)


def test_listed_in_pages(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, _ = await start(s)
        await grants.put_grant(s, owner, Where.of(SHOP), "alice", Role.READER, BY)
        await grants.put_grant(s, owner, WEB, "alice", Role.AUDITOR, BY)
        after, found = (0, 0), []
        while page := await grants.list_grants(s, owner, WEB, after, 1):
            found += page
            after = (page[-1].repository_id, page[-1].principal_id)
        assert [(each.who, each.repository, each.role.value) for each in found] == [
            ("owner", "", "owner"),
            ("alice", "", "auditor"),
            ("alice", "web/shop", "reader"),
        ]
        alone = await grants.list_grants(s, owner, Where.of(SHOP), (0, 0), 10)
        assert [each.who for each in alone] == ["alice"]

    registries.run(use)


def test_more_repositories_than_fit_in_a_slice(registries: Registries) -> None:
    """The first are found at once, the rest once the job has run; and all are lost in one go."""

    async def use(s: Services) -> None:
        owner, alice = await start(s)

        async def many(tx: Any) -> None:
            from moorage.db import repositories

            for number in range(120):
                name = RepositoryName.parse(f"web/r{number:03}")
                await repositories.put_repository(tx, name, "private", 1)

        await s.db.write(many)
        await grants.put_grant(s, owner, WEB, "alice", Role.READER, BY)
        assert len(await catalogue(s, alice)) == 50
        runner = worker.build(s, s.db)
        while await runner.run_one():
            pass
        assert len(await catalogue(s, alice)) == 122
        await grants.revoke_grant(s, owner, WEB, "alice", BY)
        assert await catalogue(s, alice) == []
        while await runner.run_one():
            pass
        assert await candidates(s, alice.subject.principal_id) == []

    registries.run(use)


TAKES_AWAY = ("grant", "member", "team", "account", "token", "credentials", "robot", "password")


@pytest.mark.parametrize("what", TAKES_AWAY)
def test_a_write_in_flight_ends_before_the_right(shared: OpenDatabase, what: str) -> None:
    """On PostgreSQL: what takes a right away waits for the writes that the right has let in."""

    async def use(s: Services, t: Services) -> None:
        owner, alice = await start(s)
        root = await person(s, "root", administrator=True)
        pusher, end = await _pusher(s, t, what, owner, root, alice)
        holds = asyncio.Event()

        async def push(tx: Any) -> None:
            await rights.hold(tx, pusher, Action.PUSH, RepositoryTarget(SHOP))
            holds.set()
            await tx.one(WAIT)

        pushing = asyncio.create_task(s.db.write(push))
        await holds.wait()
        ending = asyncio.create_task(end())
        await asyncio.sleep(0.7)
        assert not ending.done()
        assert not pushing.done()
        await pushing
        await ending
        with pytest.raises(Refused):
            await s.db.write(
                lambda tx: rights.hold(tx, pusher, Action.PUSH, RepositoryTarget(SHOP))
            )

    Registries(shared.config).run(use, 2)


async def _pusher(
    s: Services, t: Services, what: str, owner: Actor, root: Actor, alice: Actor
) -> tuple[Actor, Callable[[], Awaitable[Any]]]:
    """Return who may push, and what takes that away."""
    if what == "robot":
        robot = await robots.create_robot(s, owner, "web", "ci", BY)
        await grants.put_grant(s, owner, WEB, "web+ci", Role.WRITER, BY)
        actor = Actor("robot", "web+ci", "token:0", subject=Subject(robot.id))
        return actor, lambda: robots.set_enabled(t, owner, "web", "ci", BY, enabled=False)
    who = await team(s, owner, "dev", "alice") if what in ("member", "team") else "alice"
    await grants.put_grant(s, owner, WEB, who, Role.WRITER, BY)
    made = await tokens.create_token(s, alice, "alice", tokens.Wanted("x"), BY)
    by_token = msgspec.structs.replace(
        alice, subject=Subject(alice.subject.principal_id, made.token.id)
    )
    link = await links.make_password_link(s, root, "alice", BY)
    ends: dict[str, Callable[[], Awaitable[Any]]] = {
        "grant": lambda: grants.revoke_grant(t, owner, WEB, who, BY),
        "member": lambda: teams.remove_member(t, owner, "web", "dev", "alice", BY),
        "team": lambda: teams.delete_team(t, owner, "web", "dev", BY),
        "account": lambda: accounts.set_enabled(t, root, "alice", BY, enabled=False),
        "token": lambda: tokens.revoke_token(t, alice, made.token.id, BY),
        "credentials": lambda: passwords.end_credentials(t, root, "alice", BY),
        "password": lambda: links.redeem(t, link.secret, PASSWORD, "r"),
    }
    return by_token if what == "token" else alice, ends[what]


def test_a_principal_that_ended_finds_nothing(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, _ = await start(s)
        await robots.create_robot(s, owner, "web", "ci", BY)
        await grants.put_grant(s, owner, WEB, "web+ci", Role.READER, BY)
        robot = await number_of(s, "web+ci")
        assert len(await candidates(s, robot)) == 2
        await robots.delete_robot(s, owner, "web", "ci", BY)
        assert await catalogue(s, Actor("robot", "web+ci", "x", subject=Subject(robot))) == []
        runner = worker.build(s, s.db)
        while await runner.run_one():
            pass
        assert await candidates(s, robot) == []

    registries.run(use)
