"""`kill -9` of the whole server, again and again, while clients push (P1, P3)."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from faults.invariants import Snapshot, assert_sound
from faults.ledger import Ledger
from faults.pushing import Crowd
from faults.watching import wait_until_gone
from process import Server
from registry import Registry

# A release is tested with a thousand.
KILLS = int(os.environ.get("KILLS", "30"))
CLIENTS = 6
SETTINGS = {"MOORAGE_ALLOW_SPARSE": "never", "MOORAGE_LOG__ACCESS": "false"}


def kill_supervisor(server: Server) -> None:
    """Kill the supervisor alone, and check that its children end with it."""
    children = server.children()
    os.kill(server.pid, signal.SIGKILL)
    wait_until_gone(children)
    server.kill()


@pytest.mark.timeout(60 + 5 * KILLS)
def test_nothing_acknowledged_is_lost(
    server: Callable[..., Server], figure: Callable[[str], None]
) -> None:
    """Whatever was under way: all that a client was told of is there, and nothing is half there."""
    chance = random.Random(20)
    ledger = Ledger()
    running = server(env=SETTINGS)
    registry = Registry(running.url)
    began = time.monotonic()
    with Crowd(ledger, CLIENTS) as crowd:
        for kill in range(KILLS):
            crowd.start(registry)
            time.sleep(chance.uniform(0.005, 0.5))
            kill_supervisor(running) if kill % 3 == 2 else running.kill()
            crowd.join()
            with Snapshot(running.data) as snapshot:
                broken = snapshot.broken_rules()
            assert not broken, broken
            running.start()
            ledger.check(registry)
    running.kill()
    assert_sound(running.data, ledger)
    with Snapshot(running.data) as snapshot:
        orphans = len(snapshot.orphans())
    figure(
        f"{KILLS} kills in {time.monotonic() - began:.0f} s, {len(ledger.blobs)} blobs and "
        f"{len(ledger.manifests)} manifests acknowledged, {orphans} orphans"
    )
    assert len(ledger) > KILLS, "hardly anything was pushed"
