"""A session whose process was killed, and how often its content is read."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contract.conftest import Registries
from moorage.model.access import EARLY, Actor
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName
from moorage.registry import pull, uploads
from moorage.registry.services import Services
from moorage.registry.uploads import Body

NAME = RepositoryName.parse("web/shop")
ALICE = Actor("local", "alice", "loopback", subject=EARLY)
RAW = bytes(range(256)) * 8_000
HALF = len(RAW) // 2

# Appends half of the content, says the session's id, and is killed while it waits for more.
APPENDING = """
import asyncio, sys
from moorage.app import build, prepare
from moorage.config import load
from moorage.model.access import EARLY, Actor
from moorage.oci.names import RepositoryName
from moorage.registry import uploads

async def chunks():
    yield sys.stdin.buffer.read(int(sys.argv[2]))

async def body():
    flags = {"data": sys.argv[1], "database": sys.argv[3], "limits.free_bytes": 1}
    config = load(None, {}, flags).config
    s = await build(config, prepare(config), "other")
    actor = Actor("local", "alice", "loopback", subject=EARLY)
    name = RepositoryName.parse("web/shop")
    upload = await uploads.open_upload(s, actor, name, "sha256")
    await uploads.append(s, actor, name, upload.id, uploads.Body(chunks()))
    print(upload.id, flush=True)
    await asyncio.sleep(60)

asyncio.run(body())
"""


async def chunks(raw: bytes) -> AsyncIterator[bytes]:
    """Yield content at once."""
    yield raw


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of what is read from files from now on."""
    sizes: list[int] = []
    real = os.pread

    def noted(*arguments: Any) -> bytes:
        found = real(*arguments)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(os, "pread", noted)
    return sizes


def test_a_killed_processs_session_goes_on(registries: Registries) -> None:
    config = registries.config
    command = [sys.executable, "-c", APPENDING, str(config.directory), str(HALF), config.database]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(RAW[:HALF])
        other.stdin.flush()
        upload_id = other.stdout.readline().decode().strip()
        other.send_signal(signal.SIGKILL)

    async def use(s: Services) -> None:
        found = await uploads.find_upload(s, ALICE, NAME, upload_id)
        assert found.offset == HALF
        body = Body(chunks(RAW[HALF:]))
        await uploads.finish(s, ALICE, NAME, upload_id, body, digest_of(RAW))
        _, blob, _ = await pull.find_blob(s, ALICE, NAME, digest_of(RAW))
        assert blob is not None
        kept = [part async for part in s.blobs.read(blob.location, 0, blob.size)]
        assert b"".join(kept) == RAW

    registries.run(use)


@pytest.mark.parametrize(
    ("processes", "times"), [((0, 0, 0), 0), ((0, 0, 1), 1), ((0, 1, 1), 1), ((0, 1, 0), 1)]
)
def test_content_is_read_at_most_once(
    registries: Registries, read: list[int], processes: tuple[int, int, int], times: int
) -> None:
    """Never when one process received it all, once when the hash could not go on."""

    async def use(*found: Services) -> None:
        first, second, last = (found[number] for number in processes)
        upload = await uploads.open_upload(first, ALICE, NAME, "sha256")
        for s, raw in ((first, RAW[:HALF]), (second, RAW[HALF:-1])):
            await uploads.append(s, ALICE, NAME, upload.id, Body(chunks(raw)))
        body = Body(chunks(RAW[-1:]))
        await uploads.finish(last, ALICE, NAME, upload.id, body, digest_of(RAW))

    registries.run(use, 2)
    assert sum(read) == times * len(RAW)


def test_a_known_prefix_is_enough(registries: Registries, read: list[int]) -> None:
    """Another process finishes without further bytes: the digest was left with the session."""

    async def use(one: Services, two: Services) -> None:
        upload = await uploads.open_upload(one, ALICE, NAME, "sha256")
        await uploads.append(one, ALICE, NAME, upload.id, Body(chunks(RAW)))
        await uploads.finish(two, ALICE, NAME, upload.id, Body(chunks(b"")), digest_of(RAW))

    registries.run(use, 2)
    assert sum(read) == 0


def test_an_idle_loop_is_left(registries: Registries) -> None:
    """Nothing of a session keeps running once its request is answered."""

    async def use(s: Services) -> None:
        before = asyncio.all_tasks()
        upload = await uploads.open_upload(s, ALICE, NAME, "sha256")
        await uploads.append(s, ALICE, NAME, upload.id, Body(chunks(RAW)))
        assert asyncio.all_tasks() == before

    registries.run(use)
