"""A database that is older than its store was restored by other means: nothing is removed then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from collecting import Collector
from contract.conftest import OpenStore, Registries
from moorage.blobs.store import BlobStore, decode_mark, encode_mark
from moorage.clock import DAY, HOUR
from moorage.db import collection_runs
from moorage.db.engine import Tx
from moorage.errors import Unavailable
from moorage.model.access import Actor
from moorage.registry import collection
from moorage.registry.services import Services
from racing import BY, Client

ADMINISTRATOR = Actor("operator", "unix:root", "socket")
Use = Callable[[Collector, Client], Awaitable[None]]


def test_a_store_keeps_the_last_mark(store: OpenStore) -> None:
    async def use(blobs: Any) -> None:
        assert await blobs.read_mark() == 0
        for at in (5, 1_795_770_284_063, 7):
            await blobs.write_mark(at)
            assert await blobs.read_mark() == at
        # It is no object, for whoever lists and sweeps them.
        assert [each async for each in blobs.list("")] == []

    store.run(use)


def test_a_mark_that_was_cut_short_is_none(tmp_path: Path) -> None:
    assert decode_mark(encode_mark(17)) == 17
    for raw in (b"", b"00000", b"x" * 16, b"0" * 17):
        assert decode_mark(raw) == 0


@pytest.fixture
def collected(registries: Registries) -> Callable[[Use], None]:
    """Return a function that runs a test with a collector and a client."""

    def run(use: Use) -> None:
        async def body(s: Services) -> None:
            await use(Collector(s), Client(s, "web/shop"))

        registries.run(body)

    return run


async def pause(c: Collector) -> collection_runs.Pause | None:
    """Return why nothing is removed."""
    return await c.s.db.read(lambda tx: collection_runs.find_pause(tx, c.clock.now()))


def test_an_older_database_stops_everything(collected: Callable[[Use], None]) -> None:
    """What it does not know may be wanted yet: until somebody says so, nothing goes."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(b"x")
        await c.review()
        assert await pause(c) is None
        seen = await c.s.db.read(collection_runs.find_seen)
        assert abs(await c.s.blobs.read_mark() - seen) < HOUR

        async def go_back(tx: Tx) -> None:
            await collection_runs.put_times(tx, {"seen": seen - DAY})

        await c.wait(2 * DAY)
        await c.s.db.write(go_back)
        await c.review()
        await c.delete(2 * DAY)
        found = await pause(c)
        assert found is not None
        assert (found.until, "older than the store" in found.reason) == (0, True)
        assert len(await c.objects()) == 1
        await collection.resume(c.s, ADMINISTRATOR, BY)
        await c.review(4 * DAY)
        await c.delete(4 * DAY)
        assert await pause(c) is None
        assert await c.objects() == set()

    collected(use)


def test_a_store_that_takes_no_mark_is_collected(collected: Callable[[Use], None]) -> None:
    """A full disk is a reason to collect, not to stop."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(b"x")

        async def full(_: BlobStore, at: int) -> None:
            raise Unavailable(f"no room for {at}")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(c.s.blobs), "write_mark", full)
            await c.review(2 * DAY)
            await c.delete(4 * DAY)
        assert await c.objects() == set()

    collected(use)
