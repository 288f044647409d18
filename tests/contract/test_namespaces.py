"""Organisations, personal namespaces, and how visible what is in them is."""

from typing import Any

import pytest

from contract.conftest import Registries
from moorage.db import readable
from moorage.errors import Conflicting, Denied, Invalid, Unauthorized
from moorage.model.access import EARLY, NOBODY, Action, Actor, Role, Scope, Subject
from moorage.oci.names import RepositoryName
from moorage.registry import accounts, grants, namespaces, rights, robots, teams
from moorage.registry.services import Services
from people import ANONYMOUS, BY, organisation, person, trail

SHOP = RepositoryName.parse("web/shop")
Refused = (Unauthorized, Denied)


async def found_by(s: Services, subject: Subject) -> list[str]:
    """Return what a subject finds in the catalogue."""
    return await s.db.read(lambda tx: readable.list_names(tx, subject, "", 100))


async def names(s: Services, actor: Actor) -> list[str]:
    """Return the namespaces that the actor sees."""
    return [each.name for each in await namespaces.list_namespaces(s, actor, "", 100)]


def test_made_by_administrators(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root, alice = await person(s, "root", administrator=True), await person(s, "alice")
        made = await namespaces.create_organisation(s, root, "web", BY, visibility="internal")
        assert (made.name, made.kind, made.visibility) == ("web", "organisation", "internal")
        owner = await grants.list_grants(s, root, grants.Where("web"), (0, 0), 10)
        assert [(each.who, each.role) for each in owner] == [("root", Role.OWNER)]
        for name in ("web", "alice"):
            with pytest.raises(Conflicting):
                await namespaces.create_organisation(s, root, name, BY)
        for name in ("", "We b", "a/b", "a+b", "anonymous"):
            with pytest.raises(Invalid):
                await namespaces.create_organisation(s, root, name, BY)
        with pytest.raises(Invalid):
            await namespaces.create_organisation(s, root, "other", BY, visibility="secret")
        await namespaces.create_organisation(s, root, "library", BY)
        for actor in (alice, ANONYMOUS, Actor("local", "local", "loopback", subject=EARLY)):
            with pytest.raises(Refused):
                await namespaces.create_organisation(s, actor, "mine", BY)
        assert "namespace.created" in await trail(s)

    registries.run(use)


def test_seen_by_those_who_have_something_there(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await person(s, "owner"), await person(s, "alice")
        bob = await person(s, "bob")
        await organisation(s, owner)
        await namespaces.create_repository(s, owner, SHOP, BY)
        assert await names(s, alice) == ["alice"]
        await grants.put_grant(s, owner, grants.Where.of(SHOP), "alice", Role.READER, BY)
        assert await names(s, alice) == ["alice", "web"]
        await teams.create_team(s, owner, "web", "dev", BY)
        await teams.add_member(s, owner, "web", "dev", "bob", BY)
        await grants.put_grant(s, owner, grants.Where("web"), "web/dev", Role.READER, BY)
        assert await names(s, bob) == ["bob", "web"]
        root = await person(s, "root", administrator=True)
        assert {"alice", "bob", "web"} <= set(await names(s, root))
        with pytest.raises(Refused):
            await names(s, ANONYMOUS)
        # A token for one repository lists nothing and shows no account.
        scopes = (Scope("web/shop", frozenset({"pull"})),)
        scoped = Actor("account", "alice", "token:1", subject=alice.subject, scopes=scopes)
        with pytest.raises(Refused):
            await names(s, scoped)
        with pytest.raises(Refused):
            await accounts.find_account(s, scoped, "alice")
        with pytest.raises(Refused):
            await rights.require_namespace(s, alice, Action.PULL, "bob")

    registries.run(use)


def test_a_default_for_what_is_pushed(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await person(s, "owner"), await person(s, "alice")
        await organisation(s, owner)
        await grants.put_grant(s, owner, grants.Where("web"), "alice", Role.WRITER, BY)
        with pytest.raises(Refused):
            await namespaces.set_default_visibility(s, alice, "web", "public", BY)
        await namespaces.set_default_visibility(s, owner, "web", "public", BY)
        made = await namespaces.create_repository(s, alice, SHOP, BY)
        assert made.visibility == "public"
        assert await found_by(s, NOBODY) == ["web/shop"]
        # A writer takes the default; what is more or less visible is for those who configure.
        other = RepositoryName.parse("web/other")
        with pytest.raises(Refused):
            await namespaces.create_repository(s, alice, other, BY, visibility="private")
        assert await found_by(s, alice.subject) == ["web/shop"]
        with pytest.raises(Conflicting):
            await namespaces.create_repository(s, alice, SHOP, BY)

    registries.run(use)


def test_the_catalogue_follows(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await person(s, "owner"), await person(s, "alice")
        await organisation(s, owner)
        await namespaces.create_repository(s, owner, SHOP, BY)
        expected = {"private": (0, 0), "internal": (0, 1), "public": (1, 1)}
        for visibility in ("public", "internal", "private", "internal", "public", "private"):
            await namespaces.set_visibility(s, owner, SHOP, visibility, BY)
            seen = len(await found_by(s, NOBODY)), len(await found_by(s, alice.subject))
            assert seen == expected[visibility]
        with pytest.raises(Invalid):
            await namespaces.set_visibility(s, owner, SHOP, "open", BY)
        none = RepositoryName.parse("web/none")
        told = set()
        for name in (SHOP, none):
            with pytest.raises(Refused) as refused:
                await namespaces.set_visibility(s, alice, name, "public", BY)
            told.add(refused.value.message.replace(name, "…"))
        assert len(told) == 1

    registries.run(use)


def test_ended_only_when_empty(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await person(s, "owner"), await person(s, "alice")
        await organisation(s, owner)
        await organisation(s, owner, "empty")
        await robots.create_robot(s, owner, "web", "ci", BY)
        await teams.create_team(s, owner, "web", "dev", BY)
        await namespaces.create_repository(s, owner, SHOP, BY)
        with pytest.raises(Refused):
            await namespaces.delete_namespace(s, alice, "empty", BY)
        await namespaces.delete_namespace(s, owner, "empty", BY)
        assert "empty" not in await names(s, owner)
        with pytest.raises(Conflicting, match="repositories"):
            await namespaces.delete_namespace(s, owner, "web", BY)

        async def purge(tx: Any) -> None:
            import sqlalchemy as sa

            from moorage.db.engine import Query
            from moorage.db.schema import repository

            await tx.run(Query("test_purge", sa.delete(repository)))

        await s.db.write(purge)
        with pytest.raises(Conflicting, match="robots"):
            await namespaces.delete_namespace(s, owner, "web", BY)
        await robots.delete_robot(s, owner, "web", "ci", BY)
        with pytest.raises(Conflicting, match="teams"):
            await namespaces.delete_namespace(s, owner, "web", BY)
        await teams.delete_team(s, owner, "web", "dev", BY)
        await namespaces.delete_namespace(s, owner, "web", BY)
        # A new one of the name has nothing of the old one.
        root = await person(s, "root", administrator=True)
        await namespaces.create_organisation(s, root, "web", BY)
        with pytest.raises(Refused):
            await rights.require_namespace(s, owner, Action.PULL, "web")

    registries.run(use)


def test_a_personal_namespace_stays_with_its_account(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root, alice = await person(s, "root", administrator=True), await person(s, "alice")
        with pytest.raises(Conflicting):
            await namespaces.delete_namespace(s, alice, "alice", BY)
        await accounts.delete_account(s, root, "alice", BY)
        heir = await person(s, "alice")
        with pytest.raises(Refused):
            await rights.require_namespace(s, heir, Action.PULL, "alice")
        with pytest.raises(Conflicting):
            await namespaces.delete_namespace(s, root, "alice", BY)

    registries.run(use)
