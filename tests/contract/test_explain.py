"""Why somebody may: the doors' own decision, the grants behind it, and who is told what."""

import pytest

from contract.conftest import Registries
from moorage.errors import NotFound, NotPermitted, Unauthorized
from moorage.model.access import Action, Actor, Role, Scope
from moorage.oci.names import RepositoryName
from moorage.registry import explain, grants, namespaces, tokens
from moorage.registry.explain import Path
from moorage.registry.grants import Where
from moorage.registry.services import Services
from people import ANONYMOUS, BY, organisation, person, team

SHOP = RepositoryName.parse("web/shop")
NONE = RepositoryName.parse("web/none")
Refused = (Unauthorized, NotPermitted)


async def start(s: Services) -> tuple[Actor, Actor]:
    """Make a repository; return its owner and somebody who has nothing there."""
    owner, alice = await person(s, "owner"), await person(s, "alice")
    await organisation(s, owner)
    await namespaces.create_repository(s, owner, SHOP, BY)
    return owner, alice


def test_by_which_grants(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await start(s)
        dev = await team(s, owner, "dev", "alice")
        await grants.put_grant(s, owner, Where("web"), dev, Role.WRITER, BY)
        await grants.put_grant(s, owner, Where.of(SHOP), "alice", Role.READER, BY)
        told = await explain.explain(s, owner, "alice", Action.PUSH, Where.of(SHOP))
        assert (told.allowed, told.reason, told.visibility) == (True, "writer", "private")
        assert told.paths == (
            Path("web/dev", Role.WRITER, "web/**"),
            Path("alice", Role.READER, "web/shop"),
        )
        assert await explain.explain(s, alice, "alice", Action.PUSH, Where.of(SHOP)) == told
        no = await explain.explain(s, owner, "alice", Action.DELETE, Where.of(SHOP))
        assert not no.allowed
        assert len(no.paths) == 2
        onto = await explain.explain(s, owner, "owner", Action.MANAGE_ACCESS, Where("web"))
        assert onto.paths == (Path("owner", Role.OWNER, "web/**"),)

    registries.run(use)


def test_by_visibility_and_for_nobody(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, _ = await start(s)
        for visibility, who, allowed in (
            ("private", "anonymous", False),
            ("private", "alice", False),
            ("internal", "anonymous", False),
            ("internal", "alice", True),
            ("public", "anonymous", True),
        ):
            await namespaces.set_visibility(s, owner, SHOP, visibility, BY)
            told = await explain.explain(s, owner, who, Action.PULL, Where.of(SHOP))
            assert (told.allowed, told.visibility) == (allowed, visibility)

    registries.run(use)


def test_of_a_repository_that_is_yet_to_be_made(registries: Registries) -> None:
    """Who may make it is told by the namespace's grants."""

    async def use(s: Services) -> None:
        owner, _ = await start(s)
        await grants.put_grant(s, owner, Where("web"), "alice", Role.WRITER, BY)
        place = Where.of(RepositoryName.parse("web/not-yet"))
        push = await explain.explain(s, owner, "alice", Action.PUSH, place)
        assert (push.allowed, push.visibility) == (True, "")
        assert [path.on for path in push.paths] == ["web/**"]
        assert not (await explain.explain(s, owner, "alice", Action.DELETE, place)).allowed

    registries.run(use)


def test_by_a_token(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await start(s)
        scopes = (Scope("web/**", frozenset({"pull"})),)
        wanted = tokens.Wanted("ci", scopes)
        made = await tokens.create_token(s, owner, "owner", wanted, BY)
        number = made.token.id
        push = await explain.explain(
            s, owner, "owner", Action.PUSH, Where.of(SHOP), token_id=number
        )
        pull = await explain.explain(
            s, owner, "owner", Action.PULL, Where.of(SHOP), token_id=number
        )
        assert (push.allowed, pull.allowed, pull.scopes) == (False, True, scopes)
        for who, token_id in (("alice", number), ("owner", number + 1_000)):
            with pytest.raises(NotFound):
                await explain.explain(s, owner, who, Action.PULL, Where.of(SHOP), token_id=token_id)
        assert alice.name == "alice"

    registries.run(use)


def test_about_oneself_no_more_than_the_doors(registries: Registries) -> None:
    """A hidden repository and a missing one are the same to who asks about himself."""

    async def use(s: Services) -> None:
        owner, alice = await start(s)
        scoped = Actor("account", "owner", "token:1", subject=owner.subject, scopes=())
        for actor in (alice, scoped):
            for action in (Action.PULL, Action.PUSH, Action.MANAGE_ACCESS):
                hidden = await explain.explain(s, actor, actor.name, action, Where.of(SHOP))
                missing = await explain.explain(s, actor, actor.name, action, Where.of(NONE))
                assert (hidden.allowed, hidden.paths, hidden.visibility) == (False, (), "")
                assert hidden.reason.replace(SHOP, "…") == missing.reason.replace(NONE, "…")

    registries.run(use)


def test_about_others_only_who_may_see(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await start(s)
        auditor = await person(s, "auditor")
        await grants.put_grant(s, owner, Where("web"), "auditor", Role.AUDITOR, BY)
        await explain.explain(s, auditor, "alice", Action.PULL, Where.of(SHOP))
        for actor in (alice, ANONYMOUS):
            told = set()
            for who in ("owner", "nobody"):
                for name in (SHOP, NONE):
                    with pytest.raises(Refused) as refused:
                        await explain.explain(s, actor, who, Action.PULL, Where.of(name))
                    told.add(refused.value.message.replace(name, "…"))
            assert len(told) == 1
            with pytest.raises(Refused):
                await explain.report(s, actor, Where("web"), (0, 0), 10)
        for who in ("nobody", "web/dev", "web+none"):
            with pytest.raises(NotFound):
                await explain.explain(s, owner, who, Action.PULL, Where.of(SHOP))

    registries.run(use)


def test_a_report(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, _ = await start(s)
        await grants.put_grant(s, owner, Where.of(SHOP), "alice", Role.WRITER, BY)
        rows = await explain.report(s, owner, Where("web"), (0, 0), 1)
        assert [(each.who, each.on, each.role) for each in rows] == [
            ("owner", "web/**", Role.OWNER)
        ]
        rest = await explain.report(s, owner, Where("web"), rows[-1].after, 10)
        assert [(each.who, each.on, each.may) for each in rest] == [
            ("alice", "web/shop", (Action.PULL, Action.PUSH))
        ]
        assert await explain.report(s, owner, Where("web"), rest[-1].after, 10) == []

    registries.run(use)
