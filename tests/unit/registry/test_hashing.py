"""Running hashes: found again only for exactly the bytes that the session has."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from moorage.errors import BodyTimeout, SizeInvalid
from moorage.model.artifacts import Upload
from moorage.oci.digest import Hasher, digest_of
from moorage.registry.hashing import GATHER, Hashed, Hashes
from moorage.web.request import Disconnected

SIZES = [1, 0, GATHER - 1, GATHER, 3, GATHER + 1, 70_000]
PARTS = [bytes([place]) * size for place, size in enumerate(SIZES)]


def session(offset: int, epoch: int, algorithm: str = "sha256") -> Upload:
    """Return a session that is so far."""
    return Upload("id", 1, algorithm, b"", offset, None, epoch, 0)


def test_a_session_without_bytes_begins_anew() -> None:
    hasher = Hashes().take(session(0, 0, "sha512"))
    assert hasher is not None
    assert hasher.digest("sha512") == digest_of(b"", "sha512")


@pytest.mark.parametrize(("offset", "epoch"), [(4, 3), (3, 2), (5, 2), (4, 1)])
def test_another_state_of_the_session_has_none(offset: int, epoch: int) -> None:
    """Somebody else has written since: the hash here is of other bytes."""
    hashes = Hashes()
    hashes.keep("id", 4, 2, Hasher())
    assert hashes.take(session(offset, epoch)) is None


def test_it_is_taken_once() -> None:
    hashes = Hashes()
    kept = Hasher()
    hashes.keep("id", 4, 2, kept)
    assert hashes.take(session(4, 2)) is kept
    assert hashes.take(session(4, 2)) is None


async def body(end: Exception | None = None) -> AsyncIterator[bytes]:
    """Yield the parts, and end as told."""
    for part in PARTS:
        yield part
    if end is not None:
        raise end


def passed(hashed: Hashed) -> bytes:
    """Return what comes out."""

    async def collect() -> bytes:
        return b"".join([chunk async for chunk in hashed])

    return asyncio.run(collect())


def test_what_passes_is_hashed() -> None:
    hasher = Hasher("blake3")
    whole = b"".join(PARTS)
    assert passed(Hashed(body(), hasher, Hashes().pool)) == whole
    assert hasher.digest() == digest_of(whole)
    assert hasher.digest("blake3") == digest_of(whole, "blake3")


@pytest.mark.parametrize("end", [Disconnected(), BodyTimeout()])
def test_what_came_before_the_client_went_is_kept(end: Exception) -> None:
    hasher = Hasher()
    hashed = Hashed(body(end), hasher, Hashes().pool)
    assert passed(hashed) == b"".join(PARTS)
    assert hashed.broken is end
    assert hasher.digest() == digest_of(b"".join(PARTS))


def test_other_failures_go_on() -> None:
    with pytest.raises(ZeroDivisionError):
        passed(Hashed(body(ZeroDivisionError()), Hasher(), Hashes().pool))


def test_more_than_was_declared_is_refused() -> None:
    total = sum(SIZES)
    assert len(passed(Hashed(body(), Hasher(), Hashes().pool, most=total))) == total
    with pytest.raises(SizeInvalid):
        passed(Hashed(body(), Hasher(), Hashes().pool, most=total - 1))
