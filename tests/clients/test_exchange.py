"""What any client pushes, every client pulls, to the byte."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients.copiers import Client, Skopeo
from clients.engines import Pulled
from clients.images import ARCHITECTURE, Content, blob_of, digests_below, root_of, small_image
from clients.marks import ENGINES, EVERY_CLIENT, SLOW, given, needing
from registry import DOCKER_MANIFEST, OCI_MANIFEST, Json, Registry, Repository, digest_of

ACCEPTED = {"Accept": f"{OCI_MANIFEST}, {DOCKER_MANIFEST}"}


@dataclass(frozen=True)
class Pushed:
    """An image in the registry."""

    reference: str
    repository: Repository
    manifest: str
    document: Json

    @property
    def by_digest(self) -> str:
        """The image's name by digest."""
        return f"{self.reference.rpartition(':')[0]}@{self.manifest}"

    @property
    def as_pulled(self) -> Pulled:
        """What a client must say that it has."""
        return Pulled(self.manifest, self.document["config"]["digest"])


def push(client: Client, layout: Path, repository: Repository, tag: str) -> Pushed:
    """Push a layout with a client, and let the client forget it."""
    reference = f"{repository.registry.authority}/{repository.name}:{tag}"
    client.load(layout, reference)
    client.push(reference).ok()
    client.forget(reference)
    answer = repository.registry.get(repository.path(f"manifests/{tag}"), ACCEPTED).expect(200)
    assert answer["Docker-Content-Digest"] == digest_of(answer.body)
    return Pushed(reference, repository, digest_of(answer.body), answer.json())


def check_content(pushed: Pushed, layout: Path) -> None:
    """Check that the registry holds the layout's files, layer by layer, and its configuration."""
    source = json.loads(blob_of(layout, root_of(layout)["digest"]))
    wanted = json.loads(blob_of(layout, source["config"]["digest"]))["rootfs"]["diff_ids"]
    layers = digests_below(pushed.document)[1:]
    assert len(layers) == len(wanted)
    for digest, diff_id in zip(layers, wanted, strict=True):
        raw = blob(pushed, digest)
        tar = zlib.decompress(raw, zlib.MAX_WBITS | 16) if raw[:2] == b"\x1f\x8b" else raw
        assert digest_of(tar) == diff_id
    config = json.loads(blob(pushed, pushed.document["config"]["digest"]))
    assert config["rootfs"]["diff_ids"] == wanted


def blob(pushed: Pushed, digest: str) -> bytes:
    """Return a blob as the registry serves it."""
    raw = pushed.repository.blob(digest)
    assert digest_of(raw) == digest
    return raw


@pytest.fixture(scope="module")
def pushed_once() -> dict[str, Pushed]:
    """Return what has been pushed already, by the name of the client that did it."""
    return {}


@pytest.fixture
def pushed(
    pusher: str,
    pushed_once: dict[str, Pushed],
    client: Callable[[str], Client],
    registry: Registry,
    tmp_path: Path,
) -> Pushed:
    """Return a small image that a client has pushed."""
    if pusher not in pushed_once:
        content, image = small_image(pusher)
        layout = content.write(tmp_path / "layout", image)
        pushed_once[pusher] = push(client(pusher), layout, registry.repository(), "small")
        check_content(pushed_once[pusher], layout)
    return pushed_once[pusher]


@pytest.mark.parametrize("puller", given(*EVERY_CLIENT))
@pytest.mark.parametrize("pusher", given(*EVERY_CLIENT))
def test_every_client_pulls_what_any_client_pushed(
    pushed: Pushed, puller: str, client: Callable[[str], Client]
) -> None:
    """A pull ends with the very manifest and configuration that the registry holds."""
    other = client(puller)
    other.pull(pushed.reference).ok()
    assert other.pulled(pushed.reference) == pushed.as_pulled
    other.forget(pushed.reference)


@pytest.mark.parametrize("puller", given(*EVERY_CLIENT))
@pytest.mark.parametrize("pusher", given("skopeo"))
def test_every_client_pulls_by_digest(
    pushed: Pushed, puller: str, client: Callable[[str], Client]
) -> None:
    """A pull by digest needs no tag."""
    other = client(puller)
    other.pull(pushed.by_digest).ok()
    assert other.pulled(pushed.by_digest) == pushed.as_pulled
    other.forget(pushed.by_digest)


@pytest.mark.parametrize("puller", given("docker", "podman", "buildah"))
@needing("skopeo")
def test_an_engine_takes_its_own_platform_of_an_index(
    puller: str,
    client: Callable[[str], Client],
    skopeo: Skopeo,
    repository: Repository,
    tmp_path: Path,
) -> None:
    """Of an index with many platforms, this machine's image is pulled."""
    content = Content()
    names = ["riscv64", ARCHITECTURE, "mips64le"]
    children = [content.image([{"etc/arch": name.encode()}], name) for name in names]
    layout = content.write(tmp_path / "index", content.index(children))
    reference = f"{repository.registry.authority}/{repository.name}:many"
    skopeo.copy(f"oci:{layout}:latest", f"docker://{reference}", "--all").ok()
    own = json.loads(content.blobs[children[1]["digest"]])
    engine = client(puller)
    engine.pull(reference).ok()
    assert engine.pulled(reference).config == own["config"]["digest"]
    engine.forget(reference)


@SLOW
@pytest.mark.parametrize(
    ("pusher", "puller"),
    [
        pytest.param(*(each.values[0] for each in pair), marks=[*pair[0].marks, *pair[1].marks])
        for pair in zip(given(*ENGINES), given(*ENGINES[1:], ENGINES[0]), strict=True)
    ],
)
def test_a_real_image_runs_where_it_was_pulled(
    pusher: str,
    puller: str,
    client: Callable[[str], Client],
    debian: Path,
    repository: Repository,
) -> None:
    """Debian, pushed by one engine and pulled by another, runs in both."""
    pushed = push(client(pusher), debian, repository, "12")
    check_content(pushed, debian)
    for name in (puller, pusher):
        engine = client(name)
        engine.pull(pushed.reference).ok()
        assert engine.pulled(pushed.reference) == pushed.as_pulled
        version = engine.execute(pushed.reference, "cat", "/etc/debian_version").ok()
        assert version.startswith("12."), version
        engine.forget(pushed.reference)
