"""`make fleet`: it starts, takes a push, ends in good order, and has its data the next time."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fronts import proxy
from process import free_port, require_tool
from registry import Registry, Repository, digest_of, with_query

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 90
pytestmark = [
    require_tool("nginx"),
    require_tool("haproxy"),
    pytest.mark.timeout(300),
    pytest.mark.long,
]


@pytest.fixture
def data() -> Iterator[Path]:
    """Return a directory that PostgreSQL's own user may enter where this is root."""
    made = Path(tempfile.mkdtemp(prefix="moorage-fleet-data-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def processes_of(group: int) -> set[int]:
    """Return the processes of a session."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(entry.name)) == group:
                found.add(int(entry.name))
    return found


@contextlib.contextmanager
def fleet(data: Path, *options: str) -> Iterator[Registry]:
    """Run a fleet as a person does, and yield the registry behind its proxy."""
    port = free_port()
    command = [sys.executable, ROOT / "deploy" / "fleet.py", f"--port={port}", f"--data={data}"]
    with (data / "output").open("w+") as output:
        running = subprocess.Popen(
            [*command, *options], stdout=output, stderr=output, start_new_session=True
        )
        try:
            deadline = time.monotonic() + READY_SECONDS
            while "docker push" not in (said := (data / "output").read_text()):
                assert running.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.1)
            password = (data / "password").read_text().strip()
            yield Registry(f"http://127.0.0.1:{port}", ("admin", password))
            running.send_signal(signal.SIGTERM)
            assert running.wait(60) == 0, (data / "output").read_text()
            assert processes_of(running.pid) == set()
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()


def test_what_was_pushed_is_there_the_next_time(data: Path) -> None:
    with fleet(data) as registry:
        repository = registry.repository()
        blob = repository.push_blob(bytes(range(256)) * 40_000)
        image = repository.push_image("latest")
    assert (data / "password").stat().st_mode & 0o777 == 0o600
    with fleet(data, "--replicas=3", "--proxy=haproxy") as registry:
        for _ in range(3):
            again = registry.repository(repository.name)
            assert again.tagged("latest") == image.digest
            path = again.path(f"blobs/{blob['digest']}")
            registry.get(path, {"Range": "bytes=0-9"}).expect((206, 307))
            again.push_image("latest")
            again.push_manifest(image.raw, "latest", image.media_type)


class Client(threading.Thread):
    """Pushes blobs in three requests each, and notes what was acknowledged and what was refused."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.pushed: list[tuple[Repository, str]] = []
        self.failed: list[int] = []
        self._registry = registry
        self._ends = threading.Event()

    def run(self) -> None:
        """Push until told to stop."""
        while not self._ends.is_set():
            repository = self._registry.repository()
            content = secrets.token_bytes(100_000)
            digest = digest_of(content)
            answer = self._registry.post(repository.path("blobs/uploads/"))
            if answer.status == 202:
                answer = self._registry.patch(answer["Location"], content)
            if answer.status == 202:
                answer = self._registry.put(with_query(answer["Location"], digest=digest), b"")
            if answer.status == 201:
                self.pushed.append((repository, digest))
            else:
                self.failed.append(answer.status)

    def stop(self) -> None:
        """Let it come to its end."""
        self._ends.set()
        self.join()


@pytest.mark.parametrize("program", ["haproxy", "nginx"])
def test_no_acknowledged_push_is_lost_when_a_replica_dies(program: str, data: Path) -> None:
    """Of four clients, only what the dead replica was working on, or was about to get, fails."""
    from fleet import Fleet

    with Fleet(data, 3) as fleet, proxy(program, data, fleet.addresses) as running:
        registry = Registry(running.url, fleet.credentials)
        clients = [Client(registry) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(2)
        fleet.servers[0].kill()
        time.sleep(4)
        fleet.servers[0].start()
        for server in fleet.servers:
            server.restart()
            time.sleep(2)
        for client in clients:
            client.stop()
        pushed = [blob for client in clients for blob in client.pushed]
        direct = Registry(fleet.servers[1].url, fleet.credentials)
        assert len(pushed) > 100
        for repository, digest in pushed:
            direct.head(repository.path(f"blobs/{digest}")).expect((200, 307))
        failed = [status for client in clients for status in client.failed]
        assert set(failed) <= {502, 503}
        assert len(failed) <= 24, failed
