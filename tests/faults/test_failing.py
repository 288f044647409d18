"""A disk that fails at each step of everything that is stored or removed (P1, P12).

The calls of the whole server are counted, and fail from the n-th on, for every n that there is: a
full disk, writes and syncs that fail. Nothing that was not stored is acknowledged, refusals say
what to do, and once the disk is well so is the registry.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from faults.collecting import LEASE, RESTLESS, Churn, assert_exact, wait_for_collection
from faults.failing import ALWAYS, NAMES, SYNCS, WRITES, FailingDisk
from faults.invariants import Snapshot, assert_sound
from faults.ledger import Ledger
from process import Server, require_tool
from registry import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Answer,
    Registry,
    describe,
    digest_of,
    encode,
    image_document,
)

pytestmark = [require_tool("cc"), pytest.mark.timeout(600)]

# A release is tested at every step.
STRIDE = int(os.environ.get("FAULT_STRIDE", "41"))
# Half a second each, in which collection meets them.
FAULTS_AT_COLLECTION = int(os.environ.get("COLLECTION_FAULTS", "10"))
NAME, OTHER = "failing/app", "failing/copy"
SETTINGS = {
    "MOORAGE_ALLOW_SPARSE": "never",
    "MOORAGE_LOG__ACCESS": "false",
    "MOORAGE_LIMITS__FREE_BYTES": "0",
}


class Fault(NamedTuple):
    """Which calls fail, with what, and whether all that follow do as well."""

    title: str
    kinds: int
    error: int
    lasts: bool = False

    @property
    def stride(self) -> int:
        """How many calls to go on by: of five writes there is one sync."""
        return max(STRIDE // 5, 1) if self.kinds == SYNCS else STRIDE

    def last(self, first: int) -> int:
        """Return the last call that fails."""
        return ALWAYS if self.lasts else first


FAULTS = [
    Fault("the disk is full from here on", WRITES | NAMES, errno.ENOSPC, lasts=True),
    Fault("one call finds no room", WRITES | NAMES, errno.ENOSPC),
    Fault("one write fails", WRITES | NAMES, errno.EIO),
    Fault("one sync fails", SYNCS, errno.EIO),
    Fault("no sync succeeds any more", SYNCS, errno.EIO, lasts=True),
    Fault("the disk is read-only from here on", WRITES | NAMES, errno.EROFS, lasts=True),
]


class Errands:
    """One of everything that is stored or removed, each errand with new content.

    What is acknowledged is in the ledger and in `deleted`; what is not, in `refused`.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.ledger = Ledger()
        self.deleted: list[str] = []
        self.refused: list[Answer] = []
        self.kept = secrets.token_bytes(5_000)

    def run(self) -> list[Answer]:
        """Do them all, and return what was refused."""
        self.refused = []
        whole, parts = secrets.token_bytes(20_000), secrets.token_bytes(100_000)
        target = f"/v2/{NAME}/blobs/uploads/"
        if self._ask("POST", f"{target}?digest={digest_of(self.kept)}", self.kept):
            self.ledger.note("blob", NAME, digest_of(self.kept))
        has_whole = self._ask("POST", f"{target}?digest={digest_of(whole)}", whole)
        if has_whole:
            self.ledger.note("blob", NAME, digest_of(whole))
            self._mount(whole)
        has_parts = self._push_parts(parts)
        if has_whole and has_parts:
            self._push_image(whole, parts)
            self._delete_image(whole)
        return self.refused

    def check(self) -> None:
        """Ask for all that is new, and for what was removed."""
        self.ledger.check(self.registry)
        while self.deleted:
            self.registry.get(self.deleted.pop()).expect(404)

    def pull(self) -> None:
        """Get what was stored before the first fault."""
        found = self.registry.get(f"/v2/{NAME}/blobs/{digest_of(self.kept)}").expect(200)
        assert found.body == self.kept
        self.registry.get(f"/v2/{NAME}/manifests/kept").expect(200)

    def _ask(self, method: str, target: str, body: bytes = b"", kind: str = "") -> Answer | None:
        headers = {"Content-Type": kind} if kind else {}
        answer = self.registry.request(method, target, headers, body)
        if answer.status in (201, 202):
            return answer
        self.refused.append(answer)
        return None

    def _mount(self, content: bytes) -> None:
        query = f"mount={digest_of(content)}&from={NAME}"
        answer = self._ask("POST", f"/v2/{OTHER}/blobs/uploads/?{query}")
        if answer is not None and answer.status == 201:
            self.ledger.note("blob", OTHER, digest_of(content))

    def _push_parts(self, content: bytes) -> bool:
        opened = self._ask("POST", f"/v2/{NAME}/blobs/uploads/")
        half = len(content) // 2
        if not opened or not self._ask("PATCH", opened["Location"], content[:half]):
            return False
        target = f"{opened['Location']}?digest={digest_of(content)}"
        made = self._ask("PUT", target, content[half:]) is not None
        if made:
            self.ledger.note("blob", NAME, digest_of(content))
        return made

    def _push_image(self, *blobs: bytes) -> None:
        config, layers = blobs[0], [describe(each, OCI_LAYER) for each in blobs]
        raw = encode(image_document(describe(config, OCI_CONFIG), layers))
        for tag in ("kept", "moved"):
            self.ledger.note("asked", NAME, tag, digest_of(raw))
            if self._ask("PUT", f"/v2/{NAME}/manifests/{tag}", raw, OCI_MANIFEST):
                self.ledger.note("manifest", NAME, digest_of(raw))
                self.ledger.note("tag", NAME, tag, digest_of(raw))
        if self.ledger.tags[NAME, "moved"].known is not None:
            self.ledger.note("asked", NAME, "moved", None)
            if self._ask("DELETE", f"/v2/{NAME}/manifests/moved"):
                self.ledger.note("tag", NAME, "moved", None)

    def _delete_image(self, config: bytes) -> None:
        raw = encode(image_document(describe(config, OCI_CONFIG), []))
        target = f"/v2/{NAME}/manifests/{digest_of(raw)}"
        if self._ask("PUT", target, raw, OCI_MANIFEST) and self._ask("DELETE", target):
            self.deleted.append(target)


def assert_readable(answer: Answer, fault: Fault) -> None:
    """Check that a refusal says what is wrong and what to do."""
    answer.expect((503, 507), "UNAVAILABLE")
    assert int(answer["Retry-After"]) > 0
    if answer.status == 507:
        assert fault.error == errno.ENOSPC
        assert "pushes wait until there is room" in answer.message
    else:
        assert "the disk needs care: the registry's log has its error" in answer.message


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.title)
def test_a_disk_that_fails(
    server: Callable[..., Server], tmp_path: Path, figure: Callable[[str], None], fault: Fault
) -> None:
    """Whichever call is the first to fail: nothing false is told, and all goes on afterwards."""
    disk = FailingDisk(tmp_path, tmp_path / "data")
    running = server(data=tmp_path / "data", workers=1, env={**SETTINGS, **disk.environment})
    errands = Errands(Registry(running.url))
    assert errands.run() == []
    told: Counter[tuple[int, str]] = Counter()
    points, first, hits = 0, 1, 1
    while hits:
        disk.fail(fault.kinds, fault.error, first, fault.last(first))
        refused = errands.run()
        errands.pull()
        hits = disk.stop()
        assert hits or not refused, refused
        for answer in refused:
            assert_readable(answer, fault)
            told[answer.status, answer.message] += 1
        assert errands.run() == [], "it did not recover by itself"
        errands.check()
        points, first = points + 1, first + fault.stride
    running.kill()
    assert_sound(running.data, errands.ledger)
    running.start()
    errands.ledger.unchecked += [("blob", *place) for place in errands.ledger.blobs]
    errands.check()
    # A job that the fault met instead of a request has told of it in the log.
    jobs = running.log.read_text().count('"event":"job failed"')
    figure(
        f"{points} of {first} steps, {told.total()} requests refused, {jobs} jobs failed,"
        " 0 false acknowledgements"
    )
    assert (told.total() + jobs) * 2 >= points


def hasten(data: Path) -> None:
    """Have all jobs run now that wait to be tried again, or for the process that had them."""
    with (data / "write.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = apsw.Connection(str(data / "moorage.db"))
        connection.set_busy_timeout(5_000)
        connection.execute("UPDATE job SET run_at = 1 WHERE state = 'waiting'")
        connection.execute("UPDATE job SET lease_until = 1 WHERE state = 'running'")
        connection.close()


@pytest.mark.timeout(300 + FAULTS_AT_COLLECTION)
def test_collection_on_a_disk_that_fails(
    server: Callable[..., Server], tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """It removes nothing that is named, and in the end, by itself, all that is not."""
    chance = random.Random(20)
    disk = FailingDisk(tmp_path, tmp_path / "data")
    running = server(data=tmp_path / "data", env={**SETTINGS, **RESTLESS, **disk.environment})
    registry = Registry(running.url)
    churn = Churn(4)
    met = tried = 0
    while tried < FAULTS_AT_COLLECTION:
        churn.start(registry, until=time.monotonic() + 3)
        churn.join()
        time.sleep(LEASE / 2)
        for _ in range(10):
            fault = chance.choice(FAULTS)
            first = chance.randrange(1, 60)
            hasten(running.data)
            disk.fail(fault.kinds, fault.error, first, fault.last(first))
            time.sleep(0.5)
            met += disk.stop() > 0
            tried += 1
    hasten(running.data)
    ended = wait_for_collection(running.data)
    churn.check(registry)
    assert running.stop() == 0
    assert_sound(running.data)
    with Snapshot(running.data) as snapshot:
        objects = assert_exact(snapshot, churn)
    figure(
        f"{met} of {tried} faults were met, {churn.total('deleted')} images deleted; {ended:.1f} s "
        f"after the last one {objects} objects, all of them named"
    )
    assert churn.failed == churn.wrong == []
    assert met >= tried // 4
