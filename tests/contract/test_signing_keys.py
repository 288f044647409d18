"""The keys of a registry: made once, shared, published before they sign, retired."""

import asyncio
from typing import ClassVar, cast

import pytest
from multidict import CIMultiDict

from contract.conftest import OpenDatabase, Registries
from moorage.auth.address import Address
from moorage.auth.keys import LIFETIME, PUBLISHED, VERIFIED, KeyRing
from moorage.clock import MINUTE, SystemClock
from moorage.db import keys
from moorage.db.engine import Database, Tx
from moorage.db.keys import StoredKey
from moorage.model.access import Actor, Subject
from moorage.registry.services import Services
from moorage.web.request import Request

SECRET = b"s" * 32


class Ahead(SystemClock):
    """A clock that is ahead."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead / 1000


async def stored(db: Database, since: int = 0) -> list[StoredKey]:
    """Return every key."""

    async def read(tx: Tx) -> list[StoredKey]:
        return await keys.list_keys(tx, since)

    return await db.read(read)


def test_processes_that_start_at_once_make_one_key(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        rings = [KeyRing(db, SystemClock(), SECRET) for _ in range(8)]
        found = await asyncio.gather(*(ring.signer() for ring in rings))
        assert len({key.id for key in found}) == 1
        assert len(await stored(db)) == 1

    database.run(use)


def test_the_private_half_is_enciphered_and_published_nowhere(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        ring = KeyRing(db, SystemClock(), SECRET)
        signer = await ring.signer()
        secret = signer.key.as_dict(private=True)["d"]
        [row] = await stored(db)
        assert secret.encode() not in row.private + row.public
        assert b'"d"' not in row.private + row.public
        [shown] = await ring.published()
        assert shown.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (shown["kid"], shown["alg"], shown["use"]) == (signer.id, "ES256", "sig")
        assert repr(row) == f"StoredKey({row.id!r})"

    database.run(use)


def test_keys_under_another_secret_only_verify(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        old = await KeyRing(db, SystemClock(), SECRET).signer()
        ring = KeyRing(db, SystemClock(), b"o" * 32)
        new = await ring.signer()
        assert new.id != old.id
        seen = await ring.find(old.id)
        assert seen is not None
        assert not seen.can_sign

    database.run(use)


def test_a_key_lives_as_it_is_written(database: OpenDatabase) -> None:
    """Published, then signing, then verifying, then gone; at each time for every process alike."""

    async def use(db: Database) -> None:
        clock = Ahead()
        first = (await KeyRing(db, clock, SECRET).signer()).id

        async def turn() -> tuple[str, int, int]:
            ring = KeyRing(db, clock, SECRET)
            await db.write(ring.rotate)
            rows = await stored(db, clock.now() - VERIFIED)
            published = await KeyRing(db, clock, SECRET).published()
            return (await KeyRing(db, clock, SECRET).signer()).id, len(rows), len(published)

        assert await turn() == (first, 1, 1)
        clock.ahead = LIFETIME - MINUTE
        assert await turn() == (first, 1, 1)
        clock.ahead = LIFETIME + MINUTE
        assert await turn() == (first, 2, 2)
        clock.ahead += PUBLISHED - MINUTE
        assert await turn() == (first, 2, 2)
        clock.ahead += 2 * MINUTE
        second, count, published = await turn()
        assert second != first
        assert (count, published) == (2, 2)
        [old] = [key for key in await stored(db, clock.now() - VERIFIED) if key.id == first]
        assert old.private == b""
        assert old.retired_at
        clock.ahead += VERIFIED - MINUTE
        assert await turn() == (second, 2, 2)
        clock.ahead += 2 * MINUTE
        assert await turn() == (second, 1, 1)
        assert await KeyRing(db, clock, SECRET).find(first) is None

    database.run(use)


def test_a_token_is_good_at_every_process(registries: Registries) -> None:
    """Whichever process gave it; the keys are all that they share."""

    class Asked:
        is_tls = False
        headers: ClassVar[CIMultiDict[str]] = CIMultiDict({"Host": "r.example"})

    async def use(*processes: Services) -> None:
        actor = Actor("account", "ann", "password", subject=Subject(7, 0, 1))
        for one in processes:
            bearer = await one.bearers.issue(actor, [], Address("http://r.example"))
            for other in processes:
                asked = cast("Request", Asked())
                found = await other.bearers.identify(bearer.text, asked, grace=0)
                assert found.subject == actor.subject

    registries.run(use, 3)


def test_unknown_names_do_not_ask_the_database_each_time(
    embedded: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(db: Database) -> None:
        clock = Ahead()
        ring = KeyRing(db, clock, SECRET)
        await ring.signer()
        reads = 0
        honest = keys.list_keys

        async def counted(tx: Tx, since: int) -> list[StoredKey]:
            nonlocal reads
            reads += 1
            return await honest(tx, since)

        monkeypatch.setattr(keys, "list_keys", counted)
        for number in range(100):
            assert await ring.find(f"unknown{number}") is None
        assert reads == 0
        clock.ahead = 6_000
        for number in range(100):
            assert await ring.find(f"unknown{number}") is None
        assert reads == 1

    embedded.run(use)


def test_a_key_that_another_process_has_made_is_found(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        clock = Ahead()
        mine = KeyRing(db, clock, SECRET)
        await mine.signer()
        clock.ahead = LIFETIME + MINUTE
        theirs = KeyRing(db, clock, SECRET)
        await mine.published()
        await db.write(theirs.rotate)
        clock.ahead += 6_000
        [fresh] = {each["kid"] for each in await theirs.published()} - {(await mine.signer()).id}
        assert await mine.find(fresh) is not None

    database.run(use)
