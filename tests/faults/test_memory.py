"""Memory stays flat, however large the blobs are and however slow the clients (P15)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from faults.watching import memory_of, wait_for_workers
from postgres import Postgres
from process import Server
from registry import Registry, Repository, Wire, digest_of, with_query
from s3 import GATEWAY, S3Server

Start = Callable[..., Server]
Figure = Callable[[str], None]

MIB = 1 << 20
ALLOWED = 32 * MIB
SLOW_PULLS = 64
HUGE_MIB = int(os.environ.get("FLEET_BLOB_MIB", "512"))
QUIET = {"MOORAGE_LOG__ACCESS": "false"}


class Watch:
    """The most memory that a server has while this is open, over what it had before."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._before = memory_of(server)
        self._most = self._before
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        """How many bytes more than before."""
        return self._most - self._before

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            self._most = max(self._most, memory_of(self._server))


def warmed(server: Server) -> Repository:
    """Return a repository after a push and a pull, for which threads are started once."""
    wait_for_workers(server)
    repository = Registry(server.url).repository()
    for _ in range(8):
        content = random.randbytes(8 * MIB)
        repository.push_blob(content)
        path = repository.path(f"blobs/{digest_of(content)}")
        repository.registry.get(path).expect(200)
    return repository


def test_many_slow_pulls_need_little_memory(server: Start, figure: Figure) -> None:
    """64 clients read a blob of 64 MiB a little at a time."""
    running = server(env=QUIET)
    repository = warmed(running)
    digest = repository.push_blob(random.randbytes(64 * MIB))["digest"]
    head = repository.registry.head_of("GET", repository.path(f"blobs/{digest}"))
    with contextlib.ExitStack() as stack, Watch(running) as watch:
        wires = []
        for _ in range(SLOW_PULLS):
            wire = stack.enter_context(repository.registry.wire())
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            wire.send(head)
            wires.append(wire)
        until = time.monotonic() + 4
        taken = 0
        while time.monotonic() < until:
            for wire in wires:
                taken += len(wire.socket.recv(1 << 15))
            time.sleep(0.05)
        assert taken > SLOW_PULLS << 16
        assert repository.has_blob(digest)
    figure(f"{watch.growth / MIB:.1f} MiB more")
    assert watch.growth <= ALLOWED


def pieces(size: int) -> Iterator[bytes]:
    """Yield content that a digest takes no time to make of: one random MiB, numbered."""
    block = random.Random(8).randbytes(MIB - 8)
    for number in range(size // MIB):
        yield number.to_bytes(8, "big") + block


def pull(wire: Wire, repository: Repository, digest: str) -> str:
    """Pull a blob of any size and return the digest of what came."""
    wire.send(repository.registry.head_of("GET", repository.path(f"blobs/{digest}")))
    received = b""
    while b"\r\n\r\n" not in received:
        received += wire.socket.recv(4096)
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    left = int(fields[b"Content-Length"]) - len(rest)
    running = hashlib.sha256(rest)
    buffer = memoryview(bytearray(MIB))
    while left:
        count = wire.socket.recv_into(buffer)
        assert count, "the answer ended early"
        running.update(buffer[:count])
        left -= count
    return f"sha256:{running.hexdigest()}"


@pytest.mark.timeout(180)
def test_a_large_blob_needs_little_memory(server: Start, figure: Figure) -> None:
    """One GiB is pushed in one request and pulled again."""
    growth = push_and_pull(server(env=QUIET), figure)
    assert growth <= ALLOWED


@pytest.mark.timeout(300)
def test_a_large_blob_in_an_object_store_needs_three_parts(
    server: Start, s3: S3Server, figure: Figure
) -> None:
    """The same, by parts of 16 MiB, and streamed back."""
    kept = {**s3.environment(), "MOORAGE_S3__PART_BYTES": str(16 * MIB)}
    growth = push_and_pull(
        server(env={**QUIET, **kept, "MOORAGE_REDIRECT__BLOBS": "false"}), figure
    )
    assert growth <= 3 * 16 * MIB + ALLOWED


@pytest.mark.timeout(120 + HUGE_MIB)
@pytest.mark.where(GATEWAY)
def test_a_huge_blob_of_a_fleet_needs_three_parts(
    server: Start, postgres: Postgres, s3_servers: Callable[[str], S3Server], figure: Figure
) -> None:
    """The same on the fleet's stores; `make faults` passes 10 GiB."""
    kept = {
        **s3_servers("versitygw").environment(),
        "MOORAGE_S3__PART_BYTES": str(16 * MIB),
        "MOORAGE_DATABASE": postgres.database(),
        "MOORAGE_REDIRECT__BLOBS": "false",
    }
    growth = push_and_pull(server(env={**QUIET, **kept}), figure, HUGE_MIB * MIB)
    assert growth <= 3 * 16 * MIB + ALLOWED


def push_and_pull(running: Server, figure: Figure, size: int = 1024 * MIB) -> int:
    """Push and pull a blob, one GiB if not told, and return by how much the server grew."""
    repository = warmed(running)
    hashed = hashlib.sha256()
    for piece in pieces(size):
        hashed.update(piece)
    digest = f"sha256:{hashed.hexdigest()}"
    with Watch(running) as watch:
        target = with_query(repository.begin(), digest=digest)
        with repository.registry.wire(timeout=300) as wire:
            headers = {"Content-Length": str(size)}
            wire.send(repository.registry.head_of("PUT", target, headers, b""))
            began = time.monotonic()
            for piece in pieces(size):
                wire.send(piece)
            wire.answer("PUT").expect(201)
            pushed = time.monotonic() - began
            began = time.monotonic()
            assert pull(wire, repository, digest) == digest
            pulled = time.monotonic() - began
    figure(
        f"{size / MIB:.0f} MiB need {watch.growth / MIB:.1f} MiB more;"
        f" push {pushed:.1f} s, pull {pulled:.1f} s"
    )
    return watch.growth
