"""Manifests pushed: by tag, by digest, with several tags, of every type."""

from __future__ import annotations

import gzip
import json

import pytest

from registry import (
    ALGORITHMS,
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1,
    OCI_ARTIFACT,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Answer,
    Json,
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

ARTIFACTS = [
    (
        "application/vnd.cncf.helm.config.v1+json",
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    ),
    ("application/vnd.wasm.config.v0+json", "application/wasm"),
    ("application/vnd.cncf.model.config.v1+json", "application/vnd.cncf.model.weight.v1.gguf"),
    ("application/vnd.docker.ai.model.config.v0.1+json", "application/vnd.docker.ai.gguf.v3"),
    (OCI_EMPTY, "application/vnd.dev.sigstore.bundle.v0.3+json"),
    (OCI_EMPTY, "application/spdx+json"),
    (OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+zstd"),
    (DOCKER_CONFIG, "application/vnd.docker.plugin.v1+json"),
    ("application/vnd.example.unheard-of", "text/x-nobody-knows; version=1"),
]


def put(
    repository: Repository, reference: str, raw: bytes, media_type: str | None = OCI_MANIFEST
) -> Answer:
    """PUT a manifest."""
    headers = {"Content-Type": media_type}
    return repository.registry.put(repository.path(f"manifests/{reference}"), raw, headers)


@requirement("end-7a")
def test_put_by_tag(repository: Repository) -> None:
    """PUT by tag is 201 with a Location that can be fetched, the sha256, and no body."""
    raw = encode(repository.new_image())
    answer = put(repository, "latest", raw).expect(201)
    assert answer["Docker-Content-Digest"] == digest_of(raw)
    assert answer["Content-Length"] == "0"
    assert answer.get("OCI-Subject") is None
    assert repository.registry.get(answer["Location"]).expect(200).body == raw


@requirement("end-7a", "Q-10")
def test_location_is_relative_and_by_digest(repository: Repository) -> None:
    """The Location of a manifest is path-absolute and names the digest."""
    raw = encode(repository.new_image())
    answer = put(repository, "latest", raw).expect(201)
    assert answer["Location"] == repository.path(f"manifests/{digest_of(raw)}")


@requirement("end-7a")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_put_by_digest(repository: Repository, algorithm: str) -> None:
    """PUT by digest answers with the digest that the client gave, and makes no tag."""
    raw = encode(repository.new_image())
    digest = digest_of(raw, algorithm)
    answer = put(repository, digest, raw).expect(201)
    assert answer["Docker-Content-Digest"] == digest
    assert repository.registry.get(answer["Location"]).expect(200).body == raw
    assert repository.tags() == []


@requirement("end-7a", "bad-digest")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_put_by_wrong_digest(repository: Repository, algorithm: str) -> None:
    """Bytes that do not have the digest, such as one more space, are refused and not stored."""
    raw = encode(repository.new_image())
    digest = digest_of(raw, algorithm)
    put(repository, digest, raw + b" ").expect(400, "DIGEST_INVALID")
    repository.registry.head(repository.path(f"manifests/{digest}")).expect(404)


@requirement("end-7a", "invalid-digest-format")
@pytest.mark.parametrize(
    "digest", ["sha256:baddigeststring", "sha256:", "md5:" + "0" * 32, "sha256:" + "A" * 64]
)
def test_put_by_malformed_digest(repository: Repository, digest: str) -> None:
    """A reference that is no digest and no tag is 400."""
    raw = encode(repository.new_image())
    put(repository, digest, raw).expect(400, "DIGEST_INVALID", "TAG_INVALID", "MANIFEST_INVALID")


@requirement("end-7a", "S-6")
@pytest.mark.parametrize("tag", ["x" * 129, ".hidden", "-dash", "a:b", "a@b", "a+b"])
def test_put_by_malformed_tag(repository: Repository, tag: str) -> None:
    """A tag outside the grammar is 400 and makes nothing."""
    raw = encode(repository.new_image())
    answer = put(repository, tag, raw).expect(400)
    assert answer.codes[0] in ("TAG_INVALID", "MANIFEST_INVALID", "DIGEST_INVALID")
    assert repository.tags() == []


@requirement("end-7a")
@pytest.mark.parametrize("tag", ["x" * 128, "_", "0", "A.b-c_D", "v1.0.0--rc..1", "tags", "list"])
def test_every_valid_tag(repository: Repository, tag: str) -> None:
    """Every tag of the grammar works, up to 128 characters."""
    image = repository.push_image(tag)
    assert repository.tagged(tag) == image.digest


@requirement("end-7a")
def test_put_again(repository: Repository) -> None:
    """Pushing the same again is 201, and pushing something else moves the tag."""
    image = repository.push_image("latest")
    put(repository, "latest", image.raw).expect(201)
    other = repository.push_image("latest")
    assert repository.tagged("latest") == other.digest


@requirement("end-7b", "tag-param")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("count", [1, 10, 100])
def test_tags_with_a_digest(repository: Repository, algorithm: str, count: int) -> None:
    """`?tag=` makes every tag, OCI-Tag names each, and each remembers the digest pushed by."""
    raw = encode(repository.new_image())
    digest = digest_of(raw, algorithm)
    tags = [f"t{number}" for number in range(count)]
    query = "&".join(f"tag={tag}" for tag in tags)
    answer = put(repository, f"{digest}?{query}", raw).expect(201)
    assert answer["Docker-Content-Digest"] == digest
    named = [tag.strip() for value in answer.all("OCI-Tag") for tag in value.split(",")]
    assert sorted(named) == sorted(tags)
    assert repository.tags() == sorted(tags)
    for tag in tags[:3]:
        assert repository.tagged(tag) == digest


@requirement("end-7b")
def test_plain_tag_after_another_digest(repository: Repository) -> None:
    """A plain push of a tag makes it answer with sha256, whatever it was pushed by before."""
    raw = encode(repository.new_image())
    put(repository, f"{digest_of(raw, 'sha512')}?tag=latest", raw).expect(201)
    put(repository, "latest", raw).expect(201)
    assert repository.tagged("latest") == digest_of(raw)


@requirement("end-7b")
def test_repeated_and_encoded_tags(repository: Repository) -> None:
    """A tag given twice or percent-encoded is one tag."""
    raw = encode(repository.new_image())
    put(repository, f"{digest_of(raw)}?tag=a&tag=a&tag=%62%2Dc&unknown=1", raw).expect(201)
    assert repository.tags() == ["a", "b-c"]


@requirement("end-7b")
@pytest.mark.parametrize("bad", [".x", "a%2Fb", "x" * 129, "sha256:x", ""])
def test_one_bad_tag_refuses_all(repository: Repository, bad: str) -> None:
    """Tags are made together or not at all."""
    raw = encode(repository.new_image())
    put(repository, f"{digest_of(raw)}?tag=good&tag={bad}", raw).expect(400)
    assert repository.tagged("good") is None


@requirement("end-7b")
def test_tags_with_a_wrong_digest(repository: Repository) -> None:
    """A digest mismatch makes no tag."""
    raw = encode(repository.new_image())
    put(repository, f"{absent_digest()}?tag=latest", raw).expect(400, "DIGEST_INVALID")
    assert repository.tagged("latest") is None


@requirement("end-7b")
def test_absurdly_many_tags(repository: Repository) -> None:
    """More tags than anyone needs are 414, and none is made."""
    raw = encode(repository.new_image())
    query = "&".join(f"tag=t{number}" for number in range(1500))
    put(repository, f"{digest_of(raw)}?{query}", raw).expect(414)
    assert repository.tagged("t0") is None


@requirement("end-7a")
@pytest.mark.parametrize(
    ("media_type", "config", "layer"),
    [
        (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER),
        (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER),
        *((OCI_MANIFEST, config, layer) for config, layer in ARTIFACTS),
    ],
)
def test_types_of_content(repository: Repository, media_type: str, config: str, layer: str) -> None:
    """Images of OCI and Docker and every artifact are stored and served as they are."""
    parts = [encode({"id": unique()}), unique().encode()]
    for part in parts:
        repository.push_blob(part)
    document = image_document(describe(parts[0], config), [describe(parts[1], layer)])
    pushed = repository.push_manifest({**document, "mediaType": media_type}, "latest", media_type)
    answer = repository.registry.get(repository.path("manifests/latest")).expect(200)
    assert answer.body == pushed.raw
    assert answer["Content-Type"] == media_type


@requirement("end-7a")
@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_lists_of_images(repository: Repository, media_type: str) -> None:
    """Indexes of OCI and lists of Docker are stored and served as they are."""
    platform = {"architecture": "amd64", "os": "linux"}
    child = repository.push_image().descriptor(platform=platform)
    document = index_document([child], mediaType=media_type)
    pushed = repository.push_manifest(document, "latest", media_type)
    answer = repository.registry.get(repository.path("manifests/latest")).expect(200)
    assert answer.body == pushed.raw
    assert answer["Content-Type"] == media_type


@requirement("end-7a")
def test_withdrawn_artifact_manifest(repository: Repository) -> None:
    """The artifact manifest of the withdrawn release candidate is stored and served."""
    blob = repository.push_blob()
    document = {"mediaType": OCI_ARTIFACT, "artifactType": "application/x.test", "blobs": [blob]}
    pushed = repository.push_manifest(document, "latest")
    answer = repository.registry.get(repository.path("manifests/latest")).expect(200)
    assert answer["Content-Type"] == OCI_ARTIFACT
    assert answer.body == pushed.raw


@requirement("end-7a")
@pytest.mark.parametrize(
    "change",
    [
        {"artifactType": "application/vnd.example.anything"},
        {"layers": []},
        {"config": None, "artifactType": "application/vnd.example.no-config"},
        {"annotations": {"org.example.key": "value \u2713 \U0001f6a2"}},
        {"vendor.example": {"nested": [1, 2.5, None, True]}, "$schema": "x"},
    ],
    ids="+".join,
)
def test_shapes_of_manifests(repository: Repository, change: Json) -> None:
    """Artifacts, no layers, no config, annotations and fields of others are accepted."""
    pushed = repository.push_image("latest", **change)
    assert repository.registry.get(repository.path("manifests/latest")).body == pushed.raw


@requirement("end-7a", "custom-fields")
def test_bytes_are_kept(repository: Repository) -> None:
    """White space, order of keys, escapes and unknown fields are kept to the byte."""
    document = repository.new_image()
    turned = dict(reversed([*document.items(), ("X-\u00e9", "\u2028/")]))
    raw = b" \n" + json.dumps(turned, indent=3).replace("/", "\\/").encode() + b"\r\n\t "
    put(repository, "latest", raw).expect(201)
    answer = repository.registry.get(repository.path("manifests/latest"))
    assert answer.body == raw
    assert answer["Docker-Content-Digest"] == digest_of(raw)


@requirement("end-7a", "data-field")
def test_data_fields(repository: Repository) -> None:
    """A descriptor may carry its content in `data`, and it is not touched."""
    repository.push_blob(b"{}")
    config = describe(b"{}", OCI_EMPTY, data="e30=")
    pushed = repository.push_manifest(image_document(config, [config]), "latest")
    assert repository.registry.get(repository.path("manifests/latest")).body == pushed.raw


@requirement("end-7a", "data-field")
@pytest.mark.parametrize("value", ["e30K", "not base64!", "", 5])
def test_wrong_data_fields(repository: Repository, value: object) -> None:
    """`data` that is not the content it stands for is refused."""
    repository.push_blob(b"{}")
    config = describe(b"{}", OCI_EMPTY, data=value)
    answer = put(repository, "latest", encode(image_document(config, [])))
    answer.expect(400, "MANIFEST_INVALID", "DIGEST_INVALID", "SIZE_INVALID")


@requirement("end-7a")
@pytest.mark.parametrize(
    "content_type", [f"{OCI_MANIFEST}; charset=utf-8", f"{OCI_MANIFEST};x=y", f" {OCI_MANIFEST} "]
)
def test_parameters_of_the_type_are_ignored(repository: Repository, content_type: str) -> None:
    """Parameters of Content-Type are neither refused nor served."""
    put(repository, "latest", encode(repository.new_image()), content_type).expect(201)
    answer = repository.registry.get(repository.path("manifests/latest"))
    assert answer["Content-Type"] == OCI_MANIFEST


@requirement("end-7a")
@pytest.mark.parametrize("named", [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_LIST, None])
@pytest.mark.parametrize("kind", ["image", "index"])
def test_missing_content_type(repository: Repository, named: str | None, kind: str) -> None:
    """Without Content-Type the type is the body's `mediaType`, else that of its shape."""
    document = repository.new_image() if kind == "image" else index_document([])
    is_index = named in (OCI_INDEX, DOCKER_LIST)
    if named and is_index != (kind == "index"):
        document = index_document([]) if is_index else repository.new_image()
    kept = {key: value for key, value in document.items() if key != "mediaType"}
    put(repository, "latest", encode({**kept, "mediaType": named} if named else kept), None).expect(
        201
    )
    answer = repository.registry.get(repository.path("manifests/latest"))
    assert answer["Content-Type"] == (named or (OCI_MANIFEST if kind == "image" else OCI_INDEX))


@requirement("end-7a", "S-70")
@pytest.mark.parametrize(
    "content_type", ["text/html", "application/octet-stream", "image/svg+xml", OCI_CONFIG, "x"]
)
def test_other_content_types(repository: Repository, content_type: str) -> None:
    """Only types of manifests can be pushed as manifests."""
    raw = encode({**repository.new_image(), "mediaType": content_type})
    put(repository, "latest", raw, content_type).expect((400, 415))
    assert repository.tagged("latest") is None


@requirement("end-7a", "S-80")
@pytest.mark.parametrize(
    ("header", "body"),
    [
        (OCI_MANIFEST, DOCKER_MANIFEST),
        (DOCKER_MANIFEST, OCI_MANIFEST),
        (OCI_MANIFEST, OCI_INDEX),
        (OCI_INDEX, OCI_MANIFEST),
        (OCI_MANIFEST, "text/plain"),
        (OCI_MANIFEST, 5),
    ],
)
def test_types_must_agree(repository: Repository, header: str, body: object) -> None:
    """A `mediaType` in the body that is not the Content-Type is refused."""
    raw = encode({**repository.new_image(), "mediaType": body})
    put(repository, "latest", raw, header).expect(400, "MANIFEST_INVALID")


@requirement("end-7a", "S-80")
def test_type_is_fixed_by_the_first_push(repository: Repository) -> None:
    """The same bytes can not be pushed later as something else."""
    raw = encode({"schemaVersion": 2, "manifests": []})
    put(repository, "latest", raw, OCI_INDEX).expect(201)
    put(repository, "latest", raw, DOCKER_LIST).expect(400, "MANIFEST_INVALID")
    answer = repository.registry.get(repository.path("manifests/latest"))
    assert answer["Content-Type"] == OCI_INDEX


@requirement("schema1")
@pytest.mark.parametrize(
    "content_type",
    [DOCKER_SCHEMA1, DOCKER_SCHEMA1.replace("+json", "+prettyjws"), OCI_MANIFEST, None],
)
def test_schema1_is_refused(repository: Repository, content_type: str | None) -> None:
    """Docker's schema 1 is refused in words that say so."""
    repository.push_blob()
    raw = encode(
        {
            "schemaVersion": 1,
            "name": repository.name,
            "tag": "latest",
            "fsLayers": [],
            "history": [],
        }
    )
    answer = put(repository, "latest", raw, content_type)
    answer.expect(400, "MANIFEST_INVALID", "UNSUPPORTED")
    assert "schema" in answer.message.lower()


@requirement("S-57")
def test_encoded_manifest_is_refused(repository: Repository) -> None:
    """A manifest with a Content-Encoding is refused, never decoded."""
    raw = encode(repository.new_image())
    headers = {"Content-Type": OCI_MANIFEST, "Content-Encoding": "gzip"}
    path = repository.path("manifests/latest")
    repository.registry.put(path, gzip.compress(raw), headers).expect((400, 415))
    assert repository.tagged("latest") is None
