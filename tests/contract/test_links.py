"""Links that are good once: for the first account, for invitations, for new passwords."""

import asyncio
from collections.abc import Awaitable

import pytest

from contract.conftest import Registries
from moorage.clock import HOUR
from moorage.db import members
from moorage.errors import Conflicting, Invalid, NotFound, NotPermitted, Unauthorized
from moorage.model.access import Actor, Role
from moorage.registry import accounts, grants, links, sign_in, teams
from moorage.registry.services import Services
from people import (
    ANONYMOUS,
    BY,
    PASSWORD,
    everything_told,
    later,
    number_of,
    organisation,
    person,
    team,
)


def test_the_first_account(registries: Registries) -> None:
    async def use(s: Services) -> None:
        link = await links.put_setup_link(s.db, s.clock)
        assert link is not None
        assert link.path() == f"/setup#{link.secret}"
        assert (await links.find_link(s, link.secret)).kind == "setup"
        assert await links.redeem(s, link.secret, PASSWORD, "r", name="root") == "root"
        signed = await sign_in.sign_in(s, "root", PASSWORD, "", "", "r")
        root = await sign_in.identify(s, signed.secret)
        assert (await accounts.find_account(s, root, "root")).administrator
        # From now on there is none, not even one that was made before.
        assert await links.put_setup_link(s.db, s.clock) is None
        with pytest.raises(Conflicting):
            await links.make_setup_link(s, root, BY)

    registries.run(use)


@pytest.mark.parametrize(
    ("asked", "proposed"),
    [("ann", "ann"), ("", "admin"), ("Ann Lee", "admin"), ("local", "admin"), ("ann$", "admin")],
)
def test_a_name_for_the_first_account(registries: Registries, asked: str, proposed: str) -> None:
    """One that an account can have is proposed, and whoever opens the link may take another."""

    async def use(s: Services) -> None:
        link = await links.put_setup_link(s.db, s.clock, asked)
        assert link is not None
        found = await links.find_link(s, link.secret)
        assert (found.proposed_name, found.fixed_name) == (proposed, "")
        with pytest.raises(Invalid):
            await links.redeem(s, link.secret, PASSWORD, "r")
        assert await links.redeem(s, link.secret, PASSWORD, "r", name="root") == "root"

    registries.run(use)


def test_an_earlier_setup_link_is_of_no_use_later(registries: Registries) -> None:
    async def use(s: Services) -> None:
        one = await links.put_setup_link(s.db, s.clock)
        two = await links.put_setup_link(s.db, s.clock)
        assert one is not None
        assert two is not None
        await links.redeem(s, one.secret, PASSWORD, "r", name="root")
        with pytest.raises(NotFound):
            await links.redeem(s, two.secret, PASSWORD, "r", name="mallory")

    registries.run(use)


@pytest.mark.parametrize("same", [True, False])
def test_two_first_accounts_at_once(registries: Registries, same: bool) -> None:
    """By one link or by two: one wins, and the other one's account is not there."""

    async def use(s: Services, t: Services) -> None:
        one = await links.put_setup_link(s.db, s.clock)
        two = one if same else await links.put_setup_link(s.db, s.clock)
        assert one is not None
        assert two is not None
        done = await asyncio.gather(
            links.redeem(s, one.secret, PASSWORD, "r", name="alice"),
            links.redeem(t, two.secret, PASSWORD, "r", name="mallory"),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in done) == ["NotFound", "str"], done
        there = [
            name
            for name in ("alice", "mallory")
            if await s.db.read(lambda tx, name=name: members.find_principal(tx, name))
        ]
        assert len(there) == 1

    registries.run(use, 2)


def test_a_link_ends_by_itself(registries: Registries) -> None:
    async def use(s: Services) -> None:
        link = await links.put_setup_link(s.db, s.clock)
        assert link is not None
        with pytest.raises(NotFound):
            await links.redeem(later(s, links.SETUP_LIFE), link.secret, PASSWORD, "r", name="root")
        await links.redeem(
            later(s, links.SETUP_LIFE - 60_000), link.secret, PASSWORD, "r", name="root"
        )

    registries.run(use)


@pytest.mark.parametrize("secret", ["", "x", "mrg_" + "0" * 38, "\0", "ä"])
def test_no_link_at_all(registries: Registries, secret: str) -> None:
    async def use(s: Services) -> None:
        with pytest.raises(NotFound):
            await links.redeem(s, secret, PASSWORD, "r", name="root")

    registries.run(use)


def test_what_will_not_do_leaves_the_link(registries: Registries) -> None:
    async def use(s: Services) -> None:
        link = await links.put_setup_link(s.db, s.clock)
        assert link is not None
        for name, password in (("Root", PASSWORD), ("root", "short"), ("", PASSWORD)):
            with pytest.raises(Invalid):
                await links.redeem(s, link.secret, password, "r", name=name)
        with pytest.raises(Invalid):
            await links.redeem(s, link.secret, "averylongname", "r", name="averylongname")
        await links.redeem(s, link.secret, PASSWORD, "r", name="root")

    registries.run(use)


def test_an_invitation_to_teams(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        owner = await person(s, "owner")
        await organisation(s, owner)
        dev = await team(s, owner, "dev")
        free = await links.invite(s, root, BY, teams=(dev,))
        named = await links.invite(s, root, BY, name="bob")
        await links.redeem(s, free.secret, PASSWORD, "r", name="alice")
        found = await s.db.read(lambda tx: members.list_members(tx, 0, 0, 10))
        assert found == []
        number = await number_of(s, dev)
        inside = await s.db.read(lambda tx: members.list_members(tx, number, 0, 10))
        assert [each[1] for each in inside] == ["alice"]
        with pytest.raises(Invalid):
            await links.redeem(s, named.secret, PASSWORD, "r", name="mallory")
        assert await links.redeem(s, named.secret, PASSWORD, "r") == "bob"
        assert not (await accounts.find_account(s, root, "bob")).administrator
        told = await everything_told(s)
        assert free.secret.encode() not in told
        assert PASSWORD.encode() not in told

    registries.run(use)


def test_a_taken_name_leaves_the_invitation(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        link = await links.invite(s, root, BY)
        with pytest.raises(Conflicting):
            await links.redeem(s, link.secret, PASSWORD, "r", name="root")
        await links.redeem(s, link.secret, PASSWORD, "r", name="alice")
        with pytest.raises(Conflicting):
            await links.invite(s, root, BY, name="alice")
        with pytest.raises(NotFound):
            await links.invite(s, root, BY, teams=("web/none",))

    registries.run(use)


def test_a_new_password(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        await person(s, "alice")
        link = await links.make_password_link(s, root, "alice", BY)
        assert await links.redeem(s, link.secret, PASSWORD, "r") == "alice"
        session = await sign_in.sign_in(s, "alice", PASSWORD, "", "", "r")
        again = await links.make_password_link(s, root, "alice", BY)
        await links.redeem(s, again.secret, PASSWORD + "!", "r")
        with pytest.raises(Unauthorized):
            await sign_in.identify(s, session.secret)
        # Nobody is let in by a link who was put out.
        last = await links.make_password_link(s, root, "alice", BY)
        await accounts.set_enabled(s, root, "alice", BY, enabled=False)
        with pytest.raises(NotFound):
            await links.redeem(s, last.secret, PASSWORD, "r")
        with pytest.raises(NotFound):
            await links.make_password_link(s, root, "nobody", BY)

    registries.run(use)


def test_links_are_made_by_administrators(registries: Registries) -> None:
    async def use(s: Services) -> None:
        await person(s, "root", administrator=True)
        alice = await person(s, "alice")
        for actor in (alice, ANONYMOUS):
            for attempt in (
                links.invite(s, actor, BY),
                links.make_password_link(s, actor, "root", BY),
                links.make_setup_link(s, actor, BY),
            ):
                with pytest.raises((NotPermitted, Unauthorized)):
                    await attempt

    registries.run(use)


def test_who_was_invited_and_has_not_come_yet(registries: Registries) -> None:
    """Administrators, who invite, are told wherever the account is missing; nobody else is."""

    async def told(asked: Awaitable[object]) -> str:
        with pytest.raises(NotFound) as refused:
            await asked
        return str(refused.value)

    async def use(s: Services) -> None:
        admin = await person(s, "root", administrator=True)
        owner = await person(s, "olga")
        await organisation(s, owner, "web")
        await team(s, owner, "dev")
        plain, invited = "there is no account alice", "the invitation has not been accepted"

        def asked(actor: Actor, name: str) -> list[Awaitable[object]]:
            place = grants.Where("web")
            return [
                grants.put_grant(s, actor, place, name, Role.READER, BY),
                teams.add_member(s, actor, "web", "dev", name, BY),
            ]

        async def everywhere(actor: Actor, name: str) -> list[str]:
            return [await told(each) for each in asked(actor, name)]

        def of_administrators(name: str) -> list[Awaitable[object]]:
            return [
                links.make_password_link(s, admin, name, BY),
                accounts.find_account(s, admin, name),
                accounts.set_enabled(s, admin, name, BY, enabled=False),
                *asked(admin, name),
            ]

        assert {await told(each) for each in of_administrators("alice")} == {plain}
        await links.invite(s, admin, BY, name="alice")
        for each in of_administrators("alice"):
            assert invited in await told(each)
        # An owner of a namespace, who may well ask, is told what he was told before.
        assert set(await everywhere(owner, "alice")) == {plain}
        for each in of_administrators("bob"):
            assert await told(each) == "there is no account bob"
        late = later(s, links.LIFE + 1)
        assert await told(accounts.find_account(late, admin, "alice")) == plain

    registries.run(use)


def test_links_that_are_good_are_listed_and_withdrawn(registries: Registries) -> None:
    """By when they end, without their secrets; not those that are spent, and none of a start's."""

    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        made = [await links.invite(s, root, BY, name=name) for name in ("ann", "bob", "cy")]
        await links.redeem(s, made[0].secret, PASSWORD, "r")
        first = await links.list_links(s, root, (0, ""), 1)
        mark = (first[0].expires_at, first[0].id)
        rest = await links.list_links(s, root, mark, 10)
        assert {each.name for each in (*first, *rest)} == {"bob", "cy"}
        assert len(first) == len(rest) == 1
        assert (first[0].kind, first[0].created_by) == ("invitation", BY.actor)
        assert all(len(each.id) == 64 for each in (*first, *rest))
        gone = next(each for each in (*first, *rest) if each.name == "bob")
        await links.withdraw_link(s, root, gone.id, BY)
        with pytest.raises(NotFound):
            await links.redeem(s, made[1].secret, PASSWORD, "r")
        with pytest.raises(NotFound):
            await links.withdraw_link(s, root, gone.id, BY)
        assert [each.name for each in await links.list_links(s, root, (0, ""), 10)] == ["cy"]
        told = await everything_told(s)
        assert b"link.withdrawn" in told
        assert made[1].secret.encode() not in told
        # His name is free for another invitation, and the old one does not come back.
        await links.invite(s, root, BY, name="bob")
        assert await links.list_links(later(s, 80 * HOUR), root, (0, ""), 10) == []
        for wrong in ("x", "0" * 63, "0" * 64):
            with pytest.raises(NotFound):
                await links.withdraw_link(s, root, wrong, BY)
        with pytest.raises(Invalid):
            await links.list_links(s, root, (1, "x"), 10)

    registries.run(use)


def test_links_are_for_administrators_to_see(registries: Registries) -> None:
    async def use(s: Services) -> None:
        alice = await person(s, "alice")
        with pytest.raises(NotPermitted):
            await links.list_links(s, alice, (0, ""), 10)
        with pytest.raises(NotPermitted):
            await links.withdraw_link(s, alice, "0" * 64, BY)

    registries.run(use)
