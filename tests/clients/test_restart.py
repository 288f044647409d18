"""What clients were told is stored outlives the server's sudden death."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.copiers import Skopeo
from clients.engines import temporary_directory
from clients.images import files_of, write_big_image
from clients.marks import SLOW, needs
from clients.programs import wait_until_written
from process import Server
from registry import Registry, Repository, digest_of

pytestmark = [*needs("skopeo"), SLOW]
BIG = 96 << 20


@pytest.fixture
def mortal(server: Callable[..., Server]) -> Server:
    """Return a server that may be killed."""
    return server(env={"MOORAGE_REDIRECT__BLOBS": "false"})


@pytest.fixture
def repository(mortal: Server) -> Repository:
    """Return a repository on that server."""
    return Registry(mortal.url).repository()


@pytest.fixture
def big() -> Iterator[tuple[Path, str]]:
    """Return a directory with a big image, and the digest of its layer."""
    with temporary_directory() as directory:
        yield directory, write_big_image(directory / "big", BIG)


def address(repository: Repository, tag: str) -> str:
    """Return an image's address as skopeo takes it."""
    return f"docker://{repository.registry.authority}/{repository.name}:{tag}"


def test_a_finished_push_outlives_a_kill(
    skopeo: Skopeo,
    mortal: Server,
    repository: Repository,
    small: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """Killed the moment a client was told of its success, the server has everything."""
    for number in range(5):
        layout = small(f"kill-{number}")
        skopeo.copy(f"oci:{layout}:latest", address(repository, f"v{number}")).ok()
        mortal.kill()
        mortal.start()
    for number in range(5):
        back = tmp_path / f"back-{number}"
        skopeo.copy(address(repository, f"v{number}"), f"oci:{back}:latest").ok()
        assert files_of(back) == files_of(small(f"kill-{number}"))


def test_a_push_into_a_dying_server_fails_and_can_be_repeated(
    skopeo: Skopeo, mortal: Server, repository: Repository, big: tuple[Path, str]
) -> None:
    """The client reads of a failure, nothing half is served, and the next push completes it."""
    directory, layer = big
    source, target = f"oci:{directory}/big:latest", address(repository, "big")
    process = subprocess.Popen(
        ["skopeo", "copy", "--dest-tls-verify=false", source, target],
        env=skopeo.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until_written(process, BIG // 2)
    mortal.kill()
    assert process.wait(60) > 0
    mortal.start()
    assert repository.tagged("big") is None
    assert not repository.has_blob(layer)
    skopeo.copy(source, target).ok()
    skopeo.copy(target, f"oci:{directory}/back:latest").ok()
    assert digest_of((directory / "back/blobs" / layer.replace(":", "/")).read_bytes()) == layer


def test_a_server_that_is_asked_to_stop_lets_a_pull_finish(
    skopeo: Skopeo, mortal: Server, repository: Repository, big: tuple[Path, str]
) -> None:
    """A blob that is being sent when the server is asked to end is sent to its end."""
    directory, layer = big
    skopeo.copy(f"oci:{directory}/big:latest", address(repository, "1")).ok()
    with repository.registry.wire() as wire:
        path = repository.path(f"blobs/{layer}")
        wire.send(repository.registry.head_of("GET", path))
        head = wire.socket.recv(1 << 16, socket.MSG_PEEK)
        assert head.startswith(b"HTTP/1.1 200")
        with ThreadPoolExecutor(1) as pool:
            stopped = pool.submit(mortal.stop)
            time.sleep(0.3)
            body = wire.answer().expect(200).body
            assert stopped.result() == 0
    assert digest_of(body) == layer
