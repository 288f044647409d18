"""Refresh tokens in the database: families, those of trusts, and what is removed."""

import asyncio
from typing import Any

import pytest

from contract.conftest import Registries
from members import Member, Members
from moorage.auth.secrets import hash_secret
from moorage.clock import HOUR, SECOND
from moorage.db import principals, refresh
from moorage.db.engine import Tx
from moorage.errors import Unauthorized
from moorage.model.access import Actor, Scope, Subject
from moorage.registry import bearers
from moorage.registry.services import Services
from moorage.registry.upkeep import SCHEDULE, work

SCOPES = (Scope("a/**", frozenset({"pull"})),)


async def is_good(s: Services, text: str) -> bool:
    try:
        await bearers.renew(s, text)
    except Unauthorized:
        return False
    return True


def person(members: Members) -> Actor:
    found = members.account()
    return Actor("account", found.name, "password", subject=Subject(found.number, 0, 1))


def machine(members: Members) -> tuple[Member, int, str, Actor]:
    """Return a robot, its trust, the trust's token, and who signs in by an identity token."""
    robot = members.robot("a")
    secret = robot.token()

    async def find(tx: Tx) -> int:
        holder = await principals.find_holder(tx, hash_secret(secret))
        assert holder is not None
        return holder.token_id

    token_id = members.write(find)
    number = members.trust("a", robot, token_id)
    subject = Subject(robot.number, token_id, 0)
    soon = 1  # the identity token itself has long run out by then
    actor = Actor(
        "robot", robot.name, f"trust:{number}", subject=subject, scopes=SCOPES, expires_at=soon
    )
    return robot, number, secret, actor


def test_of_two_uses_at_once_one_is_good(registries: Registries) -> None:
    """The other is a theft, as far as anybody can tell: all of the family ends."""
    actor = person(Members(registries.config))

    async def use(one: Services, other: Services) -> None:
        text = await bearers.begin_refresh(one, actor)
        used = await asyncio.gather(
            bearers.renew(one, text), bearers.renew(other, text), return_exceptions=True
        )
        good = [each for each in used if isinstance(each, bearers.Renewed)]
        assert len(good) == 1
        assert not await is_good(one, text)
        assert not await is_good(one, good[0].refresh)

    registries.run(use, 2)


def test_a_spent_one_ends_its_family_for_good(registries: Registries) -> None:
    actor = person(Members(registries.config))

    async def use(s: Services) -> None:
        first = await bearers.begin_refresh(s, actor)
        other = await bearers.begin_refresh(s, actor)
        second = (await bearers.renew(s, first)).refresh
        assert not await is_good(s, first)
        assert not await is_good(s, second)
        assert await is_good(s, other)

    registries.run(use)


def test_that_of_a_trust_is_good_for_its_hours(registries: Registries) -> None:
    """Docker sends the one that it got at login with every token that it needs."""
    members = Members(registries.config)
    robot, number, _, actor = machine(members)

    async def use(s: Services) -> None:
        assert bearers.begins_refresh(actor)
        text = await bearers.begin_refresh(s, actor)
        for _ in range(3):
            renewed = await bearers.renew(s, text)
            assert renewed.refresh == ""
            assert text not in repr(renewed)
            found = renewed.actor
            assert (found.kind, found.name, found.credential) == (
                "robot",
                robot.name,
                f"trust:{number}",
            )
            assert found.subject == actor.subject
            assert found.scopes == SCOPES
            assert 5 * HOUR < found.expires_at - s.clock.now() <= 6 * HOUR

    registries.run(use)


@pytest.mark.parametrize("how", ["trust", "token", "robot"])
def test_that_of_a_trust_ends_with_it(registries: Registries, how: str) -> None:
    members = Members(registries.config)
    robot, number, secret, actor = machine(members)
    texts: list[str] = []

    async def begin(s: Services) -> None:
        texts.append(await bearers.begin_refresh(s, actor))

    async def look(s: Services) -> bool:
        return await is_good(s, texts[0])

    registries.run(begin)
    assert registries.run(look)
    if how == "trust":
        members.end_trust(number)
    elif how == "token":
        members.revoke(secret)
    else:
        robot.enable(enabled=False)
    assert not registries.run(look)


@pytest.mark.parametrize("how", ["disabled", "ended"])
def test_that_of_a_person_ends_with_its_credentials(registries: Registries, how: str) -> None:
    """The service itself refuses it, before anybody asks what its bearer may."""
    members = Members(registries.config)
    member = members.account()
    actor = Actor("account", member.name, "password", subject=Subject(member.number, 0, 1))
    texts: list[str] = []

    async def begin(s: Services) -> None:
        texts.append(await bearers.begin_refresh(s, actor))

    async def look(s: Services) -> bool:
        return await is_good(s, texts[-1])

    registries.run(begin)
    assert registries.run(look)
    registries.run(begin)
    if how == "disabled":
        member.enable(enabled=False)
    else:
        member.end_credentials()
    assert not registries.run(look)


def test_it_runs_out_and_is_removed(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = person(Members(registries.config))

    async def use(s: Services) -> None:
        text = await bearers.begin_refresh(s, actor)
        honest = s.clock.now
        monkeypatch.setattr(s.clock, "now", lambda: honest() + bearers.REFRESHED + SECOND)
        assert not await is_good(s, text)

        class Running:
            async def write(self, body: Any) -> Any:
                return await s.db.write(body)

        await work(s)["refresh.forget"](Running())  # type: ignore[arg-type]

        async def find(tx: Tx) -> object:
            return await refresh.find_refresh(tx, hash_secret(text))

        assert await s.db.read(find) is None

    registries.run(use)


def test_the_jobs_are_scheduled() -> None:
    assert {"keys.rotate", "refresh.forget"} <= SCHEDULE.keys()
