"""skopeo: copies, inspections, lists and deletions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from clients.copiers import Skopeo
from clients.images import Content, blob_of, digests_below, root_of
from clients.marks import needs
from registry import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Repository, digest_of

pytestmark = needs("skopeo")
Small = Callable[[str], Path]
ANY = {"Accept": f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"}


def address(repository: Repository, tag: str = "1") -> str:
    """Return an image's address as skopeo takes it."""
    return f"docker://{repository.registry.authority}/{repository.name}:{tag}"


def put(skopeo: Skopeo, layout: Path, target: str, *options: str) -> None:
    """Copy the only image of a layout to the registry."""
    skopeo.copy(f"oci:{layout}:latest", target, *options).ok()


def many_platforms(path: Path) -> Path:
    """Write a layout with an index of three platforms that share a layer."""
    content = Content()
    shared = {"etc/shared": b"shared" * 1000}
    children = [
        content.image([shared, {"etc/arch": architecture.encode()}], architecture)
        for architecture in ("amd64", "arm64", "s390x")
    ]
    return content.write(path, content.index(children))


def test_an_index_is_copied_with_all_its_platforms(
    skopeo: Skopeo, repository: Repository, tmp_path: Path
) -> None:
    """Index, manifests and blobs come back byte for byte, after a copy within the registry too."""
    layout = many_platforms(tmp_path / "index")
    there, beside = address(repository), address(repository, "copy")
    put(skopeo, layout, there, "--all")
    skopeo.copy(there, beside, "--all").ok()
    skopeo.copy(beside, f"oci:{tmp_path / 'back'}:latest", "--all").ok()
    root = root_of(layout)["digest"]
    assert repository.tagged("1") == repository.tagged("copy") == root
    assert root_of(tmp_path / "back")["digest"] == root
    kept = {path.name: path.read_bytes() for path in (layout / "blobs/sha256").iterdir()}
    back = {path.name: path.read_bytes() for path in (tmp_path / "back/blobs/sha256").iterdir()}
    assert back == kept


def test_one_platform_of_an_index_is_picked(
    skopeo: Skopeo, repository: Repository, tmp_path: Path
) -> None:
    """A copy without --all takes the platform that is asked for."""
    put(skopeo, many_platforms(tmp_path / "index"), address(repository), "--all")
    skopeo(
        *("--override-arch=s390x", "copy", "--src-tls-verify=false"),
        *(address(repository), f"oci:{tmp_path / 'one'}:latest"),
    ).ok()
    manifest = json.loads(blob_of(tmp_path / "one", root_of(tmp_path / "one")["digest"]))
    config = json.loads(blob_of(tmp_path / "one", manifest["config"]["digest"]))
    assert config["architecture"] == "s390x"


def test_an_inspection_shows_what_was_pushed(
    skopeo: Skopeo, repository: Repository, small: Small
) -> None:
    """`inspect` shows digest, layers and tags; `inspect --raw` and `--config` the very bytes."""
    layout = small("inspected")
    put(skopeo, layout, address(repository))
    put(skopeo, layout, address(repository, "other"))
    inspect = ["inspect", "--tls-verify=false"]
    raw = blob_of(layout, root_of(layout)["digest"])
    document = json.loads(raw)
    shown = json.loads(skopeo(*inspect, address(repository)).ok())
    assert shown["Digest"] == digest_of(raw)
    assert shown["Layers"] == digests_below(document)[1:]
    assert sorted(shown["RepoTags"]) == ["1", "other"]
    assert skopeo(*inspect, "--raw", address(repository)).out.encode() == raw
    config = skopeo(*inspect, "--raw", "--config", address(repository)).out.encode()
    assert config.rstrip() == blob_of(layout, document["config"]["digest"])


def test_tags_are_listed(skopeo: Skopeo, repository: Repository, small: Small) -> None:
    """`list-tags` lists every tag, in order."""
    tags = ["1.0", "1.1", "Latest", "latest"]
    for tag in reversed(tags):
        put(skopeo, small("listed"), address(repository, tag))
    listed = json.loads(skopeo("list-tags", "--tls-verify=false", address(repository)[:-2]).ok())
    assert listed["Tags"] == tags


def test_a_deletion_takes_the_manifest_and_its_tags(
    skopeo: Skopeo, repository: Repository, small: Small
) -> None:
    """skopeo deletes by digest, so every tag of that manifest goes and every other stays."""
    put(skopeo, small("going"), address(repository, "going"))
    put(skopeo, small("going"), address(repository, "going-too"))
    put(skopeo, small("staying"), address(repository, "staying"))
    skopeo("delete", "--tls-verify=false", address(repository, "going")).ok()
    assert repository.tags() == ["staying"]
    said = skopeo("inspect", "--tls-verify=false", address(repository, "going-too")).refused()
    assert "manifest unknown" in said, said
    assert skopeo("delete", "--tls-verify=false", address(repository, "going")).refused()
    put(skopeo, small("going"), address(repository, "going"))
    assert sorted(repository.tags()) == ["going", "staying"]


def test_a_copy_in_dockers_format_keeps_that_format(
    skopeo: Skopeo, repository: Repository, small: Small
) -> None:
    """What is pushed as docker's schema 2 is served as that, with the digest it was pushed with."""
    put(skopeo, small("format"), address(repository), "--format=v2s2")
    answer = repository.registry.get(repository.path("manifests/1"), ANY).expect(200)
    assert answer["Content-Type"] == DOCKER_MANIFEST
    assert digest_of(answer.body) == answer["Docker-Content-Digest"]


def test_a_repository_is_synchronised_to_a_directory_and_back(
    skopeo: Skopeo, repository: Repository, small: Small, tmp_path: Path
) -> None:
    """`skopeo sync` finds all tags by itself and puts them into another repository."""
    digests = {}
    for tag in ("a", "b"):
        put(skopeo, small(tag), address(repository, tag))
        digests[tag] = repository.tagged(tag)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    name = f"{repository.registry.authority}/{repository.name}"
    sync = ["sync", "--src-tls-verify=false", "--dest-tls-verify=false"]
    skopeo(*sync, "--src=docker", "--dest=dir", name, mirror).ok()
    target = repository.registry.repository(f"{repository.name}/mirror")
    into = f"{repository.registry.authority}/{target.name}"
    skopeo(*sync, "--src=dir", "--dest=docker", mirror, into).ok()
    base = repository.registry.repository(f"{target.name}/{repository.name.rpartition('/')[2]}")
    assert {tag: base.tagged(tag) for tag in base.tags()} == digests


def test_what_is_not_there_is_said_to_be_unknown(skopeo: Skopeo, repository: Repository) -> None:
    """A missing image is reported in words."""
    said = skopeo("inspect", "--tls-verify=false", address(repository)).refused()
    assert "unknown" in said, said
