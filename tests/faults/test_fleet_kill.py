"""`kill -9` of replicas in the middle of pushes, mounts, deletions and collection (P1, P3, P5).

The short form is for every change; `make faults` runs the long one.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

import racing
from faults import invariants
from faults.collecting import LEFT, LONGEST, RESTLESS, Churn
from faults.fronting import new_fleet
from fleet import DATABASE, Fleet
from registry import Registry

KILLS = int(os.environ.get("FLEET_KILLS", "4"))
CLIENTS = 4
# What counts all events and payments holds only before they are moved on.
MOVED = ("an event that is lost or told twice", "a namespace that pays too little or too much")
RULES = {name: text for name, text in racing.RULES.items() if name not in MOVED} | {
    name: text for name, text in invariants.RULES.items() if name.startswith("I7")
}
LINKED = """SELECT r.name, encode(d.digest, 'hex') FROM manifest_digest d
    JOIN manifest m ON m.id = d.manifest_id AND m.trash_until = 0
    JOIN repository r ON r.id = d.repository_id"""

pytestmark = pytest.mark.timeout(180 + 10 * KILLS)


@pytest.fixture
def restless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Run two replicas that collect without end; no client is sent to the store."""
    settings = {**RESTLESS, "MOORAGE_REDIRECT__BLOBS": "false"}
    with new_fleet(tmp_path_factory.mktemp("fleet"), 2, settings) as fleet:
        yield fleet


def rows(fleet: Fleet, statement: str) -> list[tuple[object, ...]]:
    """Return what a statement finds."""
    with psycopg.connect(fleet.database.url_of(DATABASE)) as connection:
        return connection.execute(statement.encode()).fetchall()


def broken_rules(fleet: Fleet) -> dict[str, object]:
    """Return what is wrong within the database."""
    found = {name: rows(fleet, text) for name, text in RULES.items()}
    return {name: wrong for name, wrong in found.items() if wrong}


def wait_for_collection(fleet: Fleet) -> None:
    """Return when nothing is left that may go."""
    until = time.monotonic() + 2 * LONGEST
    while left := [statement for statement in LEFT if rows(fleet, statement)]:
        assert time.monotonic() < until, left
        time.sleep(0.3)


def test_replicas_are_killed_while_they_collect(
    restless: Fleet, figure: Callable[[str], None]
) -> None:
    """One replica dies, or both: what was acknowledged is there, and nothing is half there."""
    chance = random.Random(20)
    registries = [Registry(each.url, restless.credentials) for each in restless.servers]
    churn = Churn(CLIENTS)
    began = time.monotonic()
    for kill in range(KILLS):
        victims = restless.servers if kill % 3 == 2 else [restless.servers[kill % 2]]
        pause = chance.uniform(0.1, 0.8)
        churn.start(*registries, until=time.monotonic() + pause + 0.3)
        time.sleep(pause)
        for victim in victims:
            victim.kill()
        churn.join()
        assert broken_rules(restless) == {}
        assert churn.failed == churn.wrong == []
        for victim in victims:
            victim.start()
        churn.check(registries[kill % 2], 0.1)
    wait_for_collection(restless)
    assert broken_rules(restless) == {}
    blobs = churn.check(registries[0])
    named = {
        (repository, invariants.key_of(digest).hex())
        for repository, (manifests, _) in churn.documents().items()
        for digest in manifests
    }
    assert named <= set(rows(restless, LINKED))
    kept = {str(location) for (location,) in rows(restless, "SELECT location FROM blob")}
    objects = {
        key.rpartition("/")[2]
        for key in restless.store.keys(restless.storage)
        if key.startswith("objects/")
    }
    assert kept <= objects
    ((removed,),) = rows(restless, "SELECT coalesce(sum(blobs), 0) FROM collection_run")
    figure(
        f"{KILLS} kills in {time.monotonic() - began:.0f} s, {churn.total('pushed')} images pushed,"
        f" {churn.total('mounted')} blobs mounted and {churn.total('deleted')} images deleted, 0"
        f" lost; {removed} blobs collected, {blobs} as pushed in the end,"
        f" {len(objects - kept)} orphans"
    )
    assert churn.total("pushed") > KILLS
    assert churn.total("cut") > 0
    assert removed
