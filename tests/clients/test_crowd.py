"""Many clients at once, and clients that are cut off in the middle."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.copiers import Skopeo
from clients.engines import temporary_directory
from clients.images import files_of, root_of, small_image, write_big_image
from clients.marks import SLOW, needs
from clients.programs import wait_until_written
from registry import Repository, digest_of

pytestmark = [*needs("skopeo"), SLOW]
PUSHES = 16
PULLS = 64
BIG = 192 << 20


def address(repository: Repository, tag: str) -> str:
    """Return an image's address as skopeo takes it."""
    return f"docker://{repository.registry.authority}/{repository.name}:{tag}"


def at_once(count: int, task: Callable[[int], None]) -> None:
    """Run a task `count` times, all at the same time."""
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(task, number) for number in range(count)]:
            done.result()


def test_a_crowd_pushes_and_pulls(
    skopeo: Skopeo, repository: Repository, small: Callable[[str], Path], tmp_path: Path
) -> None:
    """Sixteen pushes at once, half of the same image, and 64 pulls at once: every byte is right."""
    layouts = [small(f"crowd-{number if number % 2 else 0}") for number in range(PUSHES)]

    def push(number: int) -> None:
        source = f"oci:{layouts[number]}:latest"
        skopeo.copy(source, address(repository, f"t{number}")).ok()

    def pull(number: int) -> None:
        target = tmp_path / f"pull-{number}"
        source = address(repository, f"t{number % PUSHES}")
        skopeo.copy(source, f"oci:{target}:latest").ok()
        assert files_of(target) == files_of(layouts[number % PUSHES])

    at_once(PUSHES, push)
    assert len(repository.tags()) == PUSHES
    at_once(PULLS, pull)


def test_a_tag_fought_over_is_always_one_of_its_images(
    skopeo: Skopeo, repository: Repository, small: Callable[[str], Path], tmp_path: Path
) -> None:
    """While pushes move one tag, every pull of it gets one of the images whole."""
    layouts = [small(f"fight-{number}") for number in range(8)]
    roots = {root_of(layout)["digest"] for layout in layouts}
    skopeo.copy(f"oci:{layouts[0]}:latest", address(repository, "it")).ok()

    def push_or_pull(number: int) -> None:
        if number % 2:
            source = f"oci:{layouts[number // 2]}:latest"
            skopeo.copy(source, address(repository, "it")).ok()
        else:
            target = tmp_path / f"pull-{number}"
            skopeo.copy(address(repository, "it"), f"oci:{target}:latest").ok()
            assert root_of(target)["digest"] in roots

    at_once(16, push_or_pull)
    assert repository.tagged("it") in roots


@pytest.fixture
def big() -> Iterator[tuple[Path, str]]:
    """Return a directory with a layout of 192 MiB in one layer, and the digest of that layer."""
    with temporary_directory() as directory:
        yield directory, write_big_image(directory / "big", BIG)


def test_a_push_that_was_cut_off_leaves_nothing_and_can_be_repeated(
    skopeo: Skopeo, repository: Repository, big: tuple[Path, str]
) -> None:
    """A client killed in the middle of a layer publishes nothing; the next push completes it."""
    directory, layer = big
    source, target = f"oci:{directory}/big:latest", address(repository, "big")
    for mebibytes in (8, 100):
        process = subprocess.Popen(
            ["skopeo", "copy", "--dest-tls-verify=false", source, target],
            env=skopeo.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until_written(process, mebibytes << 20)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert repository.tagged("big") is None
        assert not repository.has_blob(layer)
    skopeo.copy(source, target).ok()
    skopeo.copy(target, f"oci:{directory}/back:latest").ok()
    back = (directory / "back/blobs" / layer.replace(":", "/")).read_bytes()
    assert digest_of(back) == layer


def test_a_pull_that_was_cut_off_can_be_repeated(
    skopeo: Skopeo, repository: Repository, tmp_path: Path
) -> None:
    """Clients that leave in the middle of a blob cost the next one nothing."""
    content, image = small_image("cut", 32 << 20)
    layout = content.write(tmp_path / "layout", image)
    skopeo.copy(f"oci:{layout}:latest", address(repository, "1")).ok()
    biggest = max(content.blobs, key=lambda digest: len(content.blobs[digest]))
    for _ in range(8):
        with repository.registry.wire() as wire:
            path = repository.path(f"blobs/{biggest}")
            wire.send(repository.registry.head_of("GET", path))
            assert wire.socket.recv(1 << 16)
            wire.reset()
    skopeo.copy(address(repository, "1"), f"oci:{tmp_path / 'back'}:latest").ok()
    assert files_of(tmp_path / "back") == files_of(layout)
