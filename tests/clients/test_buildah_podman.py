"""buildah builds on what it pulls and pushes the result; podman runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clients.copiers import Skopeo
from clients.engines import Buildah, Podman
from clients.images import ARCHITECTURE, name_of
from clients.marks import SLOW, given, needs
from registry import OCI_INDEX, Registry, Repository

pytestmark = needs("podman", "buildah", "skopeo")
Small = Callable[[str], Path]
NO_TLS = "--tls-verify=false"


def manifest_of(repository: Repository, tag: str) -> dict[str, object]:
    """Return a manifest as the registry serves it."""
    return repository.registry.get(repository.path(f"manifests/{tag}")).expect(200).json()


@pytest.fixture(scope="module")
def base(registry: Registry, debian: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of a real Debian image in the registry."""
    repository = registry.repository()
    skopeo = Skopeo(tmp_path_factory.mktemp("skopeo"))
    skopeo.copy(f"oci:{debian}:12", f"docker://{name_of(repository, '12')}").ok()
    return name_of(repository, "12")


@SLOW
def test_an_image_is_built_on_a_pulled_one_and_runs(
    buildah: Buildah, podman: Podman, base: str, repository: Repository, tmp_path: Path
) -> None:
    """A build pulls its base, its push sends what is new, and another engine runs the result."""
    (tmp_path / "note").write_text("built here\n")
    (tmp_path / "Containerfile").write_text(
        f"FROM {base}\nCOPY note /note\nRUN cat /etc/debian_version >>/note\nCMD cat /note\n"
    )
    built = name_of(repository)
    build = ["build", NO_TLS, "--isolation=chroot", "--layers", "--tag", built]
    buildah(*build, tmp_path).ok()
    buildah.push(built).ok()
    buildah.forget(built)
    assert len(manifest_of(repository, "1")["layers"]) > 1
    podman.pull(built).ok()
    said = podman.execute(built).ok().split()
    assert said[:2] == ["built", "here"]
    assert said[2].startswith("12.")
    podman.forget(built)


@pytest.mark.parametrize("name", given("podman", "buildah"))
def test_a_second_push_sends_no_layer(
    name: str, client: Callable[[str], Buildah | Podman], repository: Repository, small: Small
) -> None:
    """Layers that the registry has are found there, and the digest stays."""
    engine = client(name)
    engine.load(small(f"twice-{name}"), name_of(repository))
    engine.push(name_of(repository)).ok()
    digest = repository.tagged("1")
    engine.push(name_of(repository)).ok()
    assert repository.tagged("1") == digest
    engine.forget(name_of(repository))


def test_layers_in_zstd_are_pulled_by_podman(
    buildah: Buildah, podman: Podman, repository: Repository, small: Small
) -> None:
    """Compression is the client's business: zstd layers are served as they came."""
    name = name_of(repository)
    buildah.load(small("zstd"), name)
    buildah("push", NO_TLS, "--compression-format=zstd", "--format=oci", name).ok()
    buildah.forget(name)
    types = {layer["mediaType"] for layer in manifest_of(repository, "1")["layers"]}
    assert "application/vnd.oci.image.layer.v1.tar+zstd" in types
    podman.pull(name).ok()
    assert podman.pulled(name).manifest == repository.tagged("1")
    podman.forget(name)


@pytest.mark.parametrize("name", given("podman", "buildah"))
def test_a_list_of_platforms_is_pushed_whole(
    name: str, client: Callable[[str], Buildah | Podman], repository: Repository, small: Small
) -> None:
    """`manifest push --all` brings an index and every image in it; a pull takes this machine's."""
    engine = client(name)
    images = {ARCHITECTURE: name_of(repository, "own"), "riscv64": name_of(repository, "other")}
    the_list = f"localhost/{name}-list"
    engine("manifest", "create", the_list).ok()
    for architecture, image in images.items():
        engine.load(small(f"{name}-{architecture}"), image)
        engine.push(image).ok()
        add = ["manifest", "add", NO_TLS, f"--arch={architecture}", "--os=linux"]
        engine(*add, the_list, f"docker://{image}").ok()
        engine.forget(image)
    push = ["manifest", "push", NO_TLS, "--all", "--format=oci"]
    engine(*push, the_list, f"docker://{name_of(repository, 'list')}").ok()
    engine("manifest", "rm", the_list).ok()
    index = manifest_of(repository, "list")
    assert index["mediaType"] == OCI_INDEX
    assert [each["digest"] for each in index["manifests"]] == [
        repository.tagged("own"),
        repository.tagged("other"),
    ]
    engine.pull(name_of(repository, "list")).ok()
    own = manifest_of(repository, "own")["config"]["digest"]
    assert engine.pulled(name_of(repository, "list")).config == own
    engine.forget(name_of(repository, "list"))


def test_podman_lists_the_tags(podman: Podman, repository: Repository, small: Small) -> None:
    """`podman search --list-tags` reads the list of tags."""
    for tag in ("1", "2"):
        podman.load(small("listed"), name_of(repository, tag))
        podman.push(name_of(repository, tag)).ok()
        podman.forget(name_of(repository, tag))
    name = name_of(repository)[: -len(":1")]
    listed = podman("search", NO_TLS, "--list-tags", "--format=json", name).ok()
    assert json.loads(listed)[0]["Tags"] == ["1", "2"]


@pytest.mark.parametrize("name", given("podman", "buildah"))
def test_what_is_deleted_is_not_found(
    name: str, client: Callable[[str], Buildah | Podman], repository: Repository, small: Small
) -> None:
    """A pull of a deleted image says in words that it is not there."""
    engine = client(name)
    engine.load(small("gone"), name_of(repository))
    engine.push(name_of(repository)).ok()
    engine.forget(name_of(repository))
    path = repository.path(f"manifests/{repository.tagged('1')}")
    repository.registry.delete(path).expect(202)
    said = engine.pull(name_of(repository)).refused()
    assert "manifest unknown" in said, said
