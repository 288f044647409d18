"""What a manifest refers to: what must be there, what may be missing, what is never fetched."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from process import Server
from registry import (
    DOCKER_LIST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Answer,
    Json,
    Registry,
    Repository,
    absent_digest,
    describe,
    digest_of,
    encode,
    image_document,
    index_document,
    requirement,
    unique,
)

FOREIGN = [
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
]
Start = Callable[..., Server]


def put(repository: Repository, document: Json, reference: str = "latest") -> Answer:
    """PUT a manifest."""
    headers = {"Content-Type": document["mediaType"]}
    path = repository.path(f"manifests/{reference}")
    return repository.registry.put(path, encode(document), headers)


def absent(media_type: str = OCI_LAYER, **more: object) -> Json:
    """Return the descriptor of something that nobody has pushed."""
    return describe(unique().encode(), media_type, **more)


def repository_of(start: Start, policy: str) -> Repository:
    """Return a repository on a server with that policy of sparse content."""
    return Registry(start(MOORAGE_ALLOW_SPARSE=policy).url).repository()


@requirement("end-7a", "MANIFEST_BLOB_UNKNOWN")
@pytest.mark.parametrize("where", ["config", "layers"])
def test_missing_blob(repository: Repository, where: str) -> None:
    """A manifest whose config or layer has not been pushed is refused by name."""
    missing = absent()
    document = repository.new_image()
    document[where] = [missing] if where == "layers" else missing
    answer = put(repository, document).expect(400, "MANIFEST_BLOB_UNKNOWN")
    assert missing["digest"] in answer.body.decode()
    assert repository.tagged("latest") is None


@requirement("end-7a", "MANIFEST_BLOB_UNKNOWN")
def test_one_error_for_each_missing_digest(repository: Repository) -> None:
    """Every missing digest has one error, also when it is named twice."""
    missing = [absent() for _ in range(3)]
    document = repository.new_image()
    document["layers"] = [*missing, document["layers"][0], missing[0]]
    answer = put(repository, document).expect(400, "MANIFEST_BLOB_UNKNOWN")
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"] * 3
    errors = [str(error) for error in answer.json()["errors"]]
    for each in missing:
        assert sum(each["digest"] in error for error in errors) == 1


@requirement("end-7a", "S-18")
def test_blob_of_another_repository_is_missing(repository: Repository) -> None:
    """A blob counts where it has been pushed or mounted, not wherever else it is."""
    elsewhere = repository.registry.repository().push_blob()
    document = repository.new_image()
    document["layers"] = [elsewhere]
    put(repository, document).expect(400, "MANIFEST_BLOB_UNKNOWN")


@requirement("end-7a", "non-distributable-layers")
@pytest.mark.parametrize("media_type", FOREIGN)
def test_non_distributable_layers(repository: Repository, media_type: str) -> None:
    """Layers that must not be distributed need not be there."""
    document = repository.new_image()
    document["layers"].append(absent(media_type, urls=["https://example.com/layer"]))
    put(repository, document).expect(201)


@requirement("end-7a", "S-52")
def test_urls_are_not_fetched(repository: Repository) -> None:
    """A descriptor with `urls` need not be there, and no one goes to look for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/layer"
        document = repository.new_image()
        document["layers"].append(absent(urls=[url]))
        put(repository, document).expect(201)
        repository.registry.get(repository.path("manifests/latest")).expect(200)
        with pytest.raises(TimeoutError):
            listener.accept()


@requirement("end-7a", "missing-subject")
def test_missing_subject(repository: Repository) -> None:
    """A subject need not be there, and OCI-Subject says that it was understood."""
    subject = absent(OCI_MANIFEST)
    document = {**repository.new_image(), "subject": subject}
    assert put(repository, document).expect(201)["OCI-Subject"] == subject["digest"]


@requirement("end-7a", "index-with-subject")
def test_index_with_subject(repository: Repository) -> None:
    """An index may have a subject and an artifact type."""
    subject = repository.push_image().descriptor()
    document = index_document([], subject=subject, artifactType="application/x.test")
    assert put(repository, document).expect(201)["OCI-Subject"] == subject["digest"]


@requirement("end-7a", "empty-index")
@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_empty_index(repository: Repository, media_type: str) -> None:
    """An index without children is an index."""
    put(repository, index_document([], mediaType=media_type)).expect(201)


@requirement("end-7a", "nested-index")
def test_nested_index(repository: Repository) -> None:
    """An index may name indexes."""
    inner = repository.push_image()
    for _ in range(4):
        inner = repository.push_manifest(index_document([inner.descriptor()]))
    put(repository, index_document([inner.descriptor()])).expect(201)


@requirement("end-7a", "buildkit-cache")
def test_index_of_blobs(repository: Repository) -> None:
    """An index may name blobs, as BuildKit's cache does."""
    config = encode({"layers": [], "id": unique()})
    repository.push_blob(config)
    children = [
        repository.push_blob(),
        describe(config, "application/vnd.buildkit.cacheconfig.v0"),
    ]
    put(repository, index_document(children)).expect(201)


@requirement("end-7a", "algorithms")
@pytest.mark.parametrize("algorithm", ["sha512", "blake3"])
def test_reference_by_another_algorithm(repository: Repository, algorithm: str) -> None:
    """A blob pushed by another algorithm is there by that digest and by its sha256."""
    content = unique().encode()
    blob = repository.push_blob(content, algorithm)
    document = repository.new_image()
    put(repository, {**document, "layers": [blob]}).expect(201)
    by_sha256 = {**blob, "digest": digest_of(content)}
    put(repository, {**document, "layers": [by_sha256]}).expect(201)


@requirement("sparse")
def test_sparse_index_by_default(repository: Repository) -> None:
    """An index may name images that are not there, an image must be whole."""
    put(repository, index_document([absent(OCI_MANIFEST)])).expect(201)
    put(repository, image_document(absent(OCI_CONFIG), [])).expect(400, "MANIFEST_BLOB_UNKNOWN")


@requirement("sparse")
def test_sparse_child_can_come_later(repository: Repository) -> None:
    """A child that is pushed after its index is served, and missing until then."""
    document = repository.new_image()
    child = describe(encode(document), OCI_MANIFEST)
    put(repository, index_document([child])).expect(201)
    assert repository.tagged(child["digest"]) is None
    put(repository, document, child["digest"]).expect(201)
    assert repository.tagged(child["digest"]) == child["digest"]


@requirement("sparse")
def test_sparse_always(shared_server: Start) -> None:
    """With the policy `always` images may lack layers too."""
    repository = repository_of(shared_server, "always")
    put(repository, index_document([absent(OCI_MANIFEST)])).expect(201)
    put(repository, image_document(absent(OCI_CONFIG), [absent()])).expect(201)


@requirement("sparse")
def test_sparse_never(shared_server: Start) -> None:
    """With the policy `never` an index must be whole too; its children may be blobs."""
    repository = repository_of(shared_server, "never")
    missing = absent(OCI_MANIFEST)
    whole = [repository.push_image().descriptor(), repository.push_blob()]
    answer = put(repository, index_document([*whole, missing]))
    answer.expect(400, "MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN")
    assert missing["digest"] in answer.body.decode()
    put(repository, image_document(absent(OCI_CONFIG), [])).expect(400, "MANIFEST_BLOB_UNKNOWN")
    put(repository, index_document(whole)).expect(201)


@requirement("sparse", "S-53")
def test_child_of_a_live_index_stays(shared_server: Start) -> None:
    """Where indexes must be whole a child can not be deleted before its index, which is named."""
    repository = repository_of(shared_server, "never")
    child = repository.push_image()
    index = repository.push_manifest(index_document([child.descriptor()]), "latest")
    path = repository.path(f"manifests/{child.digest}")
    refused = repository.registry.delete(path).expect((403, 405, 409))
    assert index.digest in refused.body.decode()
    assert repository.tagged(child.digest) == child.digest
    repository.registry.delete(repository.path(f"manifests/{index.digest}")).expect(202)
    repository.registry.delete(path).expect(202)


@requirement("sparse", "end-9")
def test_child_of_a_sparse_index_can_be_deleted(repository: Repository) -> None:
    """Where indexes may be sparse a child can be deleted, and the index stays."""
    child = repository.push_image()
    index = repository.push_manifest(index_document([child.descriptor()]), "latest")
    repository.registry.delete(repository.path(f"manifests/{child.digest}")).expect(202)
    assert repository.tagged(child.digest) is None
    assert repository.tagged("latest") == index.digest


@requirement("S-53")
def test_index_that_names_itself_by_tag_only(repository: Repository) -> None:
    """An index that names something unknown under its own tag's old digest is only sparse."""
    put(repository, index_document([{**absent(OCI_INDEX), "digest": absent_digest()}])).expect(201)
