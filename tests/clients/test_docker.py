"""What docker says and does while it pushes and pulls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from clients.engines import Docker
from clients.images import name_of
from clients.marks import needs
from registry import DOCKER_MANIFEST, Repository

pytestmark = needs("docker")
Small = Callable[[str], Path]
LAYERS = 3


def test_the_first_push_uploads_and_the_second_finds_every_layer(
    docker: Docker, repository: Repository, small: Small
) -> None:
    """Nothing is sent twice: the second push says so for each layer."""
    reference = name_of(repository)
    docker.load(small("again"), reference)
    first = docker.push(reference).ok()
    assert first.count(": Pushed") == LAYERS, first
    again = docker.push(reference).ok()
    assert again.count(": Layer already exists") == LAYERS, again
    digest = repository.tagged("1")
    assert f"1: digest: {digest} size: " in first
    assert f"1: digest: {digest} size: " in again
    docker.forget(reference)


def test_a_manifest_is_served_with_the_type_that_docker_gave_it(
    docker: Docker, repository: Repository, small: Small
) -> None:
    """docker pushes its own manifest type, which nobody may turn into another."""
    reference = name_of(repository)
    docker.load(small("type"), reference)
    docker.push(reference).ok()
    answer = repository.registry.get(repository.path("manifests/1"), {"Accept": DOCKER_MANIFEST})
    assert answer.expect(200)["Content-Type"] == DOCKER_MANIFEST
    assert answer.json()["mediaType"] == DOCKER_MANIFEST
    docker.forget(reference)


def test_layers_are_mounted_from_another_repository(
    docker: Docker, repository: Repository, small: Small
) -> None:
    """A push to a second repository uploads no layer that the first one has."""
    first = repository.registry.repository(f"{repository.name}/first")
    second = repository.registry.repository(f"{repository.name}/second")
    docker.load(small("mounted"), name_of(first))
    docker.push(name_of(first)).ok()
    docker("tag", name_of(first), name_of(second)).ok()
    said = docker.push(name_of(second)).ok()
    assert said.count(f": Mounted from {first.name}") == LAYERS, said
    assert second.tagged("1") == first.tagged("1")
    docker.forget(name_of(first))
    docker.forget(name_of(second))
    docker.pull(name_of(second)).ok()
    docker.forget(name_of(second))


def test_a_pull_by_digest_gets_what_the_tag_was(
    docker: Docker, repository: Repository, small: Small
) -> None:
    """A tag that has moved on does not matter to whoever pulls by digest."""
    old, new = name_of(repository, "now"), name_of(repository, "next")
    docker.load(small("old"), old)
    docker.push(old).ok()
    digest = repository.tagged("now")
    docker.load(small("new"), new)
    docker("tag", new, old).ok()
    docker.push(old).ok()
    assert repository.tagged("now") not in (digest, None)
    docker.forget(new)
    docker.forget(old)
    by_digest = f"{old.rpartition(':')[0]}@{digest}"
    assert f"Digest: {digest}" in docker.pull(by_digest).ok()
    assert docker.pulled(by_digest).manifest == digest
    docker.forget(by_digest)


def test_every_tag_of_a_repository_is_pulled(
    docker: Docker, repository: Repository, small: Small
) -> None:
    """`docker pull --all-tags` finds them by the list of tags."""
    names = [name_of(repository, tag) for tag in ("a", "b", "c")]
    for name in names:
        docker.load(small(name[-1]), name)
        docker.push(name).ok()
        docker.forget(name)
    docker("pull", "--all-tags", names[0].rpartition(":")[0]).ok()
    for name in names:
        assert docker.pulled(name).manifest == repository.tagged(name[-1])
        docker.forget(name)


def test_the_manifest_command_reads_the_registry(
    docker: Docker, repository: Repository, small: Small
) -> None:
    """`docker manifest inspect` prints what is stored."""
    reference = name_of(repository)
    docker.load(small("inspected"), reference)
    docker.push(reference).ok()
    docker.forget(reference)
    stored = repository.registry.get(repository.path("manifests/1"), {"Accept": DOCKER_MANIFEST})
    said = docker("manifest", "inspect", "--insecure", reference).ok()
    assert json.loads(said) == stored.json()


def test_what_is_deleted_is_not_found(docker: Docker, repository: Repository, small: Small) -> None:
    """A pull of a deleted tag says so in words, and the image can be pushed again."""
    reference = name_of(repository)
    docker.load(small("deleted"), reference)
    docker.push(reference).ok()
    digest = repository.tagged("1")
    repository.registry.delete(repository.path(f"manifests/{digest}")).expect(202)
    said = docker.pull(reference).refused()
    assert "not found" in said or "manifest unknown" in said, said
    docker.push(reference).ok()
    assert repository.tagged("1") == digest
    docker.forget(reference)
    docker.pull(reference).ok()
    docker.forget(reference)


def test_search_finds_what_was_pushed(docker: Docker, repository: Repository, small: Small) -> None:
    """`docker search HOST/TERM` asks `/v1/search` of that host, and prints what it answers."""
    reference, word = name_of(repository), repository.name.rpartition("/")[2]
    docker.load(small("searched"), reference)
    docker.push(reference).ok()
    docker.forget(reference)
    asked = ["search", "--no-trunc", "--format={{.Name}}", "--limit=25"]
    end = time.monotonic() + 20
    while (said := docker(*asked, f"{repository.registry.authority}/{word}").ok()) == "":
        assert time.monotonic() < end
        time.sleep(0.2)
    assert said.splitlines() == [repository.name]
    nothing = docker(*asked, f"{repository.registry.authority}/no-such-thing-{word}").ok()
    assert nothing == ""
