"""containerd, which keeps and sends content exactly as it is: what kubelets do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clients.engines import Ctr
from clients.images import ARCHITECTURE, Content, archived, blob_of, name_of, root_of
from clients.marks import needs
from registry import OCI_INDEX, Json, Repository, digest_of

pytestmark = needs("ctr")
Small = Callable[[str], Path]
EVERYTHING = "--all-platforms"


@pytest.fixture
def nested(tmp_path: Path) -> tuple[Path, Content, Json]:
    """Return a layout whose index holds this machine's image and an index of two others."""
    content = Content()
    own, *others = (
        content.image([{"etc/arch": architecture.encode()}], architecture)
        for architecture in (ARCHITECTURE, "riscv64", "ppc64le")
    )
    root = content.index([own, content.index(others)])
    return content.write(tmp_path / "nested", root), content, root


def test_a_push_sends_the_very_bytes(ctr: Ctr, repository: Repository, small: Small) -> None:
    """The digest in the registry is the layout's own."""
    layout = small("bytes")
    ctr.load(layout, name_of(repository))
    ctr.push(name_of(repository)).ok()
    digest = root_of(layout)["digest"]
    assert repository.tagged("1") == digest
    answer = repository.registry.get(repository.path(f"manifests/{digest}")).expect(200)
    assert answer.body == blob_of(layout, digest)
    ctr.push(name_of(repository)).ok()
    assert repository.tagged("1") == digest
    ctr.forget(name_of(repository))


def test_a_nested_index_comes_back_whole(
    ctr: Ctr, repository: Repository, nested: tuple[Path, Content, Json]
) -> None:
    """Every manifest and blob of every platform is pushed and pulled by its digest."""
    layout, content, root = nested
    how = ["--no-unpack", EVERYTHING, "--base-name", "localhost/nested"]
    ctr("images", "import", *how, archived(layout, layout.with_suffix(".tar"))).ok()
    ctr("images", "tag", "localhost/nested:latest", name_of(repository)).ok()
    ctr("images", "push", "--plain-http", name_of(repository)).ok()
    for name in ("localhost/nested:latest", name_of(repository)):
        ctr.forget(name)
    stored = repository.registry.get(repository.path("manifests/1")).expect(200)
    assert (stored["Content-Type"], digest_of(stored.body)) == (OCI_INDEX, root["digest"])
    ctr.pull(name_of(repository), EVERYTHING).ok()
    for digest, raw in content.blobs.items():
        if not raw.startswith(b"\x1f\x8b"):
            assert ctr.content(digest) == raw
        assert digest in ctr("content", "ls", "--quiet").ok()
    ctr.forget(name_of(repository))


def test_a_pull_takes_this_machines_platform(ctr: Ctr, repository: Repository) -> None:
    """Of an index only the platform of this machine is fetched."""
    content = Content()
    children = [content.image([{"arch": name.encode()}], name) for name in (ARCHITECTURE, "mips")]
    root = content.index(children)
    for raw in content.blobs.values():
        repository.push_blob(raw)
    for child in children:
        repository.push_manifest(content.blobs[child["digest"]])
    repository.push_manifest(content.blobs[root["digest"]], "1")
    ctr.pull(name_of(repository)).ok()
    here = ctr("content", "ls", "--quiet").ok()
    assert [child["digest"] in here for child in children] == [True, False]
    ctr.forget(name_of(repository))


def test_what_is_not_there_is_not_found(ctr: Ctr, repository: Repository) -> None:
    """A missing image is told apart from a refusal."""
    assert "not found" in ctr.pull(name_of(repository)).refused()


def test_what_is_deleted_is_not_found(ctr: Ctr, repository: Repository, small: Small) -> None:
    """An image that was deleted can not be pulled, and can be pushed again."""
    ctr.load(small("deleted"), name_of(repository))
    ctr.push(name_of(repository)).ok()
    digest = repository.tagged("1")
    repository.registry.delete(repository.path(f"manifests/{digest}")).expect(202)
    assert "not found" in ctr.pull(name_of(repository)).refused()
    ctr.push(name_of(repository)).ok()
    assert repository.tagged("1") == digest
    ctr.forget(name_of(repository))
