"""Single system calls that fail, or at which the server dies: the exact points of a push."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.injection import Injection
from faults.invariants import assert_sound
from faults.ledger import Ledger
from faults.watching import wait_until_gone, workers_of
from process import Server, require_tool
from registry import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Registry,
    Wire,
    describe,
    digest_of,
    encode,
    image_document,
)

pytestmark = [pytest.mark.needs_root, require_tool("strace")]

SYNCS = "fsync,fdatasync"
RENAMES = "rename,renameat,renameat2"
# What a push calls: in the threads of the store, and in the one that writes the database, which
# makes a transaction for each of its four requests.
POINTS = [
    *((False, RENAMES, number) for number in (1, 2)),
    *((False, SYNCS, number) for number in (1, 2, 3, 4)),
    *((False, "pwrite64", number) for number in (1, 2)),
    *((True, SYNCS, number) for number in (2, 3, 4, 5)),
    *((True, "pwrite64", number) for number in (4, 13, 24, 35, 46, 57, 68)),
]
NAME = "faults/syscalls"


class Client:
    """Pushes images of one layer, each in five requests, and notes what is acknowledged."""

    def __init__(self, registry: Registry, ledger: Ledger) -> None:
        self._registry = registry
        self._ledger = ledger

    def push(self) -> int:
        """Push one image; return the status of the first refusal, else of the end."""
        with self._registry.wire(timeout=10) as wire:
            content = secrets.token_bytes(60_000)
            status = self._blob(wire, content)
            return self._image(wire, content) if status == 201 else status

    def _blob(self, wire: Wire, content: bytes) -> int:
        opened = self._registry.request("POST", f"/v2/{NAME}/blobs/uploads/", wire=wire)
        if opened.status != 202:
            return opened.status
        location, half = opened["Location"], len(content) // 2
        sent = self._registry.request("PATCH", location, body=content[:half], wire=wire)
        if sent.status != 202:
            return sent.status
        target = f"{location}?digest={digest_of(content)}"
        made = self._registry.request("PUT", target, body=content[half:], wire=wire)
        if made.status == 201:
            self._ledger.note("blob", NAME, digest_of(content))
        return made.status

    def _image(self, wire: Wire, content: bytes) -> int:
        layer = describe(content, OCI_LAYER)
        raw = encode(image_document({**layer, "mediaType": OCI_CONFIG}, [layer]))
        digest = digest_of(raw)
        self._ledger.note("asked", NAME, "latest", digest)
        target, kind = f"/v2/{NAME}/manifests/latest", {"Content-Type": OCI_MANIFEST}
        made = self._registry.request("PUT", target, kind, raw, wire)
        if made.status == 201:
            self._ledger.note("manifest", NAME, digest)
            self._ledger.note("tag", NAME, "latest", digest)
        return made.status


def push_until_it_dies(client: Client) -> int:
    """Push until the server is gone; return how many pushes were acknowledged before."""
    for number in range(40):
        try:
            assert client.push() == 201
        except ConnectionError:
            return number
    pytest.fail("the call at which the server was to die was not made")


@pytest.mark.parametrize("when", [1, 2, 3])
def test_a_push_whose_sync_failed_is_not_acknowledged(
    server: Callable[..., Server], tmp_path: Path, when: int
) -> None:
    """The disk did not take the bytes: the client is told so, and the next push works."""
    running = server(data=tmp_path / "data", workers=1)
    registry = Registry(running.url)
    ledger = Ledger()
    client = Client(registry, ledger)
    assert client.push() == 201
    fault = f"error=EIO:when={when}"
    with Injection(workers_of(running)[0], SYNCS, fault, tmp_path / "calls") as injection:
        for _ in range(12):
            before = injection.count
            status = client.push()
            assert status == (201 if injection.count == before else 503)
        assert injection.count >= 2, "neither the store's threads nor the database's were hit"
    assert client.push() == 201
    ledger.check(registry)
    running.kill()
    assert_sound(running.data, ledger)
    running.start()
    ledger.check(registry)


@pytest.mark.parametrize("call", ["flock", "pwrite64"])
def test_a_call_that_failed_once_does_no_lasting_harm(
    server: Callable[..., Server], tmp_path: Path, call: str
) -> None:
    """Every push is answered, and once the fault is over all goes on."""
    running = server(data=tmp_path / "data", workers=1)
    registry = Registry(running.url)
    ledger = Ledger()
    client = Client(registry, ledger)
    assert client.push() == 201
    error = "ENOLCK" if call == "flock" else "EIO"
    with Injection(
        workers_of(running)[0], call, f"error={error}:when=2", tmp_path / "calls"
    ) as hit:
        statuses = [client.push() for _ in range(8)]
        assert set(statuses) <= {201, 500, 503}, statuses
        assert hit.count, "no call was hit"
    assert client.push() == 201
    running.kill()
    assert_sound(running.data, ledger)


@pytest.mark.timeout(180)
def test_death_at_an_exact_point(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Wherever in a push the server dies: what it acknowledged is there, nothing is half there."""
    server = Server(data=tmp_path / "data", workers=1)
    registry = Registry(server.url)
    ledger = Ledger()
    client = Client(registry, ledger)
    pushes = 0
    try:
        server.start()
        for alone, calls, when in POINTS:
            worker = workers_of(server)[0]
            fault = f"signal=SIGKILL:when={when}"
            with Injection(worker, calls, fault, tmp_path / "calls", alone=alone):
                pushes += push_until_it_dies(client)
            wait_until_gone([worker])
            os.kill(server.pid, 0)
            server.kill()
            assert_sound(server.data, ledger)
            server.start()
            ledger.check(registry)
    finally:
        server.close()
    figure(f"{len(POINTS)} points, {pushes} pushes acknowledged")
