"""Uploads to an object store that fails in the middle: never a blob that is not there and right."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contract.conftest import Registries, settings_in
from moorage import worker
from moorage.blobs.s3 import S3Blobs
from moorage.clock import HOUR
from moorage.errors import BlobUploadUnknown, DigestInvalid, RangeInvalid, Unavailable
from moorage.model.access import EARLY, Actor
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName
from moorage.registry import pull, uploads
from moorage.registry.readiness import Readiness
from moorage.registry.services import Services
from moorage.registry.uploads import Body
from proxy import Fault, FaultyProxy
from s3 import S3Server

NAME = RepositoryName.parse("web/shop")
ALICE = Actor("local", "alice", "loopback", subject=EARLY)
PART = 5 << 20
SMALL = os.urandom(100_000)
LARGE = os.urandom(2 * PART + 100_000)

Use = Callable[[Services], Awaitable[Any]]


class Faulty:
    """A registry whose object store is behind a proxy with faults."""

    def __init__(self, registries: Registries, proxy: FaultyProxy, server: S3Server) -> None:
        self._registries = registries
        self._server = server
        self.proxy = proxy
        self.storage = registries.config.storage

    def run(self, use: Callable[..., Awaitable[Any]], count: int = 1) -> None:
        """Run the coroutine function with processes that wait one second for an answer."""

        async def behind(*built: Services) -> None:
            options = self._server.options(self.proxy.endpoint)
            stores = [
                S3Blobs(self.storage, options, each.clock, answer_seconds=1.0) for each in built
            ]
            try:
                await use(
                    *(
                        msgspec.structs.replace(each, blobs=store)
                        for each, store in zip(built, stores, strict=True)
                    )
                )
            finally:
                for store in stores:
                    await store.close()

        self._registries.run(behind, count)

    @property
    def objects(self) -> list[str]:
        """What is in the store where blobs are."""
        return [key for key in self._server.keys(self.storage) if key.startswith("objects/")]


@pytest.fixture
def faulty(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """Return a registry behind a proxy that lets everything pass."""
    for name, value in s3.credentials.items():
        monkeypatch.setenv(name, value)
    with FaultyProxy(s3.port) as proxy:
        yield Faulty(Registries(settings_in(tmp_path, s3.settings())), proxy, s3)


async def chunks(raw: bytes) -> AsyncIterator[bytes]:
    """Yield content by 200,000 bytes."""
    for start in range(0, len(raw), 200_000):
        yield raw[start : start + 200_000]


async def begin(s: Services, raw: bytes = b"") -> str:
    """Open a session, with its first bytes, and return its id."""
    upload = await uploads.open_upload(s, ALICE, NAME, "sha256")
    if raw:
        await append(s, upload.id, raw)
    return upload.id


async def append(s: Services, upload_id: str, raw: bytes) -> int:
    """Append content and return the offset behind it."""
    return (await uploads.append(s, ALICE, NAME, upload_id, Body(chunks(raw)))).offset


async def finish(s: Services, upload_id: str, rest: bytes, whole: bytes) -> None:
    """Finish a session with its last bytes."""
    await uploads.finish(s, ALICE, NAME, upload_id, Body(chunks(rest)), digest_of(whole))


async def stored(s: Services, raw: bytes) -> bytes | None:
    """Return the repository's blob as the store has it, None if there is none."""
    _, blob, _ = await pull.find_blob(s, ALICE, NAME, digest_of(raw))
    if blob is None:
        return None
    return b"".join([part async for part in s.blobs.read(blob.location, 0, blob.size)])


# A kind of request (method, part of its target), and a fault that the client library gets over.
PASSING = [Fault.REFUSE, Fault.CUT_REQUEST, Fault.LOSE_ANSWER, Fault.ERROR, Fault.SLOW_DOWN]
WRITES = [
    ("PUT", "/objects/", SMALL),
    ("PUT", "partNumber=1", LARGE),
    ("PUT", "partNumber=2", LARGE),
    ("POST", "?uploads", LARGE),
    ("POST", "uploadId=", LARGE),
]


@pytest.mark.parametrize("fault", [*PASSING, Fault.ERROR_AFTER, Fault.SWALLOW_ANSWER])
@pytest.mark.parametrize(("method", "part", "raw"), WRITES)
def test_one_fault_is_got_over(
    faulty: Faulty, method: str, part: str, raw: bytes, fault: Fault
) -> None:
    """Whatever becomes of one request to the store, the push is done, and right."""

    async def use(s: Services) -> None:
        faulty.proxy.on(method, part, fault)
        await finish(s, await begin(s), raw, raw)
        assert faulty.proxy.seen == 1
        assert await stored(s, raw) == raw

    faulty.run(use)


@pytest.mark.parametrize("fault", [Fault.LOSE_ANSWER, Fault.ERROR])
@pytest.mark.parametrize(("method", "part", "raw"), WRITES)
def test_an_outage_is_told_and_the_session_goes_on(
    faulty: Faulty, method: str, part: str, raw: bytes, fault: Fault
) -> None:
    """While the store fails nobody is told 201; afterwards the same session is finished."""

    async def use(s: Services) -> None:
        upload_id = await begin(s, b"first")
        whole = b"first" + raw
        faulty.proxy.on(method, part, fault, times=1_000)
        is_done, refused = False, None
        try:
            if raw is SMALL:
                # An object that is put whole is one that any retry finds in its place.
                faulty.proxy.on("PUT", "/uploads/", fault, times=1_000)
                await append(s, upload_id, raw)
            else:
                await finish(s, upload_id, raw, whole)
            is_done = True
        except Unavailable as error:
            refused = error
        assert faulty.proxy.seen
        assert is_done or (refused is not None and refused.headers["Retry-After"] == "2")
        if is_done:  # by the look at the key, and truly so
            assert (part, fault) == ("uploadId=", Fault.LOSE_ANSWER)
        else:
            assert await stored(s, whole) is None
            faulty.proxy.heal()
            found = await uploads.find_upload(s, ALICE, NAME, upload_id)
            await finish(s, upload_id, whole[found.offset :], whole)
        assert await stored(s, whole) == whole

    faulty.run(use)


def test_a_lost_complete_is_settled_by_the_next_request(faulty: Faulty) -> None:
    """The object was made, and nobody got to know of it: the client's next try finds it."""

    async def use(one: Services, two: Services) -> None:
        upload_id = await begin(one, LARGE)
        faulty.proxy.on("POST", "uploadId=", Fault.LOSE_ANSWER, times=1_000)
        faulty.proxy.on("HEAD", "/objects/", Fault.REFUSE, times=1_000)
        with pytest.raises(Unavailable):
            await finish(one, upload_id, b"", LARGE)
        assert await stored(one, LARGE) is None
        faulty.proxy.heal()
        await finish(two, upload_id, b"", LARGE)
        assert await stored(two, LARGE) == LARGE

    faulty.run(use, 2)
    assert len(faulty.objects) == 1


def test_a_cut_answer_is_gone_on_with(faulty: Faulty) -> None:
    """A read that breaks off is gone on with three times, and raises at the fourth."""

    async def use(s: Services) -> None:
        await finish(s, await begin(s), LARGE, LARGE)
        faulty.proxy.on("GET", "/objects/", Fault.CUT_ANSWER, times=3)
        assert await stored(s, LARGE) == LARGE
        assert faulty.proxy.seen == 3
        faulty.proxy.heal()
        faulty.proxy.on("GET", "/objects/", Fault.CUT_ANSWER, times=4)
        with pytest.raises(Unavailable):
            await stored(s, LARGE)

    faulty.run(use)


@pytest.mark.parametrize("size", [1_000, PART + 1, 2 * PART])
def test_two_writers(faulty: Faulty, size: int) -> None:
    """Of two that append at once one wins and the other gets 416; the bytes are the winner's."""
    raws = [os.urandom(size) for _ in range(2)]

    async def use(*processes: Services) -> None:
        for first in (b"", b"first"):
            upload_id = await begin(processes[0], first)
            results = await asyncio.gather(
                *(append(s, upload_id, raw) for s, raw in zip(processes, raws, strict=True)),
                return_exceptions=True,
            )
            won = [place for place, result in enumerate(results) if isinstance(result, int)]
            assert len(won) == 1, results
            assert isinstance(results[1 - won[0]], RangeInvalid), results
            whole = first + raws[won[0]] + first
            await finish(processes[1], upload_id, first, whole)
            assert await stored(processes[0], whole) == whole

    faulty.run(use, 2)


@pytest.mark.parametrize("raw", [SMALL, LARGE], ids=["small", "large"])
def test_two_finishes(faulty: Faulty, raw: bytes) -> None:
    """Of several that finish a session one wins, and those that lose delete nothing of its."""

    async def use(*processes: Services) -> None:
        upload_id = await begin(processes[0], raw)
        results = await asyncio.gather(
            *(finish(s, upload_id, b"", raw) for s in processes), return_exceptions=True
        )
        lost = [result for result in results if result is not None]
        assert all(isinstance(each, BlobUploadUnknown | RangeInvalid) for each in lost), lost
        assert len(lost) == len(processes) - 1 or len(lost) == len(processes)
        if len(lost) == len(processes):
            # Each was overtaken before it could finish: the client begins again.
            upload_id = await begin(processes[0], raw)
            await finish(processes[0], upload_id, b"", raw)
        assert await stored(processes[0], raw) == raw

    faulty.run(use, 3)


def test_a_wrong_digest_deletes_nothing_of_the_winners(faulty: Faulty) -> None:
    """One finishes rightly and one wrongly at once: if the right one wins, its bytes stay."""

    async def use(one: Services, two: Services) -> None:
        upload_id = await begin(one, LARGE)
        results = await asyncio.gather(
            finish(one, upload_id, b"", LARGE),
            finish(two, upload_id, b"", SMALL),
            return_exceptions=True,
        )
        assert results[1] is not None
        if results[0] is None:
            assert await stored(one, LARGE) == LARGE
        else:
            assert isinstance(results[1], DigestInvalid | RangeInvalid | BlobUploadUnknown)

    faulty.run(use, 2)


def test_small_patches_over_processes(faulty: Faulty, s3: S3Server) -> None:
    """Many requests over two processes: the content is read once, at the end."""
    raw = os.urandom(8 * PART // 4 * 3)
    step = PART // 4 * 3

    async def use(*processes: Services) -> None:
        upload_id = await begin(processes[0])
        for number, start in enumerate(range(0, len(raw), step)):
            s = processes[number % 2]
            assert await append(s, upload_id, raw[start : start + step]) == start + step
        faulty.proxy.requests.clear()
        await finish(processes[0], upload_id, b"", raw)
        gets = [line for line in faulty.proxy.requests if line.startswith("GET")]
        assert len([line for line in gets if "/objects/" in line]) == 1
        assert await stored(processes[1], raw) == raw
        runner = worker.build(processes[0], processes[0].db)
        await runner.schedule({"objects.delete": HOUR})
        while await runner.run_one():
            pass
        assert await stored(processes[1], raw) == raw

    faulty.run(use, 2)
    assert len(s3.keys(faulty.storage)) == 1  # what it was made from is gone
    assert s3.unfinished(faulty.storage) == 0


def test_nothing_is_left_over(faulty: Faulty, s3: S3Server) -> None:
    """Cancelled, wrong and lost sessions leave no object and no unfinished upload."""

    async def use(s: Services) -> None:
        for raw in (SMALL, LARGE):
            await uploads.cancel(s, ALICE, NAME, await begin(s, raw))
            with pytest.raises(DigestInvalid):
                await finish(s, await begin(s, raw), b"", b"else")
            with pytest.raises(DigestInvalid):
                await uploads.push_whole(s, ALICE, NAME, Body(chunks(raw)), digest_of(b"else"))

    faulty.run(use)
    assert s3.keys(faulty.storage) == []
    assert s3.unfinished(faulty.storage) == 0


def test_a_404_of_something_else_is_no_loss(faulty: Faulty) -> None:
    """What stands before the store may say so while it restarts; only the store's word counts."""

    async def use(s: Services) -> None:
        number = await begin(s, SMALL)
        await finish(s, number, b"", SMALL)
        faulty.proxy.on("GET", "/objects/", Fault.NOT_FOUND, 100)
        with pytest.raises(Unavailable):
            await stored(s, SMALL)
        faulty.proxy.heal()
        assert await stored(s, SMALL) == SMALL

    faulty.run(use)


def test_a_store_that_takes_no_more_is_left(faulty: Faulty) -> None:
    """The push is refused in a time that a client waits for, and can be gone on with."""

    async def use(s: Services) -> None:
        number = await begin(s)
        faulty.proxy.on("PUT", "partNumber=", Fault.HANG, 100)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(append(s, number, LARGE), 20)
        faulty.proxy.heal()
        await finish(s, number, LARGE, LARGE)
        assert await stored(s, LARGE) == LARGE

    faulty.run(use)


@pytest.mark.parametrize("bucket", ["moorage-tests", "moorage-not-there"])
def test_ready_wants_the_bucket(faulty: Faulty, s3: S3Server, bucket: str) -> None:
    """A store that answers without our bucket is not ready."""

    async def use(s: Services) -> None:
        store = S3Blobs(f"s3://{bucket}/t", s3.options(), s.clock)
        try:
            found = await Readiness(s.db, store, s.telemetry).look()
            assert found == {"database": True, "storage": bucket == s3.bucket}
        finally:
            await store.close()

    faulty.run(use)
