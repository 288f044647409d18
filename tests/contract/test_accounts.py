"""Accounts: who may make, stop and end them, and what ends with them."""

from typing import Any

import msgspec
import pytest

from contract.conftest import Registries
from moorage.auth.attempts import Attempts
from moorage.auth.credentials import Guard
from moorage.db import access, namespaces
from moorage.errors import (
    Conflicting,
    Denied,
    Invalid,
    NotFound,
    NotPermitted,
    TooManyRequests,
    Unauthorized,
)
from moorage.model.access import EARLY, Actor, Role
from moorage.registry import accounts, grants, passwords, sign_in, tokens
from moorage.registry.accounts import put_administrator
from moorage.registry.services import Services
from people import ANONYMOUS, BY, PASSWORD, again, everything_told, organisation, person, trail


async def standing(s: Services, actor: Actor) -> int:
    """Return whether the actor's credential is in force."""
    facts = await s.db.read(lambda tx: access.find_standing(tx, actor.subject))
    return facts.standing


def test_made_with_a_personal_namespace(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        made = await accounts.add_account(s, root, "alice", BY, full_name="Alice", email="a@x.io")
        assert (made.name, made.full_name, made.email) == ("alice", "Alice", "a@x.io")
        assert (made.enabled, made.administrator, made.has_password) == (True, False, False)
        home = await s.db.read(lambda tx: namespaces.find_namespace(tx, "alice"))
        assert home is not None
        assert home.kind == "personal"
        alice = await again(s, Actor("account", "alice", "password"))
        found = await s.db.read(lambda tx: access.find_namespace_target(tx, alice.subject, "alice"))
        assert found.facts.rank == 4
        assert "account.added" in await trail(s)

    registries.run(use)


@pytest.mark.parametrize(
    "name", ["", "Alice", "a b", "a/b", "a+b", "../a", "a" * 65, "library", "local", "a\n"]
)
def test_names_that_none_has(registries: Registries, name: str) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        with pytest.raises(Invalid):
            await accounts.add_account(s, root, name, BY)

    registries.run(use)


def test_a_name_is_one_accounts(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        await accounts.add_account(s, root, "alice", BY)
        with pytest.raises(Conflicting):
            await accounts.add_account(s, root, "alice", BY)

    registries.run(use)


def test_an_organisation_keeps_its_name(registries: Registries) -> None:
    """Who gets an account of an organisation's name does not get the organisation."""

    async def use(s: Services) -> None:
        owner = await person(s, "owner")
        await organisation(s, owner, "web")
        web = await person(s, "web")
        found = await s.db.read(lambda tx: access.find_namespace_target(tx, web.subject, "web"))
        assert found.facts.rank == 0

    registries.run(use)


Refused = (Unauthorized, Denied)


def test_only_administrators(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        alice = await person(s, "alice")
        local = Actor("local", "local", "loopback", subject=EARLY)
        # Named or not: nobody learns by it who there is.
        for actor in (alice, ANONYMOUS, local):
            told = set()
            for name in ("root", "nobody"):
                for attempt in (
                    accounts.find_account(s, actor, name),
                    accounts.set_enabled(s, actor, name, BY, enabled=False),
                    accounts.set_administrator(s, actor, name, BY, administrator=True),
                    accounts.delete_account(s, actor, name, BY),
                    accounts.add_account(s, actor, name, BY),
                    passwords.end_credentials(s, actor, name, BY),
                    accounts.set_profile(s, actor, name, "x", "", BY),
                ):
                    with pytest.raises(Refused) as refused:
                        await attempt
                    told.add(refused.value.message)
            assert len(told) == 1
            with pytest.raises(Refused):
                await accounts.list_accounts(s, actor, "", 10)
        with pytest.raises(Refused):
            await accounts.set_administrator(s, alice, "alice", BY, administrator=True)
        assert (await accounts.find_account(s, root, "alice")).administrator is False
        assert (await accounts.find_account(s, alice, "alice")).name == "alice"

    registries.run(use)


def test_listed_by_name_in_pages(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        for name in ("carol", "alice", "bob"):
            await person(s, name)
        first = await accounts.list_accounts(s, root, "", 2)
        rest = await accounts.list_accounts(s, root, first[-1].name, 10)
        assert [each.name for each in [*first, *rest]] == ["alice", "bob", "carol", "root"]

    registries.run(use)


def test_a_disabled_account_is_out_at_once(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        alice = await person(s, "alice")
        made = await tokens.create_token(s, alice, "alice", tokens.Wanted("ci"), BY)
        await accounts.set_enabled(s, root, "alice", BY, enabled=False)
        assert await standing(s, alice) == 0
        with pytest.raises(Unauthorized):
            await tokens.list_tokens(s, alice, "alice", 0, 10)
        await accounts.set_enabled(s, root, "alice", BY, enabled=True)
        # What the password had got is over for good; tokens end one by one.
        assert await standing(s, alice) == 0
        assert await standing(s, await again(s, alice)) == 1
        assert [each.id for each in await tokens.list_tokens(s, root, "alice", 0, 10)] == [
            made.token.id
        ]

    registries.run(use)


def test_the_last_administrator_stays(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        other = await person(s, "other", administrator=True)
        await accounts.set_enabled(s, root, "other", BY, enabled=False)
        for attempt in (
            accounts.set_enabled(s, root, "root", BY, enabled=False),
            accounts.set_administrator(s, root, "root", BY, administrator=False),
            accounts.delete_account(s, root, "root", BY),
        ):
            with pytest.raises(Conflicting):
                await attempt
        await accounts.set_enabled(s, root, "other", BY, enabled=True)
        await accounts.set_administrator(s, root, "root", BY, administrator=False)
        with pytest.raises(Refused):
            await accounts.set_administrator(s, root, "root", BY, administrator=True)
        other = await again(s, other)
        with pytest.raises(Conflicting):
            await accounts.delete_account(s, other, "other", BY)

    registries.run(use)


def test_two_administrators_can_not_end_each_other(registries: Registries) -> None:
    """Both at once: one of them is left."""

    async def use(s: Services, t: Services) -> None:
        import asyncio

        root = await person(s, "root", administrator=True)
        other = await person(s, "other", administrator=True)
        done = await asyncio.gather(
            accounts.delete_account(s, root, "other", BY),
            accounts.delete_account(t, other, "root", BY),
            return_exceptions=True,
        )
        assert sum(each is None for each in done) == 1, done
        left = [each for each in done if each is not None]
        assert isinstance(left[0], (Conflicting, Unauthorized, NotPermitted, NotFound))

    registries.run(use, 2)


def test_the_end_of_an_account(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        alice = await person(s, "alice")
        bob = await person(s, "bob")
        await organisation(s, alice, "web")
        await grants.put_grant(s, alice, grants.Where("web"), "bob", Role.OWNER, BY)
        made = await tokens.create_token(s, bob, "bob", tokens.Wanted("ci"), BY)
        await accounts.delete_account(s, root, "bob", BY)
        assert await standing(s, bob) == 0
        with pytest.raises(NotFound):
            await accounts.find_account(s, root, "bob")
        with pytest.raises(NotFound):
            await tokens.find_token(s, root, made.token.id)
        assert [
            each.who for each in await grants.list_grants(s, alice, grants.Where("web"), (0, 0), 10)
        ] == ["alice"]
        # The name is free, what it had is not.
        heir = await person(s, "bob")
        assert heir.subject.principal_id != bob.subject.principal_id
        for name in ("bob", "web"):
            found = await s.db.read(
                lambda tx, name=name: access.find_namespace_target(tx, heir.subject, name)
            )
            assert found.facts.rank == 0

    registries.run(use)


async def with_password(s: Services, name: str = "alice") -> Actor:
    """Make an account with a password."""
    actor = await person(s, name)

    async def write(tx: Any) -> None:
        from moorage.auth.passwords import hash_password
        from moorage.db import principals

        await principals.set_password(tx, actor.subject.principal_id, hash_password(PASSWORD), 1)

    await s.db.write(write)
    return await again(s, actor)


NEW = "another one, and a good one"


def test_a_new_password_ends_what_the_old_one_got(registries: Registries) -> None:
    async def use(s: Services) -> None:
        alice = await with_password(s)
        session = await sign_in.sign_in(s, "alice", PASSWORD, "", "192.0.2.1", "r")
        made = await tokens.create_token(s, alice, "alice", tokens.Wanted("ci"), BY)
        await passwords.change_password(s, alice, PASSWORD, NEW, "192.0.2.1", BY)
        assert await standing(s, alice) == 0
        with pytest.raises(Unauthorized):
            await sign_in.identify(s, session.secret)
        with pytest.raises(Unauthorized):
            await sign_in.sign_in(s, "alice", PASSWORD, "", "192.0.2.1", "r")
        await sign_in.sign_in(s, "alice", NEW, "", "192.0.2.1", "r")
        assert (await tokens.find_token(s, await again(s, alice), made.token.id)).name == "ci"
        told = await everything_told(s)
        assert PASSWORD.encode() not in told
        assert NEW.encode() not in told
        assert b"argon2" not in told

    registries.run(use)


def test_the_old_password_is_needed_for_a_new_one(registries: Registries) -> None:
    async def use(s: Services) -> None:
        alice = await with_password(s)
        with pytest.raises(NotPermitted):
            await passwords.change_password(s, alice, NEW, NEW, "192.0.2.1", BY)
        for short in ("elevenchars", "x" * 1_025, "with\0nothing in it"):
            with pytest.raises(Invalid):
                await passwords.change_password(s, alice, PASSWORD, short, "192.0.2.1", BY)
        token = Actor("account", "alice", "token:1", subject=alice.subject, scopes=())
        with pytest.raises(NotPermitted):
            await passwords.change_password(s, token, PASSWORD, NEW, "192.0.2.1", BY)
        with pytest.raises(Unauthorized):
            await passwords.change_password(s, ANONYMOUS, PASSWORD, NEW, "192.0.2.1", BY)
        assert await standing(s, alice) == 1

    registries.run(use)


def test_a_session_guesses_no_password(registries: Registries) -> None:
    async def use(s: Services) -> None:
        still = Guard(s.proxies, attempts=Attempts(lambda: 0.0))
        s = msgspec.structs.replace(s, guard=still)
        alice = await with_password(s)
        for _ in range(20):
            with pytest.raises(NotPermitted):
                await passwords.change_password(s, alice, NEW, NEW, "192.0.2.1", BY)
        with pytest.raises(TooManyRequests):
            await passwords.change_password(s, alice, NEW, NEW, "192.0.2.1", BY)

    registries.run(use)


def test_the_end_of_all_credentials(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        alice = await with_password(s)
        session = await sign_in.sign_in(s, "alice", PASSWORD, "", "", "r")
        made = await tokens.create_token(s, alice, "alice", tokens.Wanted("ci"), BY)
        await passwords.end_credentials(s, alice, "alice", BY)
        assert await standing(s, alice) == 0
        with pytest.raises(Unauthorized):
            await sign_in.identify(s, session.secret)
        with pytest.raises(NotFound):
            await tokens.find_token(s, root, made.token.id)

    registries.run(use)


def test_the_administrator_of_the_settings_has_a_namespace(registries: Registries) -> None:
    async def use(s: Services) -> None:
        await put_administrator(s.db, s.clock, "admin", PASSWORD)
        await put_administrator(s.db, s.clock, "admin", PASSWORD)
        home = await s.db.read(lambda tx: namespaces.find_namespace(tx, "admin"))
        assert home is not None
        assert home.kind == "personal"

    registries.run(use)
