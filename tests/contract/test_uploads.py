"""Uploads over several processes, a restart and the clock, on a real directory and database."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contract.conftest import Registries
from moorage import worker
from moorage.clock import DAY, HOUR
from moorage.errors import BlobUploadUnknown, DigestInvalid, RangeInvalid
from moorage.model.access import EARLY, Actor, Subject
from moorage.oci.digest import Digest, digest_of
from moorage.oci.names import RepositoryName
from moorage.registry import pull, uploads
from moorage.registry.services import Services
from moorage.registry.uploads import Body
from moorage.web.ranges import Span

NAME = RepositoryName.parse("web/shop")
ALICE = Actor("local", "alice", "loopback", subject=EARLY)
BOB = Actor("account", "bob", "password", subject=Subject(2, 0, 1))
RAW = bytes(range(256)) * 2_000


class Moved:
    """The system's clock, moved."""

    def __init__(self, clock: Any, by: int) -> None:
        self._clock, self._by = clock, by

    def now(self) -> int:
        return int(self._clock.now()) + self._by

    def monotonic(self) -> float:
        return float(self._clock.monotonic())


def later(s: Services, by: int) -> Services:
    """Return the services as they will be."""
    return msgspec.structs.replace(s, clock=Moved(s.clock, by))


async def chunks(raw: bytes) -> AsyncIterator[bytes]:
    """Yield content by 50,000 bytes."""
    for start in range(0, len(raw), 50_000):
        yield raw[start : start + 50_000]


async def append(s: Services, upload_id: str, raw: bytes, span: Span | None = None) -> int:
    """Append content and return the offset behind it."""
    return (await uploads.append(s, ALICE, NAME, upload_id, Body(chunks(raw), span))).offset


async def finish(s: Services, upload_id: str, raw: bytes, digest: Digest) -> None:
    """Finish a session with its last bytes."""
    await uploads.finish(s, ALICE, NAME, upload_id, Body(chunks(raw)), digest)


async def stored(s: Services, digest: Digest) -> bytes:
    """Return the repository's blob as it is on the disk."""
    _, blob, _ = await pull.find_blob(s, ALICE, NAME, digest)
    assert blob is not None
    return b"".join([part async for part in s.blobs.read(blob.location, 0, blob.size)])


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "blake3"])
@pytest.mark.parametrize("told", [True, False])
def test_any_process_goes_on(registries: Registries, algorithm: str, told: bool) -> None:
    """Begun in one process, gone on with in a second, finished in a third; whatever the digest."""
    digest = digest_of(RAW, algorithm)

    async def use(one: Services, two: Services, three: Services) -> None:
        known = algorithm if told else "sha256"
        upload = await uploads.open_upload(one, ALICE, NAME, known)
        assert await append(one, upload.id, RAW[:100_000]) == 100_000
        assert await append(two, upload.id, RAW[100_000:200_000]) == 200_000
        await finish(three, upload.id, RAW[200_000:], digest)
        assert await stored(one, digest) == RAW
        assert await stored(two, digest_of(RAW)) == RAW

    registries.run(use, 3)


def test_a_session_outlives_the_process(registries: Registries) -> None:
    """What was acknowledged is there after a restart, and the wrong digest is still found out."""

    async def begin(s: Services) -> str:
        upload = await uploads.open_upload(s, ALICE, NAME, "sha256")
        await append(s, upload.id, RAW)
        return upload.id

    async def go_on(s: Services, upload_id: str) -> None:
        found = await uploads.find_upload(s, ALICE, NAME, upload_id)
        assert (found.offset, found.prefix) == (len(RAW), digest_of(RAW))
        await finish(s, upload_id, b"", digest_of(RAW))
        assert await stored(s, digest_of(RAW)) == RAW

    upload_id = registries.run(begin)
    registries.run(lambda s: go_on(s, upload_id))
    other = registries.run(begin)

    async def wrong(s: Services) -> None:
        with pytest.raises(DigestInvalid):
            await finish(s, other, b"", digest_of(b"else"))
        with pytest.raises(BlobUploadUnknown):
            await uploads.find_upload(s, ALICE, NAME, other)

    registries.run(wrong)


def test_an_id_is_bound(registries: Registries) -> None:
    """An id is good for its caller, its repository and its time, unchanged in every letter."""

    async def use(s: Services) -> None:
        upload = await uploads.open_upload(s, ALICE, NAME, "sha256")
        await uploads.find_upload(s, ALICE, NAME, upload.id)
        other = RepositoryName.parse("web/shop2")
        changed = [
            upload.id[:place] + ("0" if upload.id[place] != "0" else "1") + upload.id[place + 1 :]
            for place in range(0, len(upload.id), 7)
        ]
        for actor, name, text in [
            (BOB, NAME, upload.id),
            (ALICE, other, upload.id),
            (ALICE, NAME, upload.id + "0"),
            (ALICE, NAME, ""),
            (ALICE, NAME, "é" * len(upload.id)),
            *((ALICE, NAME, text) for text in changed),
        ]:
            with pytest.raises(BlobUploadUnknown):
                await uploads.find_upload(s, actor, name, text)
        with pytest.raises(BlobUploadUnknown):
            await uploads.find_upload(later(s, 2 * HOUR), ALICE, NAME, upload.id)

    registries.run(use)


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("end", ["finish", "cancel", "wrong"])
def test_an_id_ends_once(registries: Registries, begun: bool, end: str) -> None:
    """A session that was finished, cancelled or given up can't be used again, with bytes or not."""

    async def use(s: Services) -> None:
        upload = await uploads.open_upload(s, ALICE, NAME, "sha256")
        if begun:
            await append(s, upload.id, RAW)
        rest = b"" if begun else RAW
        if end == "finish":
            await finish(s, upload.id, rest, digest_of(RAW))
        elif end == "cancel":
            await uploads.cancel(s, ALICE, NAME, upload.id)
        else:
            with pytest.raises(DigestInvalid):
                await finish(s, upload.id, rest, digest_of(b"else"))
        for use_again in (
            uploads.find_upload(s, ALICE, NAME, upload.id),
            append(s, upload.id, b"more"),
            finish(s, upload.id, RAW, digest_of(RAW)),
            uploads.cancel(s, ALICE, NAME, upload.id),
        ):
            with pytest.raises(BlobUploadUnknown):
                await use_again

    registries.run(use)
    assert not list((registries.config.directory / "uploads").iterdir())


def test_first_writers_race(registries: Registries) -> None:
    """Of several first finishes of one id one wins, its bytes are whole, no file is left over."""

    async def use(*processes: Services) -> None:
        upload = await uploads.open_upload(processes[0], ALICE, NAME, "sha256")
        results = await asyncio.gather(
            *(finish(s, upload.id, RAW, digest_of(RAW)) for s in processes),
            return_exceptions=True,
        )
        lost = [result for result in results if result is not None]
        assert len(lost) == len(processes) - 1
        assert all(isinstance(result, BlobUploadUnknown | RangeInvalid) for result in lost), lost
        assert await stored(processes[0], digest_of(RAW)) == RAW

    registries.run(use, 4)
    objects = registries.config.directory / "objects"
    assert len(list(objects.glob("*/*"))) == 1
    assert not list((registries.config.directory / "uploads").iterdir())


def test_expired_sessions_are_removed(registries: Registries) -> None:
    """A day after its last byte a session ends and its file goes; one in use is left alone."""

    async def use(s: Services) -> None:
        ids = [(await uploads.open_upload(s, ALICE, NAME, "sha256")).id for _ in range(3)]
        for upload_id in ids:
            await append(s, upload_id, RAW)
        await uploads.cancel(s, ALICE, NAME, ids[0])
        files = registries.config.directory / "uploads"
        assert len(list(files.iterdir())) == 2
        future = later(s, DAY + HOUR)
        runner = worker.build(future, future.db)
        await runner.schedule({"uploads.expire": HOUR})
        while await runner.run_one():
            pass
        assert not list(files.iterdir())
        for upload_id in ids:
            with pytest.raises(BlobUploadUnknown):
                await append(future, upload_id, b"late")

    registries.run(use)


def test_a_push_heals(registries: Registries) -> None:
    """Known content that is pushed again replaces a damaged file; the old one goes a day later."""

    async def use(s: Services) -> None:
        async def push() -> None:
            upload = await uploads.open_upload(s, ALICE, NAME, "sha256")
            await finish(s, upload.id, RAW, digest_of(RAW))

        await push()
        (old,) = (registries.config.directory / "objects").glob("*/*")
        old.write_bytes(b"damaged")
        await push()
        assert await stored(s, digest_of(RAW)) == RAW
        assert old.exists()
        future = later(s, DAY + HOUR)
        runner = worker.build(future, future.db)
        await runner.schedule({"objects.delete": HOUR})
        while await runner.run_one():
            pass
        assert not old.exists()
        assert await stored(s, digest_of(RAW)) == RAW

    registries.run(use)


def test_the_directory_is_as_told(registries: Registries) -> None:
    """A blob's file has the digest of its row, and no name of anybody's."""

    async def use(s: Services) -> None:
        upload = await uploads.open_upload(s, ALICE, NAME, "sha256")
        await finish(s, upload.id, RAW, digest_of(RAW))

    registries.run(use)
    (place,) = (registries.config.directory / "objects").glob("*/*")
    assert hashlib.sha256(place.read_bytes()).hexdigest() == digest_of(RAW).hex
    assert Path(place).name.isalnum()
    assert "shop" not in str(place.relative_to(registries.config.directory))
