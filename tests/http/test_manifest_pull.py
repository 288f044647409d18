"""Manifests pulled: headers, negotiation, conditions."""

from __future__ import annotations

import pytest

from registry import (
    ALGORITHMS,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Registry,
    Repository,
    absent_digest,
    digest_of,
    index_document,
    requirement,
)

VOLATILE = {"date", "x-request-id"}
ACCEPTS = [
    [],
    ["*/*"],
    ["application/*"],
    ["application/json"],
    [OCI_MANIFEST],
    [OCI_INDEX],
    [f"{OCI_MANIFEST};q=0.5"],
    [f"{OCI_MANIFEST}; charset=utf-8, {OCI_INDEX};q=0.1"],
    [DOCKER_MANIFEST, OCI_MANIFEST],
    [OCI_INDEX, OCI_MANIFEST],
    [f"{DOCKER_MANIFEST}, {DOCKER_LIST}"],
    [DOCKER_LIST],
    ["text/html"],
    ["nonsense"],
    [""],
]
MATCHING = ['"{0}"', "{0}", 'W/"{0}"', '"x", "{0}"', 'W/"x", W/"{0}"', "x,{0}", "*"]


@requirement("end-3")
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_get_answers_the_pushed_bytes(repository: Repository, by: str) -> None:
    """GET answers exactly the pushed bytes with their type, length, digest and ETag."""
    image = repository.push_image("latest")
    reference = "latest" if by == "tag" else image.digest
    answer = repository.registry.get(repository.path(f"manifests/{reference}")).expect(200)
    assert answer.body == image.raw
    assert answer["Content-Type"] == OCI_MANIFEST
    assert answer["Content-Length"] == str(len(image.raw))
    assert answer["Docker-Content-Digest"] == image.digest
    assert answer["ETag"] == f'"{image.digest}"'


@requirement("end-3", "Q-19")
def test_get_is_not_chunked(repository: Repository) -> None:
    """A manifest comes with a Content-Length, never in chunks."""
    repository.push_image("latest")
    answer = repository.registry.get(repository.path("manifests/latest"))
    assert answer.get("Transfer-Encoding") is None


@requirement("end-3", "Q-15", "Q-31")
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_head_has_the_headers_of_get(repository: Repository, by: str) -> None:
    """HEAD carries every header of GET, with the real Content-Length, and no body."""
    image = repository.push_image("latest")
    path = repository.path(f"manifests/{'latest' if by == 'tag' else image.digest}")
    got, head = repository.registry.get(path), repository.registry.head(path).expect(200)
    steady = [
        {(name.lower(), value) for name, value in answer.headers if name.lower() not in VOLATILE}
        for answer in (got, head)
    ]
    assert steady[0] == steady[1]


@requirement("end-3")
@pytest.mark.parametrize(
    ("by", "caching"), [("tag", "no-cache"), ("digest", "private, max-age=31536000, immutable")]
)
def test_caching(repository: Repository, by: str, caching: str) -> None:
    """What a digest names never changes, what a tag names must be asked again."""
    image = repository.push_image("latest")
    path = repository.path(f"manifests/{'latest' if by == 'tag' else image.digest}")
    assert repository.registry.get(path)["Cache-Control"] == caching
    assert repository.registry.head(path)["Cache-Control"] == caching


@requirement("end-3")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", ["absent", absent_digest(), absent_digest("sha512")])
def test_unknown_manifest(repository: Repository, method: str, reference: str) -> None:
    """What is not there is 404 MANIFEST_UNKNOWN."""
    repository.push_image("latest")
    path = repository.path(f"manifests/{reference}")
    repository.registry.request(method, path).expect(404, "MANIFEST_UNKNOWN")


@requirement("end-3")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", ["latest", absent_digest()])
def test_unknown_repository(repository: Repository, method: str, reference: str) -> None:
    """In a repository that is not there it is 404 too."""
    path = repository.path(f"manifests/{reference}")
    answer = repository.registry.request(method, path)
    answer.expect(404, "NAME_UNKNOWN", "MANIFEST_UNKNOWN")


@requirement("end-3", "S-14")
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_manifest_of_another_repository(repository: Repository, method: str) -> None:
    """A manifest is there only where it has been pushed."""
    elsewhere = repository.registry.repository().push_image("latest")
    repository.push_image("other")
    for reference in (elsewhere.digest, "latest"):
        path = repository.path(f"manifests/{reference}")
        repository.registry.request(method, path).expect(404, "MANIFEST_UNKNOWN")


@requirement("end-3")
def test_unknown_is_not_cached(repository: Repository) -> None:
    """A 404 is not to be stored by any cache."""
    answer = repository.registry.get(repository.path("manifests/latest")).expect(404)
    assert answer["Cache-Control"] == "no-store"


@requirement("end-3")
@pytest.mark.parametrize(
    "digest", ["sha256:abc", "sha256:", "md5:" + "0" * 32, "sha256:" + "Z" * 64, "x:y:z"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_malformed_digest(repository: Repository, method: str, digest: str) -> None:
    """A malformed or unsupported digest is 400, or 404."""
    repository.push_image("latest")
    path = repository.path(f"manifests/{digest}")
    answer = repository.registry.request(method, path).expect((400, 404))
    if method == "GET":
        assert answer.codes[0] in ("DIGEST_INVALID", "MANIFEST_UNKNOWN", "TAG_INVALID")


@requirement("end-3", "S-6")
@pytest.mark.parametrize("tag", ["x" * 129, ".hidden", "-dash", "a:b"])
def test_malformed_tag(repository: Repository, tag: str) -> None:
    """A tag outside the grammar is 400 or 404, never a 500."""
    repository.push_image("latest")
    repository.registry.get(repository.path(f"manifests/{tag}")).expect((400, 404))


@requirement("end-3", "Q-27")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm(repository: Repository, algorithm: str) -> None:
    """A manifest answers to the digest it was pushed by, and names that digest."""
    image = repository.push_manifest(repository.new_image(), algorithm=algorithm)
    path = repository.path(f"manifests/{image.digest}")
    for answer in (repository.registry.get(path), repository.registry.head(path)):
        assert answer.expect(200)["Docker-Content-Digest"] == image.digest
    assert repository.registry.get(path).body == image.raw


@requirement("end-3")
def test_every_pushed_digest_is_an_address(repository: Repository) -> None:
    """A manifest is there under each digest it was pushed by, and the answer names that one."""
    document = repository.new_image()
    pushed = [repository.push_manifest(document, algorithm=each) for each in ALGORITHMS]
    for each in pushed:
        answer = repository.registry.get(repository.path(f"manifests/{each.digest}")).expect(200)
        assert answer.body == each.raw
        assert answer["Docker-Content-Digest"] == each.digest
        assert answer["ETag"] == f'"{each.digest}"'


@requirement("end-3")
def test_sha256_is_always_an_address(repository: Repository) -> None:
    """A manifest pushed by sha512 alone is also there by its sha256."""
    image = repository.push_manifest(repository.new_image(), algorithm="sha512")
    digest = digest_of(image.raw)
    answer = repository.registry.get(repository.path(f"manifests/{digest}")).expect(200)
    assert answer["Docker-Content-Digest"] == digest


@requirement("Q-20")
def test_digest_outlives_its_tag(repository: Repository) -> None:
    """Moving or deleting a tag leaves the manifest where its digest says."""
    first, second = repository.push_image("latest"), repository.push_image("latest")
    assert repository.tagged("latest") == second.digest
    assert repository.tagged(first.digest) == first.digest
    repository.registry.delete(repository.path("manifests/latest")).expect(202)
    assert repository.tagged(second.digest) == second.digest


@requirement("negotiation")
@pytest.mark.parametrize("accept", ACCEPTS, ids=lambda accept: "+".join(accept) or "absent")
@pytest.mark.parametrize("what", ["image-tag", "image-digest", "index-tag", "index-digest"])
def test_stored_type_is_served(repository: Repository, accept: list[str], what: str) -> None:
    """Whatever a client accepts, the stored manifest is served as it is."""
    kind, by = what.split("-")
    stored = repository.push_image("image")
    if kind == "index":
        stored = repository.push_manifest(index_document([stored.descriptor()]), "index")
    path = repository.path(f"manifests/{kind if by == 'tag' else stored.digest}")
    headers = [("Accept", value) for value in accept] or [("Accept", None)]
    answer = repository.registry.get(path, headers).expect(200)
    assert answer["Content-Type"] == stored.media_type
    assert answer["Docker-Content-Digest"] == stored.digest
    assert answer.body == stored.raw


@requirement("S-57")
@pytest.mark.parametrize("coding", ["gzip", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5", "br", "*"])
def test_manifest_is_never_encoded(repository: Repository, coding: str) -> None:
    """Accept-Encoding never makes the registry compress a manifest."""
    image = repository.push_image("latest", annotations={"long": "a" * 50_000})
    path = repository.path("manifests/latest")
    answer = repository.registry.get(path, {"Accept-Encoding": coding}).expect(200)
    assert answer.get("Content-Encoding") is None
    assert answer.body == image.raw


@requirement("conditional")
@pytest.mark.parametrize("form", MATCHING)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_not_modified(repository: Repository, form: str, method: str, by: str) -> None:
    """If-None-Match in all its forms is 304 with ETag and Docker-Content-Digest, without a body."""
    image = repository.push_image("latest")
    path = repository.path(f"manifests/{'latest' if by == 'tag' else image.digest}")
    headers = {"If-None-Match": form.format(image.digest)}
    answer = repository.registry.request(method, path, headers).expect(304)
    assert answer["ETag"] == f'"{image.digest}"'
    assert answer["Docker-Content-Digest"] == image.digest


@requirement("conditional")
@pytest.mark.parametrize("form", ['"{0}x"', '"x", "y"', "nonsense", '""', ""])
def test_modified(repository: Repository, form: str) -> None:
    """If-None-Match of something else is the manifest."""
    image = repository.push_image("latest")
    headers = {"If-None-Match": form.format(image.digest)}
    answer = repository.registry.get(repository.path("manifests/latest"), headers).expect(200)
    assert answer.body == image.raw


@requirement("conditional")
def test_moved_tag_is_modified(repository: Repository) -> None:
    """A condition on the digest that a tag had before is answered with what it has now."""
    old, new = repository.push_image("latest"), repository.push_image("latest")
    path = repository.path("manifests/latest")
    headers = {"If-None-Match": f'"{old.digest}"'}
    assert repository.registry.get(path, headers).expect(200).body == new.raw


@requirement("conditional")
def test_condition_on_nothing(registry: Registry, repository: Repository) -> None:
    """A condition does not turn a missing manifest into a 304."""
    repository.push_image("latest")
    path = repository.path("manifests/absent")
    registry.get(path, {"If-None-Match": "*"}).expect(404, "MANIFEST_UNKNOWN")
