"""Passwords: right and wrong, remembered for a minute, bounded."""

import asyncio
import time

import pytest
from argon2 import PasswordHasher

from moorage.auth import passwords
from moorage.auth.passwords import Passwords, hash_password
from moorage.errors import TooManyRequests

STORED = hash_password("correct horse battery")


def test_guessing_is_expensive() -> None:
    """The second recommendation of RFC 9106, and no less for those who have no password."""
    for stored in (STORED, passwords._nobodys()):
        assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_right_and_wrong() -> None:
    """Only the very password is right, for each stored hash by itself."""

    async def body() -> None:
        checks = Passwords()
        assert await checks.verify("admin", "correct horse battery", STORED)
        assert not await checks.verify("admin", "correct horse", STORED)
        other = hash_password("another password")
        assert not await checks.verify("admin", "correct horse battery", other)

    asyncio.run(body())


def test_what_was_verified_is_remembered_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time costs no argon2; a minute later it is verified again."""

    async def body() -> None:
        checks = Passwords()
        await checks.verify("admin", "correct horse battery", STORED)
        began = time.process_time()
        for _ in range(100):
            assert await checks.verify("admin", "correct horse battery", STORED)
        assert time.process_time() - began < 0.02
        asked = []
        real = passwords._verify
        monkeypatch.setattr(passwords, "_verify", lambda *pair: asked.append(pair) or real(*pair))
        now = time.monotonic()
        monkeypatch.setattr(passwords.time, "monotonic", lambda: now + 61)
        assert await checks.verify("admin", "correct horse battery", STORED)
        assert len(asked) == 1

    asyncio.run(body())


def test_too_many_at_once_are_refused() -> None:
    """Wrong passwords queue up to a bound; the rest is told to come later, and costs nothing."""

    async def body() -> None:
        checks = Passwords()
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("right")
        asked = [checks.verify("admin", f"wrong {n}", cheap) for n in range(60)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert results.count(False) == 32
        assert sum(isinstance(result, TooManyRequests) for result in results) == 28

    asyncio.run(body())


def test_many_who_send_the_same_wait_for_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand nodes that pull at once, as in a rollout, cost one verification and no refusal."""

    async def body() -> None:
        checks = Passwords()
        asked = []
        real = passwords._verify
        monkeypatch.setattr(passwords, "_verify", lambda *pair: asked.append(pair) or real(*pair))
        first = asyncio.ensure_future(checks.verify("admin", "correct horse battery", STORED))
        others = [checks.verify("admin", "correct horse battery", STORED) for _ in range(1_000)]
        await asyncio.sleep(0)
        first.cancel()  # its client went away
        assert all(await asyncio.gather(*others))
        assert len(asked) == 1

    asyncio.run(body())
