"""Deletion: exactly 202, at once, and no more than was asked for."""

from __future__ import annotations

import pytest

from registry import (
    ALGORITHMS,
    Repository,
    absent_digest,
    digest_of,
    requirement,
    unique,
)


def delete(repository: Repository, rest: str, status: int, *codes: str) -> None:
    """DELETE something and check the answer."""
    repository.registry.delete(repository.path(rest)).expect(status, *codes)


@requirement("end-9", "Q-08")
def test_delete_a_tag(repository: Repository) -> None:
    """Deleting a tag takes that tag only, at once."""
    image = repository.push_image("one")
    repository.push_manifest(image.raw, "two")
    delete(repository, "manifests/one", 202)
    assert repository.tagged("one") is None
    assert repository.tagged("two") == image.digest
    assert repository.tagged(image.digest) == image.digest
    assert repository.tags() == ["two"]


@requirement("end-9", "Q-08")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_delete_a_manifest(repository: Repository, algorithm: str) -> None:
    """Deleting by digest takes the manifest and all its tags, at once."""
    image = repository.push_manifest(repository.new_image(), algorithm=algorithm)
    for tag in ("one", "two"):
        target = repository.path(f"manifests/{image.digest}?tag={tag}")
        repository.registry.put(target, image.raw, {"Content-Type": image.media_type})
    kept = repository.push_image("kept")
    delete(repository, f"manifests/{image.digest}", 202)
    for reference in (image.digest, "one", "two"):
        assert repository.tagged(reference) is None
    assert repository.tags() == ["kept"]
    assert repository.tagged("kept") == kept.digest


@requirement("end-9")
@pytest.mark.parametrize("reference", ["absent", absent_digest(), absent_digest("sha512")])
def test_delete_an_unknown_manifest(repository: Repository, reference: str) -> None:
    """What is not there can not be deleted: 404."""
    repository.push_image("latest")
    delete(repository, f"manifests/{reference}", 404, "MANIFEST_UNKNOWN")


@requirement("end-9", "end-10")
@pytest.mark.parametrize("rest", ["manifests/latest", f"blobs/{absent_digest()}"])
def test_delete_in_an_unknown_repository(repository: Repository, rest: str) -> None:
    """In a repository that is not there it is 404 too."""
    delete(repository, rest, 404, "NAME_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN")


@requirement("end-9")
def test_delete_twice(repository: Repository) -> None:
    """The second deletion finds nothing."""
    image = repository.push_image("latest")
    delete(repository, "manifests/latest", 202)
    delete(repository, "manifests/latest", 404, "MANIFEST_UNKNOWN")
    delete(repository, f"manifests/{image.digest}", 202)
    delete(repository, f"manifests/{image.digest}", 404, "MANIFEST_UNKNOWN")


@requirement("end-9")
def test_push_after_deletion(repository: Repository) -> None:
    """What was deleted can be pushed again."""
    image = repository.push_image("latest")
    delete(repository, f"manifests/{image.digest}", 202)
    repository.push_manifest(image.raw, "latest")
    assert repository.tagged("latest") == image.digest
    assert repository.registry.get(repository.path(f"manifests/{image.digest}")).body == image.raw


@requirement("end-9", "S-84")
def test_push_does_not_bring_back_tags(repository: Repository) -> None:
    """A manifest that is pushed again after its deletion has no tags but those of the push."""
    image = repository.push_image("one")
    delete(repository, f"manifests/{image.digest}", 202)
    repository.push_manifest(image.raw)
    assert repository.tags() == []
    repository.push_manifest(image.raw, "two")
    assert repository.tags() == ["two"]


@requirement("end-9")
def test_blobs_outlive_their_manifest(repository: Repository) -> None:
    """Deleting a manifest does not delete its blobs."""
    document = repository.new_image()
    image = repository.push_manifest(document, "latest")
    delete(repository, f"manifests/{image.digest}", 202)
    assert repository.has_blob(document["layers"][0]["digest"])


@requirement("end-9", "invalid-digest-format")
@pytest.mark.parametrize("digest", ["sha256:abc", "md5:" + "0" * 32])
def test_delete_a_malformed_digest(repository: Repository, digest: str) -> None:
    """A malformed digest is 400 or 404."""
    repository.push_image("latest")
    repository.registry.delete(repository.path(f"manifests/{digest}")).expect((400, 404))
    assert repository.tags() == ["latest"]


@requirement("end-10", "Q-08")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_delete_a_blob(repository: Repository, algorithm: str) -> None:
    """Deleting a blob takes it from that repository only, at once."""
    content = unique().encode()
    digest = repository.push_blob(content, algorithm)["digest"]
    other = repository.registry.repository()
    other.push_blob(content, algorithm)
    delete(repository, f"blobs/{digest}", 202)
    assert not repository.has_blob(digest)
    assert other.has_blob(digest)
    delete(repository, f"blobs/{digest}", 404, "BLOB_UNKNOWN")


@requirement("end-10")
def test_delete_an_unknown_blob(repository: Repository) -> None:
    """A blob that is not there can not be deleted: 404."""
    repository.push_blob()
    delete(repository, f"blobs/{absent_digest()}", 404, "BLOB_UNKNOWN")


@requirement("end-10")
@pytest.mark.parametrize("part", ["config", "layer"])
def test_delete_a_blob_in_use(repository: Repository, part: str) -> None:
    """A blob that a manifest of the repository refers to stays, until the manifest is deleted."""
    document = repository.new_image()
    image = repository.push_manifest(document)
    blob = document["config"] if part == "config" else document["layers"][0]
    delete(repository, f"blobs/{blob['digest']}", 405, "UNSUPPORTED", "DENIED")
    assert repository.has_blob(blob["digest"])
    delete(repository, f"manifests/{image.digest}", 202)
    delete(repository, f"blobs/{blob['digest']}", 202)
    assert not repository.has_blob(blob["digest"])


@requirement("end-10", "algorithms")
@pytest.mark.parametrize("algorithm", ["sha512", "blake3"])
def test_delete_a_blob_in_use_by_another_digest(repository: Repository, algorithm: str) -> None:
    """A blob is in use under each of its digests, and is gone under each."""
    content = unique().encode()
    blob = repository.push_blob(content, algorithm)
    image = repository.push_image(layers=[blob])
    for digest in (blob["digest"], digest_of(content)):
        delete(repository, f"blobs/{digest}", 405, "UNSUPPORTED", "DENIED")
        assert repository.has_blob(digest)
    delete(repository, f"manifests/{image.digest}", 202)
    delete(repository, f"blobs/{digest_of(content)}", 202)
    assert not repository.has_blob(blob["digest"])
    assert not repository.has_blob(digest_of(content))


@requirement("end-10")
def test_use_elsewhere_does_not_count(repository: Repository) -> None:
    """A blob can be deleted where nothing refers to it, whatever other repositories do."""
    content = unique().encode()
    blob = repository.push_blob(content)
    other = repository.registry.repository()
    other.push_blob(content)
    other.push_manifest({**other.new_image(), "layers": [blob]}, "latest")
    delete(repository, f"blobs/{blob['digest']}", 202)
    assert other.has_blob(blob["digest"])


@requirement("end-10")
def test_push_a_deleted_blob(repository: Repository) -> None:
    """A deleted blob can be pushed again and is whole."""
    content = unique().encode() * 1000
    digest = repository.push_blob(content)["digest"]
    delete(repository, f"blobs/{digest}", 202)
    repository.push_blob(content)
    assert repository.registry.get(repository.path(f"blobs/{digest}")).body == content


@requirement("end-9")
def test_delete_everything_in_reverse(repository: Repository) -> None:
    """Deleting parents before children empties a repository, which is still there."""
    document = repository.new_image()
    image = repository.push_manifest(document, "latest")
    delete(repository, "manifests/latest", 202)
    delete(repository, f"manifests/{image.digest}", 202)
    for blob in (document["config"], *document["layers"]):
        delete(repository, f"blobs/{blob['digest']}", 202)
    assert repository.tags() == []
