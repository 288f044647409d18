"""Keys of requests that are sent again: claimed by one, kept for a while, and then forgotten."""

import asyncio
from typing import Any

from moorage.db import idempotent
from moorage.db.engine import Database, Tx
from moorage.db.idempotent import Answered

FIRST, OTHER = b"first", b"other"


async def claim(
    db: Database, digest: bytes = FIRST, now: int = 100, until: int = 160, who: int = 7
) -> Answered | None:
    """Claim the key."""

    async def body(tx: Tx) -> Answered | None:
        return await idempotent.claim_key(tx, who, "key", digest, now, until)

    return await db.write(body)


async def keep(db: Database, claimed: int = 160, until: int = 1_000) -> None:
    """Keep an answer."""

    async def body(tx: Tx) -> None:
        await idempotent.keep_answer(tx, 7, "key", claimed, Answered(FIRST, 201, b"{}"), until)

    await db.write(body)


async def end(db: Database, claimed: int) -> None:
    """End a claim."""

    async def body(tx: Tx) -> None:
        await idempotent.end_claim(tx, 7, "key", claimed)

    await db.write(body)


async def forget(db: Database, now: int) -> int:
    """Forget what has run out."""

    async def body(tx: Tx) -> int:
        return await idempotent.forget_answers(tx, now, 10)

    return await db.write(body)


def test_one_claims(database: Any) -> None:
    """Of many at once one has the key, and the others are told what it is for."""

    async def use(db: Database) -> list[Answered | None]:
        return await asyncio.gather(*(claim(db) for _ in range(8)))

    found = database.run(use)
    assert found.count(None) == 1
    assert [each for each in found if each] == [Answered(FIRST, 0, b"")] * 7


def test_an_answer_is_kept_and_runs_out(database: Any) -> None:
    """An answer is said again until its time has come, whatever is asked with the key."""

    async def use(db: Database) -> None:
        assert await claim(db) is None
        await keep(db)
        assert await claim(db, OTHER, now=200) == Answered(FIRST, 201, b"{}")
        assert await claim(db, OTHER, now=999) == Answered(FIRST, 201, b"{}")
        assert await claim(db, OTHER, now=1_000, until=1_060) is None
        assert await claim(db, OTHER, now=1_001) == Answered(OTHER, 0, b"")

    database.run(use)


def test_keys_are_each_principal_s_own(database: Any) -> None:
    """Nobody is told what another one asked under the same key."""

    async def use(db: Database) -> None:
        assert await claim(db) is None
        assert await claim(db, who=8) is None

    database.run(use)


def test_a_claim_that_ran_out_is_over(database: Any) -> None:
    """Who was slower than its claim neither keeps its answer nor ends the next one's claim."""

    async def use(db: Database) -> None:
        assert await claim(db) is None
        assert await claim(db, OTHER, now=160, until=220) is None
        await keep(db, claimed=160)
        await end(db, claimed=160)
        assert await claim(db, FIRST, now=161) == Answered(OTHER, 0, b"")
        await end(db, claimed=220)
        assert await claim(db, FIRST, now=162) is None

    database.run(use)


def test_an_answer_is_not_ended(database: Any) -> None:
    """Only a claim without an answer can be ended."""

    async def use(db: Database) -> None:
        assert await claim(db) is None
        await keep(db)
        await end(db, claimed=1_000)
        assert await claim(db, now=200) == Answered(FIRST, 201, b"{}")

    database.run(use)


def test_what_ran_out_is_forgotten(database: Any) -> None:
    """The job removes what has run out and nothing else."""

    async def use(db: Database) -> None:
        assert await claim(db) is None
        assert await forget(db, 159) == 0
        assert await claim(db, now=120) is not None
        assert await forget(db, 160) == 1
        assert await forget(db, 160) == 0
        assert await claim(db, now=120) is None

    database.run(use)
