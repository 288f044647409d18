"""The clients, each with a storage and, where it has one, a daemon of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients.copiers import Client, Oras, Skopeo
from clients.debian import debian_layout
from clients.engines import Buildah, Ctr, Docker, Podman, temporary_directory
from clients.images import small_image
from registry import Registry


@pytest.fixture(scope="package")
def registry(request: pytest.FixtureRequest, registry: Registry) -> Iterator[Registry]:
    """Return the registry under test; no answer of it may be a failure that clients try over."""
    if request.config.getoption("--registry"):
        yield registry
        return
    log: Path = request.getfixturevalue("moorage").log
    begin = log.stat().st_size
    yield registry
    written = log.read_bytes()[begin:].decode(errors="replace").splitlines()
    assert [line for line in written if '"status":5' in line] == []


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """Run a docker daemon for all tests."""
    with Docker.started() as client:
        yield client


@pytest.fixture(scope="session")
def ctr() -> Iterator[Ctr]:
    """Run a containerd for all tests."""
    with Ctr.started() as client:
        yield client


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """Give podman a storage for all tests."""
    with temporary_directory() as home:
        yield Podman(home)


@pytest.fixture(scope="session")
def buildah() -> Iterator[Buildah]:
    """Give buildah a storage for all tests."""
    with temporary_directory() as home:
        yield Buildah(home)


@pytest.fixture
def skopeo() -> Iterator[Skopeo]:
    """Give skopeo a directory for one test."""
    with temporary_directory() as home:
        yield Skopeo(home)


@pytest.fixture
def oras(registry: Registry, tmp_path: Path) -> Oras:
    """Return the oras library, set up for the registry under test."""
    return Oras(registry.authority, tmp_path / "oras")


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Callable[[str], Client]:
    """Return a function that gives the client of a name."""
    return request.getfixturevalue


@pytest.fixture(scope="session")
def debian() -> Path:
    """Return the layout of a real Debian image, made the first time."""
    return debian_layout()


@pytest.fixture
def small(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that gives the layout of a small image, which depends on its name alone."""

    def write(name: str) -> Path:
        path = tmp_path / "layouts" / name
        return path if path.exists() else small_image(name)[0].write(path, small_image(name)[1])

    return write
