"""A move from one registry to another: all of it, interrupted, resumed, and refused."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.conftest import Registries, settings_in
from moorage.db import copying, settings
from moorage.db.sqlite import freeze
from moorage.errors import Refused, Unavailable
from moorage.model.access import EARLY, Actor
from moorage.oci.digest import Digest, digest_of
from moorage.oci.names import RepositoryName
from moorage.registry import listing, pull, uploads
from moorage.registry.move import COPYING, DONE, STATE, End, Move, Step
from moorage.registry.services import Services
from s3 import S3Server

LOCAL = Actor("local", "local", "loopback", subject=EARLY)
APP = RepositoryName("team/app")


async def chunks(raw: bytes) -> AsyncIterator[bytes]:
    """Yield the bytes at once."""
    yield raw


async def push(s: Services, raw: bytes, name: RepositoryName = APP) -> Digest:
    """Push a blob."""
    digest = digest_of(raw)
    await uploads.push_whole(s, LOCAL, name, uploads.Body(chunks(raw)), digest)
    return digest


async def content(s: Services, digest: Digest) -> bytes:
    """Return a blob's bytes as the registry has them."""
    target, blob, _ = await pull.find_blob(s, LOCAL, APP, digest)
    _, found = pull.known_blob(target.repository, blob, APP, digest)
    return b"".join([part async for part in s.blobs.read(found.location, 0, found.size)])


def move(source: Services, target: Services, steps: list[Step] | None = None) -> Move:
    """Return the move from one to the other."""
    told = steps if steps is not None else []
    ends = (End(source.db, source.blobs), End(target.db, target.blobs))
    return Move(*ends, told.append, bytes_stay=False)


async def whole(moving: Move, directory: Path) -> None:
    """Move everything."""
    await moving.begin()
    await moving.copy_blobs()
    freeze(directory, frozen=True)
    await moving.finish()


@pytest.fixture
def old(tmp_path: Path) -> Registries:
    """Return the registry to move."""
    return Registries(settings_in(tmp_path / "old", {}))


@pytest.fixture(params=["embedded", "fleet"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Registries:
    """Return an empty registry of each shape."""
    environment: dict[str, str] = {}
    if request.param == "fleet":
        server: S3Server = request.getfixturevalue("s3_servers")("swift")
        patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        for name, value in server.credentials.items():
            patch.setenv(name, value)
        environment = {**server.settings(), "MOORAGE_DATABASE": request.getfixturevalue("url")}
    return Registries(settings_in(tmp_path / "new", environment))


def both(old: Registries, new: Registries, use: object) -> None:
    """Run a coroutine function of both registries' services."""

    async def body(source: Services) -> None:
        async def inner(target: Services) -> None:
            await use(source, target)  # type: ignore[operator]

        await new.within(inner)

    old.run(body)


def test_everything_is_there(old: Registries, new: Registries, tmp_path: Path) -> None:
    """Blobs with their bytes, rows as they were, and the target says that it is whole."""

    async def use(source: Services, target: Services) -> None:
        raws = [os.urandom(size) for size in (0, 10, 70_000, 3_000_000)]
        digests = [await push(source, raw) for raw in raws]
        steps: list[Step] = []
        moving = move(source, target, steps)
        await moving.begin()
        assert await settings.get(target.db, STATE) == COPYING
        await moving.copy_blobs()
        freeze(tmp_path / "old", frozen=True)
        moved = await moving.finish()
        assert await settings.get(target.db, STATE) == DONE
        assert moved.rows["blob_digest"] == len(set(digests))
        assert not moved.lost
        for raw, digest in zip(raws, digests, strict=True):
            assert await content(target, digest) == raw
        assert {step.what for step in steps} >= {"blobs", "repository", "comparing repository"}
        # It goes on: ids continue behind those that were copied.
        await push(target, b"later", RepositoryName("team/other"))
        assert (await listing.list_repositories(target, LOCAL, "", 10)).names == [APP, "team/other"]

    both(old, new, use)


def test_an_interrupted_move_goes_on(old: Registries, new: Registries, tmp_path: Path) -> None:
    """What was copied is not copied again; what came since is."""

    async def use(source: Services, target: Services) -> None:
        first = [await push(source, os.urandom(1_000)) for _ in range(5)]
        moving = move(source, target)
        await moving.begin()
        await moving.copy_blobs()
        before = [row async for rows in copying.blob_pages(target.db) for row in rows]
        later = await push(source, b"came later")
        again = move(source, target)
        await whole(again, tmp_path / "old")
        after = [row async for rows in copying.blob_pages(target.db) for row in rows]
        assert after[: len(before)] == before
        for digest in (*first, later):
            assert digest_of(await content(target, digest)) == digest

    both(old, new, use)


def test_a_frozen_registry_is_read_and_not_written(old: Registries, tmp_path: Path) -> None:
    """Pulls go on; a push is refused for now, and says why; it can be undone."""

    async def use(source: Services) -> None:
        digest = await push(source, b"before")
        freeze(tmp_path / "old", frozen=True)
        with pytest.raises(Unavailable, match="moved"):
            await push(source, b"during")
        assert await content(source, digest) == b"before"
        freeze(tmp_path / "old", frozen=False)
        await push(source, b"after")

    old.run(use)


def test_damaged_bytes_are_told(old: Registries, new: Registries, tmp_path: Path) -> None:
    """A blob whose bytes have another digest arrives as lost, so that a push heals it."""

    async def use(source: Services, target: Services) -> None:
        good, bad = await push(source, b"good" * 100), await push(source, b"bad!" * 100)
        _, blob, _ = await pull.find_blob(source, LOCAL, APP, bad)
        assert blob is not None
        path = tmp_path / "old" / "objects" / blob.location[:2] / blob.location
        path.write_bytes(b"rot!" * 100)
        moving = move(source, target)
        await moving.begin()
        freeze(tmp_path / "old", frozen=True)
        moved = await moving.finish()
        assert moved.lost == [bad]
        assert digest_of(await content(target, good)) == good
        assert (await pull.find_blob(target, LOCAL, APP, bad))[1] is None
        await push(target, b"bad!" * 100)
        assert digest_of(await content(target, bad)) == bad

    both(old, new, use)


def test_a_used_target_is_refused(old: Registries, new: Registries) -> None:
    """A database with content of its own is left as it is."""

    async def use(source: Services, target: Services) -> None:
        await push(target, b"mine")
        with pytest.raises(Refused, match="not empty"):
            await move(source, target).begin()
        assert await settings.get(target.db, "move.source") is None

    both(old, new, use)


def test_a_source_that_is_written_meanwhile_is_noticed(old: Registries, new: Registries) -> None:
    """Without the freeze both ends would differ: the comparison finds it."""

    async def use(source: Services, target: Services) -> None:
        await push(source, b"one")
        moving = move(source, target)
        await moving.begin()
        # What somebody writes into the target between the copy and the comparison.
        original = moving._compare

        async def disturbed() -> None:
            await settings.put(target.db, "stray", "x")
            await original()

        moving._compare = disturbed  # type: ignore[method-assign]
        with pytest.raises(Refused, match="setting differ"):
            await moving.finish()
        assert await settings.get(target.db, STATE) == COPYING

    both(old, new, use)
