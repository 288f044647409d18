"""Blobs mounted from other repositories: a mount succeeds or becomes an upload, it never fails."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from registry import (
    ALGORITHMS,
    Answer,
    Repository,
    absent_digest,
    digest_of,
    requirement,
    unique,
    with_query,
)

BAD_NAMES = [
    "UPPER/case",
    "../../etc",
    "a b",
    "a//b",
    "-a",
    "a" * 300,
    "a/",
    "",
    "_catalog",
    "\u2713",
    "a\0b",
    "a\nb",
]
BAD_DIGESTS = ["sha256:abc", "sha256:", "md5:" + "0" * 32, "nonsense", "", "sha256:../../x", "\0"]


def mount(repository: Repository, **query: str) -> Answer:
    """POST an upload with these parameters."""
    text = "&".join(f"{key}={quote(value, safe=':/')}" for key, value in query.items())
    return repository.registry.post(repository.path(f"blobs/uploads/?{text}"), b"")


def check_session(repository: Repository, answer: Answer) -> None:
    """Check a 202 in the place of a mount: the session it opens can be used at once."""
    content = unique().encode()
    answer.expect(202)
    assert answer["Docker-Upload-UUID"] in answer["Location"]
    assert answer["Range"] == "0-0"
    target = with_query(answer["Location"], digest=digest_of(content))
    repository.registry.put(target, content).expect(201)
    assert repository.has_blob(digest_of(content))


@requirement("end-11")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_mount(repository: Repository, algorithm: str) -> None:
    """A mount is 201 with a Location that can be pulled, and the digest asked for."""
    source, content = repository.registry.repository(), unique().encode()
    digest = source.push_blob(content, algorithm)["digest"]
    answer = mount(repository, mount=digest, **{"from": source.name}).expect(201)
    assert answer["Docker-Content-Digest"] == digest
    assert answer["Content-Length"] == "0"
    assert repository.registry.get(answer["Location"]).expect(200).body == content
    assert repository.has_blob(digest)


@requirement("end-11", "Q-10")
def test_location_of_a_mount(repository: Repository) -> None:
    """The Location of a mounted blob is path-absolute in the target repository."""
    source = repository.registry.repository()
    digest = source.push_blob()["digest"]
    answer = mount(repository, mount=digest, **{"from": source.name}).expect(201)
    assert answer["Location"] == repository.path(f"blobs/{digest}")


@requirement("end-11", "end-11-anonymous")
def test_mount_without_from(repository: Repository) -> None:
    """Without `from` a blob that the caller can read in any repository is mounted."""
    digest = repository.registry.repository().push_blob()["digest"]
    assert mount(repository, mount=digest).expect(201)["Docker-Content-Digest"] == digest
    assert repository.has_blob(digest)


@requirement("end-11")
def test_mount_is_of_its_own(repository: Repository) -> None:
    """A mounted blob stays when the one it came from is deleted."""
    source = repository.registry.repository()
    digest = source.push_blob()["digest"]
    mount(repository, mount=digest, **{"from": source.name}).expect(201)
    source.registry.delete(source.path(f"blobs/{digest}")).expect(202)
    assert not source.has_blob(digest)
    assert repository.has_blob(digest)


@requirement("end-11")
def test_mount_of_what_is_there(repository: Repository) -> None:
    """A mount of what the repository has already, also from itself, is 201."""
    digest = repository.push_blob()["digest"]
    mount(repository, mount=digest, **{"from": repository.name}).expect(201)


@requirement("end-11")
def test_mounted_layer_counts(repository: Repository) -> None:
    """A manifest may refer to a mounted blob."""
    source = repository.registry.repository()
    layer = source.push_blob()
    mount(repository, mount=layer["digest"], **{"from": source.name}).expect(201)
    repository.push_manifest({**repository.new_image(), "layers": [layer]}, "latest")


@requirement("end-11")
def test_origin_is_ignored(repository: Repository) -> None:
    """crane names the registry too; that changes nothing."""
    source = repository.registry.repository()
    digest = source.push_blob()["digest"]
    query = {"mount": digest, "from": source.name, "origin": "registry.example.com"}
    mount(repository, **query).expect(201)


@requirement("end-11", "Q-09")
def test_unknown_source(repository: Repository) -> None:
    """A repository that is not there makes the mount an upload."""
    digest = repository.registry.repository().push_blob()["digest"]
    # Moorage may find the blob elsewhere, as it does without `from`.
    answer = mount(repository, mount=absent_digest(), **{"from": unique("a/")})
    check_session(repository, answer)
    mount(repository, mount=digest, **{"from": unique("a/")}).expect((201, 202))


@requirement("end-11", "Q-09")
@pytest.mark.parametrize("name", BAD_NAMES)
def test_invalid_source(repository: Repository, name: str) -> None:
    """A source that is no name at all makes the mount an upload."""
    check_session(repository, mount(repository, mount=absent_digest(), **{"from": name}))


@requirement("end-11", "Q-09", "mount-missing")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("named", [True, False])
def test_unknown_digest(repository: Repository, algorithm: str, named: bool) -> None:
    """A digest that is not there makes the mount an upload, with or without a source."""
    source = repository.registry.repository()
    source.push_blob()
    query = {"from": source.name} if named else {}
    check_session(repository, mount(repository, mount=absent_digest(algorithm), **query))


@requirement("end-11", "Q-09")
@pytest.mark.parametrize("digest", BAD_DIGESTS)
@pytest.mark.parametrize("named", [True, False])
def test_malformed_digest(repository: Repository, digest: str, named: bool) -> None:
    """A digest that is none makes the mount an upload."""
    query = {"from": unique("a/")} if named else {}
    check_session(repository, mount(repository, mount=digest, **query))


@requirement("end-11", "Q-09")
def test_source_without_digest(repository: Repository) -> None:
    """`from` alone is an upload."""
    check_session(repository, mount(repository, **{"from": unique("a/")}))


@requirement("end-11", "S-13")
def test_failed_mount_gives_nothing(repository: Repository) -> None:
    """A mount that became an upload has not made the blob readable."""
    digest = absent_digest()
    mount(repository, mount=digest, **{"from": unique("a/")}).expect(202)
    assert not repository.has_blob(digest)
