"""`kill -9` of the whole server in the middle of collection, again and again (P1, P3, P5)."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable

import apsw
import pytest

from collecting import LEASED, Collector
from faults.collecting import Churn
from faults.invariants import Snapshot, assert_sound, key_of
from moorage.app import build, prepare
from moorage.clock import DAY
from moorage.config import load
from moorage.registry.sweep import OLD
from process import Server
from registry import Registry

# A release is tested with a thousand.
KILLS = int(os.environ.get("KILLS", "12"))
CLIENTS = 4
SETTINGS = {
    "MOORAGE_ALLOW_SPARSE": "never",
    "MOORAGE_LOG__ACCESS": "false",
    "MOORAGE_COLLECTION__EVERY_MINUTES": "0.001",
    "MOORAGE_COLLECTION__LEASE_HOURS": str(10 / 3600),
    "MOORAGE_COLLECTION__DELAY_HOURS": str(0.5 / 3600),
    "MOORAGE_COLLECTION__STOP_PERCENT": "100",
}
# Time goes by for what waits: leases that were given before the kill, and the trash.
AGE = (
    "UPDATE repository_blob SET lease_until = 1 WHERE lease_until > 1",
    "UPDATE repository_blob SET trash_until = 1 WHERE trash_until > 1",
    "UPDATE manifest SET trash_until = 1 WHERE trash_until > 1",
    "UPDATE review_queue SET review_after = 1",
)

UNNAMED = """SELECT l.blob_id FROM repository_blob l WHERE NOT EXISTS (SELECT 1 FROM
    manifest_reference r WHERE r.repository_id = l.repository_id AND r.kind = 'blob'
    AND r.child_id = l.blob_id)"""


def age(running: Server) -> None:
    """Let all leases and all time in the trash be over, while no server runs."""
    connection = apsw.Connection(str(running.data / "moorage.db"))
    connection.set_busy_timeout(5_000)  # what was killed may not be quite gone
    for statement in AGE:
        connection.execute(statement)
    connection.close()


def collected(running: Server) -> dict[str, int]:
    """Return what all runs have removed so far."""
    with Snapshot(running.data) as snapshot:
        ((manifests, blobs, objects, size),) = snapshot.rows(
            "SELECT coalesce(sum(manifests), 0), coalesce(sum(blobs), 0),"
            " coalesce(sum(objects), 0), coalesce(sum(bytes), 0) FROM collection_run"
        )
    return {"manifests": manifests, "blobs": blobs, "objects": objects, "bytes": size}


def collect_to_the_end(running: Server) -> None:
    """Do all that collection would do in the next weeks, in this process."""
    flags = {"data": str(running.data), "collection.stop_percent": 100, "log.access": False}
    config = load(None, {}, flags).config

    async def body() -> None:
        services = await build(config, prepare(config), "0")
        try:
            c = Collector(services)
            for after in (LEASED, 30 * DAY, LEASED):
                await c.review(after)
                await c.delete(after)
            await c.sweep(OLD)
            await c.review()
            await c.delete(LEASED)
            runs = await c.runs()
            assert {run.missed for run in runs} == {0}
        finally:
            await services.blobs.close()
            await services.db.close()

    asyncio.run(body())


@pytest.mark.timeout(120 + 5 * KILLS)
def test_collection_is_killed(server: Callable[..., Server], figure: Callable[[str], None]) -> None:
    """Nothing that is named goes, no push fails, and what is left in the end is what is named."""
    chance = random.Random(20)
    running = server(env=SETTINGS)
    registry = Registry(running.url)
    churn = Churn(CLIENTS)
    began = time.monotonic()
    for _ in range(KILLS):
        churn.start(registry)
        time.sleep(chance.uniform(0.05, 0.6))
        running.kill()
        churn.join()
        with Snapshot(running.data) as snapshot:
            broken = snapshot.broken_rules()
        assert not broken, broken
        assert not churn.failed, churn.failed[:3]
        assert not churn.wrong, churn.wrong[:3]
        age(running)
        running.start()
        churn.check(registry, 0.2)
    blobs = churn.check(registry)
    running.kill()
    assert_sound(running.data)
    removed = collected(running)
    collect_to_the_end(running)
    assert_sound(running.data)
    with Snapshot(running.data) as snapshot:
        _assert_exact(snapshot, churn)
        orphans = snapshot.orphans()
    assert not orphans
    figure(
        f"{KILLS} kills in {time.monotonic() - began:.0f} s, {churn.total('pushed')} images pushed"
        f" and {churn.total('deleted')} deleted, 0 pushes failed, {removed['manifests']} manifests"
        f" and {removed['blobs']} blobs collected meanwhile, {blobs} blobs as pushed in the end"
    )
    assert removed["manifests"] > KILLS
    assert removed["objects"] > KILLS
    assert churn.total("pushed") > KILLS


def _assert_exact(snapshot: Snapshot, churn: Churn) -> None:
    """Check that storage holds what is named, and no more.

    A push or a deletion whose end its client does not know may have happened or not.
    """
    named = {
        (repository, key_of(digest))
        for repository, (manifests, _) in churn.documents().items()
        for digest in manifests
    }
    rows = snapshot.rows(
        "SELECT r.name, m.identity FROM manifest m JOIN repository r ON r.id = m.repository_id"
    )
    assert named <= {(name, bytes(identity)) for name, identity in rows}
    for statement in (
        "SELECT id FROM manifest WHERE trash_until <> 0",
        UNNAMED,
        "SELECT id FROM blob WHERE id NOT IN (SELECT blob_id FROM repository_blob)",
        "SELECT location FROM delete_queue",
        "SELECT subject_id FROM review_queue",
    ):
        assert snapshot.rows(statement) == [], statement
