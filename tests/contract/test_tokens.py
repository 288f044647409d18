"""Tokens of accounts and robots: what they are confined to, when they end, who may see to them."""

import asyncio
from typing import Any, cast

import pytest
from multidict import CIMultiDict

from contract.conftest import Registries
from moorage.auth.secrets import is_secret
from moorage.clock import DAY, HOUR
from moorage.db import access
from moorage.errors import Conflicting, Denied, Invalid, NotFound, Unauthorized
from moorage.model.access import Actor, Scope
from moorage.registry import robots, tokens
from moorage.registry.services import Services
from moorage.registry.tokens import Created, Wanted
from moorage.web.request import Request
from people import ANONYMOUS, BY, everything_told, later, organisation, person

Refused = (Unauthorized, Denied)


class Asked:
    """A request with a token, as far as credentials are concerned."""

    def __init__(self, secret: str) -> None:
        self.headers = CIMultiDict({"Authorization": f"Bearer {secret}"})
        self.actor = ""
        self.kept: dict[str, Any] = {}

    def connection(self, name: str) -> Any:
        """Return where it is from."""
        return ("192.0.2.1", 1) if name == "peername" else None


async def use_token(s: Services, made: Created) -> Actor:
    """Return who the token signs in."""
    return await s.auth.authenticate(cast("Request", Asked(made.secret)))


async def in_force(s: Services, actor: Actor) -> bool:
    """Tell whether the actor's credential still is."""
    return (await s.db.read(lambda tx: access.find_standing(tx, actor.subject))).standing > 0


def test_shown_once(registries: Registries) -> None:
    async def use(s: Services) -> None:
        alice = await person(s, "alice")
        made = await tokens.create_token(s, alice, "alice", Wanted("laptop"), BY)
        assert is_secret(made.secret)
        assert made.secret.startswith(made.token.mark)
        listed = await tokens.list_tokens(s, alice, "alice", 0, 10)
        assert [each.id for each in listed] == [made.token.id]
        assert made.secret not in repr(listed)
        assert made.secret.encode() not in await everything_told(s)
        life = listed[0].expires_at - listed[0].created_at
        assert life == 90 * DAY
        actor = await use_token(s, made)
        assert (actor.kind, actor.name, actor.scopes) == ("account", "alice", None)

    registries.run(use)


def test_confined(registries: Registries) -> None:
    async def use(s: Services) -> None:
        alice = await person(s, "alice")
        scopes = (Scope("alice/**", frozenset({"pull", "push"})), Scope("**", frozenset({"pull"})))
        made = await tokens.create_token(s, alice, "alice", Wanted("ci", scopes, 0), BY)
        assert made.token.expires_at == 0
        assert (await tokens.find_token(s, alice, made.token.id)).scopes == scopes
        actor = await use_token(s, made)
        assert actor.scopes == scopes
        # It does nothing for its account, least of all a wider token.
        for attempt in (
            tokens.create_token(s, actor, "alice", Wanted("wider"), BY),
            tokens.list_tokens(s, actor, "alice", 0, 10),
            tokens.revoke_token(s, actor, made.token.id, BY),
            tokens.rotate_token(s, actor, made.token.id, BY),
        ):
            with pytest.raises((*Refused, NotFound)):
                await attempt
        assert len(await tokens.list_tokens(s, alice, "alice", 0, 10)) == 1

    registries.run(use)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(""),
        Wanted("x" * 101),
        Wanted("a\nb"),
        Wanted("x", life=-1),
        Wanted("x", life=3_661 * DAY),
        Wanted("x", ()),
        Wanted("x", (Scope("**", frozenset()),)),
        Wanted("x", (Scope("**", frozenset({"administer"})),)),
        Wanted("x", (Scope("**", frozenset({"*"})),)),
        Wanted("x", (Scope("*", frozenset({"pull"})),)),
        Wanted("x", (Scope("a*", frozenset({"pull"})),)),
        Wanted("x", (Scope("", frozenset({"pull"})),)),
        Wanted("x", (Scope("/**", frozenset({"pull"})),)),
        Wanted("x", (Scope("A/**", frozenset({"pull"})),)),
        Wanted("x", (Scope("**", frozenset({"pull"})),) * 51),
    ],
)
def test_what_no_token_is(wanted: Wanted) -> None:
    with pytest.raises(Invalid):
        tokens.check_wanted(wanted)


def test_others_are_not_there(registries: Registries) -> None:
    async def use(s: Services) -> None:
        alice, mallory = await person(s, "alice"), await person(s, "mallory")
        root = await person(s, "root", administrator=True)
        made = await tokens.create_token(s, alice, "alice", Wanted("ci"), BY)
        told = set()
        for number in (made.token.id, made.token.id + 1_000):
            for attempt in (
                tokens.find_token(s, mallory, number),
                tokens.revoke_token(s, mallory, number, BY),
                tokens.rotate_token(s, mallory, number, BY),
            ):
                with pytest.raises(NotFound) as refused:
                    await attempt
                told.add(refused.value.message.replace(str(number), "…"))
        assert len(told) == 1
        with pytest.raises(Refused):
            await tokens.list_tokens(s, mallory, "alice", 0, 10)
        with pytest.raises(Refused):
            await tokens.create_token(s, mallory, "alice", Wanted("x"), BY)
        with pytest.raises(Refused):
            await tokens.list_tokens(s, ANONYMOUS, "alice", 0, 10)
        # Administrators take tokens away, and make none in another's name.
        with pytest.raises(NotFound):
            await tokens.create_token(s, root, "alice", Wanted("x"), BY)
        with pytest.raises(NotFound):
            await tokens.rotate_token(s, root, made.token.id, BY)
        actor = await use_token(s, made)
        assert await in_force(s, actor)
        await tokens.revoke_token(s, root, made.token.id, BY)
        assert not await in_force(s, actor)
        with pytest.raises(NotFound):
            await tokens.revoke_token(s, root, made.token.id, BY)

    registries.run(use)


def test_of_robots(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, alice = await person(s, "owner"), await person(s, "alice")
        await organisation(s, owner)
        await organisation(s, alice, "other")
        robot = await robots.create_robot(s, owner, "web", "ci", BY)
        assert robot.name == "web+ci"
        made = await tokens.create_token(s, owner, "web+ci", Wanted("jenkins"), BY)
        actor = await use_token(s, made)
        assert (actor.kind, actor.name) == ("robot", "web+ci")
        for attempt in (
            tokens.list_tokens(s, alice, "web+ci", 0, 10),
            tokens.create_token(s, alice, "web+ci", Wanted("x"), BY),
            tokens.create_token(s, actor, "web+ci", Wanted("x"), BY),
            tokens.find_token(s, alice, made.token.id),
            robots.find_robot(s, alice, "web", "ci"),
            robots.set_enabled(s, alice, "web", "ci", BY, enabled=False),
            robots.delete_robot(s, alice, "web", "ci", BY),
            robots.find_robot(s, alice, "other", "ci"),
            robots.delete_robot(s, alice, "other", "ci", BY),
        ):
            with pytest.raises((*Refused, NotFound)):
                await attempt
        for name in ("none", "Ci", "ci/x", "x+ci", ""):
            with pytest.raises((NotFound, Invalid)):
                await tokens.create_token(s, owner, f"web+{name}", Wanted("x"), BY)
        for name in ("Ci", "a b", "a+b", "a/b", ""):
            with pytest.raises(Invalid):
                await robots.create_robot(s, owner, "web", name, BY)
        with pytest.raises(Conflicting):
            await robots.create_robot(s, owner, "web", "ci", BY)
        await robots.set_enabled(s, owner, "web", "ci", BY, enabled=False)
        assert not await in_force(s, actor)
        await robots.set_enabled(s, owner, "web", "ci", BY, enabled=True)
        assert await in_force(s, actor)
        await robots.delete_robot(s, owner, "web", "ci", BY)
        assert not await in_force(s, actor)
        again = await robots.create_robot(s, owner, "web", "ci", BY)
        assert again.id != robot.id
        assert await tokens.list_tokens(s, owner, "web+ci", 0, 10) == []

    registries.run(use)


def test_rotated_with_an_overlap(registries: Registries) -> None:
    async def use(s: Services) -> None:
        alice = await person(s, "alice")
        scopes = (Scope("**", frozenset({"pull"})),)
        old = await tokens.create_token(s, alice, "alice", Wanted("ci", scopes, 30 * DAY), BY)
        new = await tokens.rotate_token(s, alice, old.token.id, BY, overlap=2 * HOUR)
        assert new.secret != old.secret
        assert (new.token.name, new.token.scopes) == ("ci", scopes)
        assert new.token.expires_at - new.token.created_at == 30 * DAY
        for each in (old, new):
            assert (await use_token(s, each)).name == "alice"
        soon = later(s, 2 * HOUR + 1_000)
        assert [each.id for each in await tokens.list_tokens(soon, alice, "alice", 0, 10)] == [
            new.token.id
        ]
        # Never for longer than it had.
        short = await tokens.create_token(s, alice, "alice", Wanted("x", None, HOUR), BY)
        await tokens.rotate_token(s, alice, short.token.id, BY)
        left = await tokens.find_token(s, alice, short.token.id)
        assert left.expires_at == short.token.expires_at
        gone = await tokens.rotate_token(s, alice, new.token.id, BY, overlap=0)
        with pytest.raises(NotFound):
            await tokens.find_token(s, alice, new.token.id)
        with pytest.raises(Invalid):
            await tokens.rotate_token(s, alice, gone.token.id, BY, overlap=DAY + 1)
        with pytest.raises(Invalid):
            await tokens.rotate_token(s, alice, gone.token.id, BY, overlap=-1)

    registries.run(use)


def test_as_many_as_there_may_be(registries: Registries) -> None:
    """Also for those who ask at once."""

    async def use(s: Services, t: Services) -> None:
        alice = await person(s, "alice")
        for number in range(tokens.MOST_TOKENS - 1):
            await tokens.create_token(s, alice, "alice", Wanted(f"token {number}", None, DAY), BY)
        done = await asyncio.gather(
            *(tokens.create_token(each, alice, "alice", Wanted("last"), BY) for each in (s, t)),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in done) == ["Conflicting", "Created"]
        # What has ended makes room.
        await tokens.create_token(later(s, 2 * DAY), alice, "alice", Wanted("more"), BY)

    registries.run(use, 2)


def test_the_last_use_is_written_in_batches(registries: Registries) -> None:
    async def use(s: Services) -> None:
        alice = await person(s, "alice")
        made = await tokens.create_token(s, alice, "alice", Wanted("ci"), BY)
        await use_token(s, made)
        assert (await tokens.find_token(s, alice, made.token.id)).last_used_at == 0
        await s.guard.uses.flush(s.db)
        used = (await tokens.find_token(s, alice, made.token.id)).last_used_at
        assert abs(used - s.clock.now()) < 60_000
        s.guard.uses.note(made.token.id, used - 1_000)
        await s.guard.uses.flush(s.db)
        assert (await tokens.find_token(s, alice, made.token.id)).last_used_at == used

    registries.run(use)
