"""Two first writers of one session, each of whom saw it empty.

The store's `begin` takes its time here, as that of any store across a network does, so that the
one is between looking at the session and holding it while the other writes and is acknowledged.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from contract.conftest import Registries
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.errors import RegistryError
from moorage.model.access import EARLY, Actor
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName
from moorage.registry import uploads
from moorage.registry.services import Services
from moorage.registry.uploads import Body
from moorage.web.ranges import Span

NAME = RepositoryName.parse("web/shop")
ALICE = Actor("local", "alice", "loopback", subject=EARLY)
FIRST, SECOND = b"first" * 30_000, b"other" * 20_000


class Slow(FilesystemBlobs):
    """A directory whose `begin` waits until it may go on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def begin(self, key: str, hint: int | None) -> bytes:
        self.asked.set()
        await self.may_go_on.wait()
        return await super().begin(key, hint)


async def chunks(raw: bytes) -> AsyncIterator[bytes]:
    """Yield the content at once."""
    yield raw


async def append(s: Services, upload_id: str, raw: bytes, span: Span | None = None) -> None:
    """Append content."""
    await uploads.append(s, ALICE, NAME, upload_id, Body(chunks(raw), span))


async def finish(s: Services, upload_id: str, raw: bytes) -> None:
    """Finish with content that is the whole blob."""
    await uploads.finish(s, ALICE, NAME, upload_id, Body(chunks(raw)), digest_of(raw))


@pytest.mark.parametrize("late", ["append", "append a later span", "finish", "finish wrongly"])
def test_what_was_acknowledged_stays(registries: Registries, late: str) -> None:
    """The late one is refused, or goes on behind the bytes of the other; it never takes them."""

    async def use(quick: Services, other: Services) -> None:
        slow = Slow(registries.config.directory)
        other = msgspec.structs.replace(other, blobs=slow)
        upload = await uploads.open_upload(quick, ALICE, NAME, "sha256")
        if late == "append":
            request = append(other, upload.id, SECOND)
        elif late == "append a later span":
            request = append(other, upload.id, SECOND, Span(7, 7 + len(SECOND)))
        elif late == "finish":
            request = finish(other, upload.id, SECOND)
        else:
            body = Body(chunks(SECOND))
            request = uploads.finish(other, ALICE, NAME, upload.id, body, digest_of(b"wrong"))
        waiting = asyncio.ensure_future(request)
        await asyncio.wait_for(slow.asked.wait(), 10)
        await append(quick, upload.id, FIRST)
        slow.may_go_on.set()
        (result,) = await asyncio.gather(waiting, return_exceptions=True)
        if not isinstance(result, RegistryError):
            assert result is not None, "a blob was made without the bytes that came first"
            return
        found = await uploads.find_upload(quick, ALICE, NAME, upload.id)
        assert found.offset == len(FIRST)
        await uploads.finish(quick, ALICE, NAME, upload.id, Body(chunks(b"")), digest_of(FIRST))

    registries.run(use, 2)
