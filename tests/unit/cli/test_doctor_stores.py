"""What the doctor writes to a store is gone after, whatever the store did to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.store import BlobStore
from moorage.cli.doctor_stores import examine_parts, examine_round_trip
from moorage.cli.finding import Finding
from moorage.config import Config
from moorage.errors import Unavailable


class Unreadable(FilesystemBlobs):
    """A directory that takes everything and gives nothing back."""

    async def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Fail."""
        raise Unavailable
        yield b""


async def examine_large(store: BlobStore) -> Finding:
    """Look at an object in parts."""
    return await examine_parts(store, Config())


@pytest.mark.parametrize("check", [examine_round_trip, examine_large])
def test_a_failed_check_leaves_no_object(
    check: Callable[[BlobStore], Awaitable[Finding]], tmp_path: Path
) -> None:
    FilesystemBlobs.prepare(tmp_path)

    async def run() -> list[str]:
        store = Unreadable(tmp_path)
        try:
            with pytest.raises(Unavailable):
                await check(store)
            return [each.location async for each in store.list("")]
        finally:
            await store.close()

    assert asyncio.run(run()) == []
