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
from mutants import Mutant, spoiled
from process import Server, require_tool
from registry import OCI_CONFIG, OCI_LAYER, Registry, describe, image_document

# A release is tested with a thousand, and three hundred on each of the other file systems.
STATES = int(os.environ.get("STATES", "100"))
OTHER_STATES = STATES * 3 // 10
MUTANT_STATES = 200
CLIENTS = 3
STEPS = 20
# One manifest of this size fills 70 pages of the write-ahead log, which begins anew after 1,000.
BIG = 280_000
SETTINGS = {
    "MOORAGE_ALLOW_SPARSE": "never",
    "MOORAGE_LIMITS__FREE_BYTES": "0",
    "MOORAGE_LOG__ACCESS": "false",
}
FILE_SYSTEMS = ("ext4", "xfs", "btrfs")
FILES, UPLOADS = "blobs/filesystem.py", "registry/uploads.py"
SYNC = "            os.fsync(self._descriptor)\n"
RENAME = (
    '            os.rename(self._path, f"{directory}/{location}")  # noqa: PTH104 - 15 µs less\n'
    "            self._settled = True\n"
)
NAME = "            sync_directory(directory)\n"
# One sync or the order left out, and a file system that shows it. The sync of a directory alone is
# not missed: the journal carries a file's new name with the file's own sync, if that comes later.
# With btrfs the name is not missed either way: the next sync of any file has the new name of a file
# that was synced before it was renamed, as long as it is in the same transaction.
HOLES = (
    ("ext4", Mutant("the bytes are not synced", FILES, SYNC, "")),
    (
        "ext4",
        Mutant(
            "the row comes before the bytes",
            UPLOADS,
            "        await s.db.write(write, first=finished.rest)\n",
            "        await s.db.write(write)\n"
            "        if finished.rest is not None:\n"
            "            finished.rest()\n",
        ),
    ),
    *(
        (
            kind,
            Mutant(f"the name is not synced on {kind}", FILES, RENAME + SYNC + NAME, SYNC + RENAME),
        )
        for kind in ("ext4", "xfs")
    ),
    ("btrfs", Mutant("the bytes are not synced on btrfs", FILES, SYNC, "")),
)
# A release is tested with all of them.
TRIED = HOLES if STATES >= 1000 else HOLES[:2]

pytestmark = [
    pytest.mark.needs_root,
    require_tool("fusermount3"),
    require_tool("losetup"),
    *(require_tool(f"mkfs.{kind}") for kind in FILE_SYSTEMS),
    pytest.mark.timeout(240 + STATES),
]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """Return a directory in memory for disks and their images."""
    with tmpfs(tmp_path / "memory", "size=2g") as place:
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


def record(workspace: Path, env: Mapping[str, str], kind: str = "ext4") -> Recording:
    """Push to a server on a logged disk; each acknowledgement is a mark in the log."""
    with LoggedDisk(workspace, kind) as disk:
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
    return Recording(disk.log, workspace, kind)


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


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_acknowledged_pushes_survive_a_power_loss(
    workspace: Path, figure: Callable[[str], None], kind: str
) -> None:
    """Whatever the disk had not yet been told to keep is gone: all acknowledgements hold."""
    recording = record(workspace, {}, kind)
    wanted = STATES if kind == "ext4" else OTHER_STATES
    bad, count = [], 0
    for state in recording.states(wanted, seed=5):
        bad += [f"{state.what}: {fault}" for fault in faults_of(state, workspace / "crashed")]
        count += 1
    figure(f"{recording.describe()}; {count} crash states, {len(bad)} faults")
    assert bad == []
    assert count == wanted
    for state in recording.states(3, seed=7):
        serve_again(state, workspace)


def assert_noticed(recording: Recording, workspace: Path, figure: Callable[[str], None]) -> None:
    """Check that some power loss does harm."""
    for number, state in enumerate(recording.states(MUTANT_STATES, seed=5)):
        faults = faults_of(state, workspace / "crashed")
        if faults:
            figure(f"state {number} shows {faults[0]}")
            return
    pytest.fail(f"{MUTANT_STATES} power losses did no harm")


@pytest.mark.parametrize(("kind", "hole"), TRIED, ids=[hole.title for _, hole in TRIED])
def test_a_missing_step_is_noticed(
    tmp_path: Path, workspace: Path, figure: Callable[[str], None], kind: str, hole: Mutant
) -> None:
    """The same pushes on a server that leaves a step out, or takes two in the wrong order."""
    place = spoiled(hole, tmp_path)
    recording = record(workspace, {"PYTHONPATH": str(place)}, kind)
    assert_noticed(recording, workspace, figure)


@require_tool("cc")
def test_a_missing_sync_of_the_database_is_noticed(
    workspace: Path, figure: Callable[[str], None]
) -> None:
    """The same pushes on a server whose database's syncs do nothing."""
    library = workspace / "muted.so"
    source = Path(__file__).with_name("muted.c")
    run("cc", "-shared", "-fPIC", "-O2", "-o", library, source)
    recording = record(workspace, {"LD_PRELOAD": str(library), "MUTED": "database"})
    assert_noticed(recording, workspace, figure)


@pytest.mark.parametrize("hole", [hole for _, hole in HOLES], ids=lambda hole: hole.title)
def test_every_hole_can_still_be_made(hole: Mutant) -> None:
    """The texts are those of the program: a hole that can't be made proves nothing."""
    assert hole.can_be_made()
