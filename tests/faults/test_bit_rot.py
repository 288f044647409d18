"""Bits that turn on disks: all found by one scrub, answered as absent, and healed (P2, P6)."""

from __future__ import annotations

import asyncio
import http.client
import os
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from faults.invariants import assert_sound
from moorage.app import build, prepare
from moorage.config import load
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName
from moorage.registry import pull
from moorage.registry.services import Services
from process import Server
from racing import ALICE
from registry import OCI_LAYER, Registry, digest_of
from shapes import EMBEDDED, FLEET, Shape
from verifying import MONTH, Verifier, flipped, rewrite

# A release is tested with a thousand.
ROTTEN = int(os.environ.get("ROTTEN", "50"))
HEALTHY = ROTTEN // 5
SIZES = (8, 700, 9_000, 70_000, 300_000, 1_300_000)
NAME = "web/shop"


@dataclass
class Rot:
    """A way in which an object goes bad; `apply` returns None for one that is gone."""

    why: str
    apply: Callable[[bytes], bytes | None]


ROTS = (
    Rot("content", flipped),
    Rot("content", lambda raw: bytes(len(raw)) if any(raw) else b"\x01" * len(raw)),
    Rot("content", lambda raw: raw[:-1] + bytes([raw[-1] ^ 0x80])),
    Rot("content", lambda raw: bytes([raw[0] ^ 1]) + raw[1:]),
    Rot("size", lambda raw: raw[:-1]),
    Rot("size", lambda raw: raw + b"\x00"),
    Rot("missing", lambda _: None),
)


class Place:
    """A registry's server, and its stores as this process sees them while the server is down."""

    def __init__(self, server: Server, patch: pytest.MonkeyPatch) -> None:
        self.server = server
        for name, value in server.env.items():
            if not name.startswith("MOORAGE_"):
                patch.setenv(name, value)
        ours = {name: value for name, value in server.env.items() if name.startswith("MOORAGE_")}
        flags = {"data": str(server.data), "log.access": False, "limits.free_bytes": 1}
        self.config = load(None, ours, flags).config

    def run(self, use: Callable[[Services], Awaitable[Any]]) -> Any:
        """Run the coroutine function with services of this process."""

        async def body() -> Any:
            services = await build(self.config, prepare(self.config), "test")
            try:
                return await use(services)
            finally:
                await services.blobs.close()
                await services.db.close()

        return asyncio.run(body())


@pytest.fixture(params=[EMBEDDED, FLEET])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Return a registry on each shape."""
    with closing(Shape(request.param)) as shape, Server(env=shape.environment()) as running:
        yield Place(running, monkeypatch)


def images(count: int) -> list[bytes]:
    """Return so many different contents, of all sizes."""
    return [os.urandom(SIZES[number % len(SIZES)]) for number in range(count)]


def injected(chosen: list[bytes]) -> Callable[[Services], Awaitable[None]]:
    """Return what has each object go bad in one of the ways, one after the other."""

    async def use(s: Services) -> None:
        for number, raw in enumerate(chosen):
            name, digest = RepositoryName.parse(NAME), Digest.parse(digest_of(raw))
            _, found, _ = await pull.find_blob(s, ALICE, name, digest)
            assert found is not None
            await rewrite(s, found.location, ROTS[number % len(ROTS)].apply(raw))

    return use


async def scrubbed(s: Services) -> tuple[list[Any], list[Any], list[Any]]:
    """Scrub all there is, and return the runs, what the first found, and the damage."""
    verifier = Verifier(s, mib_per_second=0.0)
    verifier.clock.ahead += MONTH
    while True:
        await verifier.scrub(0)
        runs = await verifier.verifications()
        if runs and runs[0].state != "running":
            return runs, await verifier.findings(runs[0]), await verifier.damage()


@pytest.mark.timeout(180 + ROTTEN)
def test_rot_is_found_and_healed(place: Place, figure: Callable[[str], None]) -> None:
    """One scrub finds all of it; then it is 404 everywhere, and a push puts it back."""
    running = place.server
    registry = Registry(running.url)
    repository = registry.repository(NAME)
    rotten, healthy = images(ROTTEN), images(HEALTHY)
    pushed = {}
    for number, raw in enumerate((*rotten, *healthy)):
        layer = repository.push_blob(raw)
        made = {**repository.new_image(), "layers": [{**layer, "mediaType": OCI_LAYER}]}
        pushed[digest_of(raw)] = repository.push_manifest(made, f"v{number}").digest
    running.stop()
    place.run(injected(rotten))
    began = time.monotonic()
    runs, findings, _ = place.run(scrubbed)
    took = time.monotonic() - began
    assert len(runs) == 1
    assert {each.subject for each in findings} == {digest_of(raw) for raw in rotten}
    assert (runs[0].state, runs[0].found) == ("done", ROTTEN)
    running.start()
    for raw in rotten:
        digest = digest_of(raw)
        path = repository.path(f"blobs/{digest}")
        registry.get(path).expect(404, "BLOB_UNKNOWN")
        registry.head(path).expect(404)
        registry.get(repository.path(f"manifests/{pushed[digest]}")).expect(200)
        query = f"?mount={digest}&from={NAME}"
        registry.post(registry.repository("web/cart").path("blobs/uploads/") + query).expect(202)
    for raw in healthy:
        path = repository.path(f"blobs/{digest_of(raw)}")
        assert registry.get(path).expect(200).body == raw
    for raw in rotten:
        # As every client does: what is absent is sent, and nothing else has to be.
        assert not repository.has_blob(digest_of(raw))
        repository.push_blob(raw)
        assert registry.get(repository.path(f"blobs/{digest_of(raw)}")).expect(200).body == raw
    running.stop()
    runs, findings, kept = place.run(scrubbed)
    assert findings == []
    gone = sum(ROTS[number % len(ROTS)].why == "missing" for number in range(ROTTEN))
    assert len(kept) == ROTTEN - gone
    assert {each.ending for each in kept} == {"healed"}
    if place.config.is_embedded:
        assert_sound(running.data)
    figure(f"{ROTTEN} of {ROTTEN} objects found by one scrub in {took:.1f} s, all 404, all healed")


@pytest.mark.timeout(180 + ROTTEN)
def test_rot_is_never_served_whole(
    place: Place, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Where bytes pass through the program (TLS, an object store) the connection breaks."""
    running = place.server
    registry = Registry(running.url)
    repository = registry.repository(NAME)
    rotten = images(ROTTEN)
    for raw in rotten:
        repository.push_blob(raw)
    running.stop()
    place.run(injected(rotten))
    tls = _certificate(tmp_path) if place.config.is_embedded else None
    running.args = ("--tls-cert", str(tmp_path / "c.pem"), "--tls-key", str(tmp_path / "k.pem"))
    if tls is None:
        running.args = ()
        running.start()
    else:
        running.launch()
        _wait_for(running, tls)
    broken = absent = right = 0
    for raw in rotten:
        status, body = _get(running.port, f"/v2/{NAME}/blobs/{digest_of(raw)}", tls)
        if status == 200 and body is not None:
            # What a longer object begins with is what it should be.
            assert body == raw
            right += 1
        elif status == 200:
            broken += 1
        else:
            assert status == 404
            absent += 1
    assert broken >= ROTTEN // 3
    assert right <= ROTTEN // len(ROTS) + 1
    deadline = time.monotonic() + 20  # a connection breaks before the damage is written down
    for raw in rotten:
        path = f"/v2/{NAME}/blobs/{digest_of(raw)}"
        while (found := _get(running.port, path, tls))[0] != 404 and found[1] != raw:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    running.kill()
    figure(
        f"{ROTTEN} damaged objects pulled: {broken} broken off, {absent} absent, {right} right,"
        " 0 wrong"
    )


def _certificate(directory: Path) -> ssl.SSLContext:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(directory / "k.pem"), "-out", str(directory / "c.pem")),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    return ssl.create_default_context(cafile=str(directory / "c.pem"))


def _wait_for(running: Server, tls: ssl.SSLContext) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            _get(running.port, "/v2/", tls)
            return
        except OSError:
            assert time.monotonic() < deadline, running.stderr_tail()
            time.sleep(0.05)


def _get(port: int, path: str, tls: ssl.SSLContext | None) -> tuple[int, bytes | None]:
    """Return the status and the body, None for one that was broken off."""
    if tls is not None:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "localhost", port, context=tls, timeout=20
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with closing(connection):
        connection.request("GET", path)
        try:
            got = connection.getresponse()
        except http.client.RemoteDisconnected:
            return 200, None
        try:
            return got.status, got.read()
        except (http.client.IncompleteRead, ConnectionError, ssl.SSLError):
            return got.status, None
