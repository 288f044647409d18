"""Power losses at many moments of a push, replayed on a real file system (P1)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import apsw
import pytest

from faults.invariants import Snapshot
from faults.ledger import Ledger
from faults.mounts import mounted, run, tmpfs
from faults.powerloss import CrashState, LoggedDisk, Recording
from faults.pushing import Crowd
from process import Server, require_tool
from registry import OCI_CONFIG, OCI_LAYER, Registry, describe, image_document

pytestmark = [
    pytest.mark.needs_root,
    require_tool("fusermount3"),
    require_tool("losetup"),
    require_tool("mkfs.ext4"),
    pytest.mark.timeout(240),
]

# A release is tested with two thousand.
STATES = int(os.environ.get("STATES", "100"))
MUTANT_STATES = 60
CLIENTS = 3
STEPS = 20
# One manifest of this size fills 70 pages of the write-ahead log, which begins anew after 1,000.
BIG = 280_000
SETTINGS = {
    "MOORAGE_ALLOW_SPARSE": "never",
    "MOORAGE_LIMITS__FREE_BYTES": "0",
    "MOORAGE_LOG__ACCESS": "false",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """Return a directory in memory for disks and their images."""
    with tmpfs(tmp_path / "memory", "size=1g") as place:
        yield place


def fill_log(registry: Registry) -> None:
    """Push until the write-ahead log has begun anew: its syncs then no longer help other files."""
    repository = registry.repository("crowd/big")
    repository.push_blob(b"{}")
    for number in range(20):
        padding = f"{number:08}" * (BIG // 8)
        layer = describe(b"{}", OCI_LAYER)
        document = image_document(
            describe(b"{}", OCI_CONFIG), [layer], annotations={"padding": padding}
        )
        repository.push_manifest(document, "big")


def record(workspace: Path, env: Mapping[str, str]) -> Recording:
    """Push to a server on a logged disk; each acknowledgement is a mark in the log."""
    with LoggedDisk(workspace) as disk:
        server = Server(data=disk.root / "data", env={**SETTINGS, **env})
        server.log = workspace / "server.log"
        try:
            registry = Registry(server.start().url)
            fill_log(registry)
            ledger = Ledger(tell=disk.mark)
            with Crowd(ledger, CLIENTS, seed=3) as crowd:
                crowd.start(registry, STEPS)
                crowd.join()
            assert len(ledger) > CLIENTS * STEPS
            assert server.stop() == 0
        finally:
            server.close()
    return Recording(disk.log, workspace)


def faults_of(state: CrashState, place: Path) -> list[str]:
    """Return what is wrong after the power loss."""
    ledger = Ledger.read("".join(state.marks).splitlines())
    with mounted(str(state.image), place, "loop"):
        try:
            with Snapshot(place / "data") as snapshot:
                return [*snapshot.violations(), *snapshot.lost(ledger)]
        except apsw.Error as error:
            return [f"the database can't be read: {error}"]


def serve_again(state: CrashState, workspace: Path) -> None:
    """Start a server on what the power loss left, and ask it for everything."""
    with mounted(str(state.image), workspace / "crashed", "loop") as place:
        server = Server(data=place / "data", env=SETTINGS)
        server.log = workspace / "again.log"
        try:
            Ledger.read("".join(state.marks).splitlines()).check(Registry(server.start().url))
            assert server.stop() == 0
        finally:
            server.close()


def test_acknowledged_pushes_survive_a_power_loss(
    workspace: Path, figure: Callable[[str], None]
) -> None:
    """Whatever the disk had not yet been told to keep is gone: all acknowledgements hold."""
    recording = record(workspace, {})
    bad = []
    for state in recording.states(STATES, seed=5):
        bad += [f"{state.what}: {fault}" for fault in faults_of(state, workspace / "crashed")]
    figure(f"{recording.describe()}; {STATES} crash states")
    assert bad == []
    for state in recording.states(3, seed=7):
        serve_again(state, workspace)


@require_tool("cc")
@pytest.mark.parametrize("muted", ["files", "database"])
def test_a_missing_sync_is_noticed(
    workspace: Path, figure: Callable[[str], None], muted: str
) -> None:
    """The same pushes on a server whose syncs do nothing, for the database or all else.

    The sync of a directory alone is not missed on ext4: its journal carries a file's new name
    with the file's own sync.
    """
    library = workspace / "muted.so"
    source = Path(__file__).with_name("muted.c")
    run("cc", "-shared", "-fPIC", "-O2", "-o", library, source)
    recording = record(workspace, {"LD_PRELOAD": str(library), "MUTED": muted})
    for number, state in enumerate(recording.states(MUTANT_STATES, seed=5)):
        faults = faults_of(state, workspace / "crashed")
        if faults:
            figure(f"state {number} shows {faults[0]}")
            return
    pytest.fail(f"{MUTANT_STATES} power losses without syncs of {muted} did no harm")
