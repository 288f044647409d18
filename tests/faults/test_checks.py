"""Checks beside pushes, deletions and collection: what is being written breaks no rule."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import Person
from faults.collecting import Churn
from faults.test_collection import SETTINGS
from process import Server
from registry import Registry

SECONDS = float(os.environ.get("CHECK_SECONDS", "10"))


@pytest.mark.timeout(90 + int(SECONDS))
def test_a_check_beside_pushes_finds_nothing(
    server: Callable[..., Server], tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Full checks that may repair, one after the other: no finding, and no push fails."""
    running = server(env={**SETTINGS, "MOORAGE_ADMIN_SOCKET": "on"})
    environment = {"MOORAGE_DATA": str(running.data), "MOORAGE_SERVER": "local"}
    environment |= {k: v for k, v in running.env.items() if k == "MOORAGE_DATABASE"}
    root = Person(tmp_path / "root", **environment)
    registry = Registry(running.url)
    # Flat out, they make more meanwhile than a check looks at in a minute, as it gives way to them.
    churn = Churn(4, pause=0.02)
    churn.start(registry)
    end = time.monotonic() + SECONDS
    checks = looked = 0
    while checks < 3 or time.monotonic() < end:  # a busy machine takes longer for three
        run = root("fsck", "--full", "--repair", "-o", "json").json()
        assert (run["state"], run["found"], run["findings"]) == ("done", 0, [])
        checks += 1
        looked += run["looked"]
    running.kill()
    churn.join()
    assert not churn.failed, churn.failed[:3]
    figure(
        f"{checks} full checks of {looked} rows and objects beside {churn.total('pushed')} pushes"
        f" and {churn.total('deleted')} deletions: 0 findings, 0 pushes failed"
    )
