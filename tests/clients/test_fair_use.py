"""What clients make of a share that is used up: they wait, say so, or sign in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clients.copiers import Skopeo
from clients.engines import Ctr, Docker
from clients.images import blob_of, name_of, root_of
from clients.marks import needing
from conftest import PASSWORD
from members import Members
from process import Server
from registry import Registry, Repository

pytestmark = pytest.mark.metadata
Start = Callable[..., Server]
Small = Callable[[str], Path]
ADMINISTRATOR = ("admin", PASSWORD)


@pytest.fixture
def spent(server: Start, tmp_path: Path, small: Small) -> Callable[[int], Repository]:
    """Return what starts a registry with a public image, of which nobody here may have more."""

    def start(seconds: int) -> Repository:
        secret = tmp_path / "password"
        secret.write_text(PASSWORD)
        env = {
            "MOORAGE_ADMIN_USER": ADMINISTRATOR[0],
            "MOORAGE_ADMIN_PASSWORD_FILE": str(secret),
            "MOORAGE_LIMITS__ANONYMOUS_PULLS": "1",
            "MOORAGE_LIMITS__ANONYMOUS_PULLS_SECONDS": str(seconds),
        }
        started = server(env=env)
        repository = Registry(started.url, ADMINISTRATOR).repository()
        layout = small("share")
        root = root_of(layout)
        for path in (layout / "blobs/sha256").iterdir():
            if not path.name.endswith(root["digest"][7:]):
                repository.push_blob(path.read_bytes())
        repository.push_manifest(blob_of(layout, root["digest"]), "1")
        Members.of(started).show(repository.name, "public")
        nobody = Registry(started.url)
        nobody.get(repository.path("manifests/1")).expect(200)
        nobody.get(repository.path("manifests/1")).expect(401)
        return repository

    return start


@needing("docker")
def test_docker_says_what_to_do(docker: Docker, spent: Callable[[int], Repository]) -> None:
    repository = spent(3_600)
    said = docker.pull(name_of(repository)).refused()
    assert "toomanyrequests" in said
    assert "Sign in for more" in said
    docker.login(repository.registry.authority, *ADMINISTRATOR).ok()
    try:
        docker.pull(name_of(repository)).ok()
        docker.forget(name_of(repository))
    finally:
        docker.logout(repository.registry.authority)


@needing("ctr")
def test_containerd_signs_in_when_it_is_asked(ctr: Ctr, spent: Callable[[int], Repository]) -> None:
    """It sends what it was given to nobody that does not ask, and public content does not."""
    repository = spent(3_600)
    assert "429" in ctr.pull(name_of(repository)).refused()
    ctr.pull(name_of(repository), "--user", ":".join(ADMINISTRATOR)).ok()
    ctr.forget(name_of(repository))


@needing("skopeo")
def test_skopeo_waits_as_long_as_it_is_told(
    skopeo: Skopeo, spent: Callable[[int], Repository]
) -> None:
    repository = spent(8)
    skopeo.pull(name_of(repository)).ok()
