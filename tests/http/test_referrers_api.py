"""Referrers: what refers to a manifest, filtered and paged."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from registry import (
    DOCKER_MANIFEST,
    OCI_ARTIFACT,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Answer,
    Json,
    Manifest,
    Repository,
    absent_digest,
    index_document,
    next_link,
    requirement,
    unique,
)

SBOM = "application/spdx+json"
SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def ask(repository: Repository, digest: str, query: str = "") -> Answer:
    """Ask for the referrers of a digest and check the envelope."""
    answer = repository.registry.get(repository.path(f"referrers/{digest}{query}")).expect(200)
    assert answer["Content-Type"] == OCI_INDEX
    document = answer.json()
    assert document["schemaVersion"] == 2
    assert document["mediaType"] == OCI_INDEX
    assert isinstance(document["manifests"], list)
    return answer


def referrers(repository: Repository, digest: str, query: str = "") -> list[Json]:
    """Return the descriptors of what refers to a digest."""
    return ask(repository, digest, query).json()["manifests"]


def digests(repository: Repository, subject: Manifest, query: str = "") -> list[str]:
    """Return the digests of what refers to a manifest."""
    return [each["digest"] for each in referrers(repository, subject.digest, query)]


@requirement("end-12a", "Q-17", "Q-18")
@pytest.mark.parametrize("digest", [absent_digest(), absent_digest("sha512"), "sha256:" + "0" * 64])
@pytest.mark.parametrize("exists", [True, False])
def test_nothing_refers(repository: Repository, digest: str, exists: bool) -> None:
    """Without repository, subject or referrers it is 200 with an empty index."""
    if exists:
        repository.push_image("latest")
    assert ask(repository, digest).json()["manifests"] == []


@requirement("end-12a")
def test_head(repository: Repository) -> None:
    """HEAD has the headers of GET."""
    path = repository.path(f"referrers/{absent_digest()}")
    answer = repository.registry.head(path).expect(200)
    assert answer["Content-Type"] == OCI_INDEX
    assert answer["Content-Length"] == repository.registry.get(path)["Content-Length"]


@requirement("end-12a", "invalid-digest-format")
@pytest.mark.parametrize(
    "digest", ["sha256:abc", "latest", "md5:" + "0" * 32, "sha256:" + "A" * 64]
)
def test_malformed_digest(repository: Repository, digest: str) -> None:
    """A malformed digest is 400."""
    repository.registry.get(repository.path(f"referrers/{digest}")).expect(400, "DIGEST_INVALID")


@requirement("end-12a")
def test_descriptor(repository: Repository) -> None:
    """A referrer is described by type, digest, size, artifact type and all its annotations."""
    subject = repository.push_image("latest")
    annotations = {"org.example.a": "1", "org.example.b": "\u2713"}
    pushed = repository.push_artifact(subject.descriptor(), SBOM, annotations=annotations)
    (described,) = referrers(repository, subject.digest)
    assert described["mediaType"] == OCI_MANIFEST
    assert described["digest"] == pushed.digest
    assert described["size"] == len(pushed.raw)
    assert described["artifactType"] == SBOM
    assert described["annotations"].items() >= annotations.items()
    assert set(described) == {"mediaType", "digest", "size", "artifactType", "annotations"}


@requirement("end-12a")
def test_artifact_type_of_an_image(repository: Repository) -> None:
    """A manifest without an artifact type has that of its config."""
    subject = repository.push_image("latest")
    image = repository.new_image(subject=subject.descriptor())
    image["config"]["mediaType"] = "application/vnd.example.config.v1+json"
    repository.push_manifest(image)
    (described,) = referrers(repository, subject.digest)
    assert described["artifactType"] == "application/vnd.example.config.v1+json"
    assert not described.get("annotations")


@requirement("end-12a", "index-with-subject")
@pytest.mark.parametrize("artifact_type", [None, SBOM])
def test_index_refers(repository: Repository, artifact_type: str | None) -> None:
    """An index can refer; without an artifact type it is described without one."""
    subject = repository.push_image("latest")
    document = index_document([], subject=subject.descriptor(), artifactType=artifact_type)
    pushed = repository.push_manifest(document)
    (described,) = referrers(repository, subject.digest)
    assert described["digest"] == pushed.digest
    assert described["mediaType"] == OCI_INDEX
    assert described.get("artifactType") == artifact_type


@requirement("end-12a")
@pytest.mark.parametrize("media_type", [DOCKER_MANIFEST, OCI_ARTIFACT])
def test_other_types_refer(repository: Repository, media_type: str) -> None:
    """Manifests of Docker and of the withdrawn type can refer too."""
    subject = repository.push_image("latest")
    if media_type == OCI_ARTIFACT:
        document = {"mediaType": OCI_ARTIFACT, "artifactType": SBOM, "blobs": []}
    else:
        document = repository.new_image(mediaType=media_type)
    pushed = repository.push_manifest({**document, "subject": subject.descriptor()})
    assert digests(repository, subject) == [pushed.digest]


@requirement("end-12a", "missing-subject")
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_subject_may_come_later(repository: Repository, algorithm: str) -> None:
    """Referrers of a subject that is not there are listed, and stay when it comes."""
    document = repository.new_image()
    subject = repository.push_manifest(document, algorithm=algorithm)
    repository.registry.delete(repository.path(f"manifests/{subject.digest}")).expect(202)
    pushed = repository.push_artifact(subject.descriptor(), SBOM)
    assert digests(repository, subject) == [pushed.digest]
    repository.push_manifest(document, algorithm=algorithm)
    assert digests(repository, subject) == [pushed.digest]


@requirement("end-12b")
def test_filter(repository: Repository) -> None:
    """`artifactType` leaves only matches and is confirmed by OCI-Filters-Applied."""
    subject = repository.push_image("latest")
    sbom = repository.push_artifact(subject.descriptor(), SBOM)
    repository.push_artifact(subject.descriptor(), SIGNATURE)
    answer = ask(repository, subject.digest, f"?artifactType={quote(SBOM, safe='')}")
    assert [each["digest"] for each in answer.json()["manifests"]] == [sbom.digest]
    assert answer["OCI-Filters-Applied"] == "artifactType"
    assert ask(repository, subject.digest).get("OCI-Filters-Applied") is None


@requirement("end-12b")
def test_filter_without_a_match(repository: Repository) -> None:
    """A filter that nothing matches is an empty index with the header."""
    subject = repository.push_image("latest")
    repository.push_artifact(subject.descriptor(), SBOM)
    answer = ask(repository, subject.digest, "?artifactType=application/none")
    assert answer.json()["manifests"] == []
    assert answer["OCI-Filters-Applied"] == "artifactType"


@requirement("end-12b")
def test_several_filters(repository: Repository) -> None:
    """Several artifact types are an OR, as containerd means them."""
    subject = repository.push_image("latest")
    wanted = {
        repository.push_artifact(subject.descriptor(), kind).digest for kind in (SBOM, SIGNATURE)
    }
    repository.push_artifact(subject.descriptor(), "application/other")
    types = "&".join(f"artifactType={quote(kind, safe='')}" for kind in (SBOM, SIGNATURE))
    assert set(digests(repository, subject, f"?{types}")) == wanted


@requirement("end-12a")
def test_newest_first(repository: Repository) -> None:
    """The newest referrer comes first."""
    subject = repository.push_image("latest")
    pushed = [repository.push_artifact(subject.descriptor(), SBOM).digest for _ in range(5)]
    assert digests(repository, subject) == pushed[::-1]


@requirement("end-12a", "Q-11")
@pytest.mark.parametrize("count", [1, 2, 5])
def test_pages(repository: Repository, count: int) -> None:
    """Pages of `n` lead through all matches once, by relative Links that keep the filter."""
    subject = repository.push_image("latest")
    pushed = [repository.push_artifact(subject.descriptor(), SBOM).digest for _ in range(5)]
    repository.push_artifact(subject.descriptor(), SIGNATURE)
    found: list[str] = []
    target: str | None = repository.path(
        f"referrers/{subject.digest}?n={count}&artifactType={quote(SBOM, safe='')}"
    )
    while target:
        answer = repository.registry.get(target).expect(200)
        assert answer["OCI-Filters-Applied"] == "artifactType"
        assert len(answer.json()["manifests"]) <= count
        found += [each["digest"] for each in answer.json()["manifests"]]
        target = next_link(answer)
    assert found == pushed[::-1]


@requirement("end-12a", "end-9")
def test_deleted_referrer(repository: Repository) -> None:
    """A referrer that is deleted is not listed any more."""
    subject = repository.push_image("latest")
    first, second = (repository.push_artifact(subject.descriptor(), SBOM) for _ in range(2))
    repository.registry.delete(repository.path(f"manifests/{first.digest}")).expect(202)
    assert digests(repository, subject) == [second.digest]


@requirement("end-12a", "end-9")
def test_deleted_subject(repository: Repository) -> None:
    """Referrers stay listed when their subject is deleted."""
    subject = repository.push_image("latest")
    pushed = repository.push_artifact(subject.descriptor(), SBOM)
    repository.registry.delete(repository.path(f"manifests/{subject.digest}")).expect(202)
    assert digests(repository, subject) == [pushed.digest]


@requirement("end-12a", "S-85")
def test_referrers_of_another_repository(repository: Repository) -> None:
    """What refers to the same digest in another repository is not listed."""
    subject = repository.push_image("latest")
    other = repository.registry.repository()
    other.push_artifact(subject.descriptor(), SBOM)
    assert digests(repository, subject) == []


@requirement("end-7a", "Q-23")
def test_pushed_twice(repository: Repository) -> None:
    """A referrer that is pushed twice, also by tag, is listed once."""
    subject = repository.push_image("latest")
    pushed = repository.push_artifact(subject.descriptor(), SBOM)
    repository.push_manifest(pushed.raw, unique())
    assert digests(repository, subject) == [pushed.digest]


@requirement("fallback-tag")
def test_fallback_tag(repository: Repository) -> None:
    """A fallback index is served as pushed, and what it lists is taken in corrected."""
    subject = repository.push_image("latest")
    pushed = repository.push_artifact(subject.descriptor(), SIGNATURE)
    stranger = repository.push_image()
    listed = [
        pushed.descriptor(artifactType=OCI_EMPTY, annotations={"wrong": "yes"}),
        stranger.descriptor(artifactType=SBOM),
    ]
    tag = subject.digest.replace(":", "-")
    index = repository.push_manifest(index_document(listed), tag)
    (described,) = referrers(repository, subject.digest)
    assert described["digest"] == pushed.digest
    assert described["artifactType"] == SIGNATURE
    assert "wrong" not in described["annotations"]
    assert repository.registry.get(repository.path(f"manifests/{tag}")).body == index.raw


@requirement("fallback-tag", "sparse")
def test_fallback_tag_before_its_children(repository: Repository) -> None:
    """What a fallback index lists counts from when it is there."""
    subject = repository.push_image("latest")
    pushed = repository.push_artifact(subject.descriptor(), SBOM)
    path = repository.path(f"manifests/{pushed.digest}")
    repository.registry.delete(path).expect(202)
    tag = subject.digest.replace(":", "-")
    repository.push_manifest(index_document([pushed.descriptor()]), tag)
    assert digests(repository, subject) == []
    repository.push_manifest(pushed.raw)
    assert digests(repository, subject) == [pushed.digest]
