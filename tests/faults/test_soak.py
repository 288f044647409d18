"""Hours of pushes, mounts, deletions and pulls while collection never rests (P5).

Leases, the trash and the delay of deletions are as short as a push allows, so that everything is
collected as soon as it may be.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from faults.collecting import LONGEST, RESTLESS, Churn, assert_exact, wait_for_collection
from faults.invariants import Snapshot, assert_sound
from process import Server
from registry import Registry

# A release is tested for half an hour, with 50,000 events or more.
SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
EVENTS = SECONDS * 50_000 / 1_800 if SECONDS >= 1_800 else SECONDS * 5
CLIENTS = 4
EVENT_KINDS = ("pushed", "unnamed", "mounted", "deleted", "pulled")


@pytest.mark.timeout(SECONDS + 3 * LONGEST)
def test_collection_never_rests(
    server: Callable[..., Server], figure: Callable[[str], None]
) -> None:
    """No push fails, no byte is wrong, and in the end there is what is named and no more."""
    running = server(env=RESTLESS)
    registry = Registry(running.url)
    churn = Churn(CLIENTS)
    churn.start(registry, until=time.monotonic() + SECONDS)
    churn.join(SECONDS + LONGEST)
    ended = wait_for_collection(running.data)
    checked = churn.check(registry)
    assert running.stop() == 0
    assert_sound(running.data)
    with Snapshot(running.data) as snapshot:
        objects = assert_exact(snapshot, churn)
        ((runs, removed, freed),) = snapshot.rows(
            "SELECT count(*), sum(blobs), sum(bytes) FROM collection_run"
        )
    events = sum(map(churn.total, EVENT_KINDS))
    told = ", ".join(f"{churn.total(kind)} {kind}" for kind in EVENT_KINDS)
    figure(
        f"{events} events in {SECONDS:.0f} s ({told}), {runs} runs of collection removed {removed}"
        f" blobs and {freed >> 20} MiB; {len(churn.failed)} pushes failed, {len(churn.wrong)} pulls"
        f" wrong; {ended:.1f} s later {objects} objects, all of them named, {checked} pulled"
    )
    assert churn.failed == []
    assert churn.total("cut") == 0
    assert churn.wrong == []
    assert removed > SECONDS
    assert events >= EVENTS
