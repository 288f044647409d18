"""`make fleet`: it starts, takes a push, ends in good order, and has its data the next time."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from process import free_port, require_tool
from registry import Registry

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 90
pytestmark = [require_tool("nginx"), require_tool("haproxy"), pytest.mark.timeout(300)]


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
