"""What each client sends, in its order, checked for what that client is strict about."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from registry import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Answer,
    Repository,
    absent_digest,
    describe,
    digest_of,
    encode,
    image_document,
    index_document,
    next_link,
    requirement,
    unique,
    with_query,
)

DOCKER_ACCEPTS = [
    ("Accept", media_type)
    for media_type in (DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX, "application/json")
]
CODINGS = {"Accept-Encoding": "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5"}
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def docker_range(answer: Answer) -> int:
    """Read Range as docker's `Sscanf("%d-%d")` does and return its end."""
    match = re.match(r"(\d+)-(\d+)", answer["Range"])
    assert match, answer["Range"]
    assert match[1] == "0"
    return int(match[2])


def new_content() -> tuple[bytes, bytes]:
    """Return a config and a layer."""
    return encode({"architecture": "amd64", "os": "linux", "id": unique()}), unique().encode() * 50


def put_whole(repository: Repository, content: bytes) -> Answer:
    """Push a blob as containerd does: POST, then one PUT with the whole body."""
    answer = repository.registry.post(repository.path("blobs/uploads/"), b"")
    assert answer.status in (200, 202, 204)
    target = with_query(answer["Location"], digest=digest_of(content))
    headers = {"Content-Type": "application/octet-stream"}
    return repository.registry.put(target, content, headers)


@requirement("docker-28", "Q-07")
def test_docker_28_pushes_a_layer(repository: Repository) -> None:
    """docker ≤ 28: HEAD, POST, PATCH in chunks, PUT; reads Range and takes each new Location."""
    registry, (_, layer) = repository.registry, new_content()
    digest = digest_of(layer)
    registry.get("/v2/").expect(200)
    registry.head(repository.path(f"blobs/{digest}")).expect(404)
    opened = registry.post(repository.path("blobs/uploads/"), b"").expect(202)
    assert opened["Docker-Upload-UUID"]
    pieces = [layer[start : start + 100] for start in range(0, len(layer), 100)]
    patched = registry.patch(opened["Location"], pieces).expect(202)
    assert docker_range(patched) == len(layer) - 1
    assert patched["Docker-Upload-UUID"] == opened["Docker-Upload-UUID"]
    target = with_query(patched["Location"], digest=digest)
    assert registry.put(target, b"").expect(201)["Docker-Content-Digest"] == digest
    head = registry.head(repository.path(f"blobs/{digest}")).expect(200)
    assert head["Content-Length"] == str(len(layer))


@requirement("docker-28")
def test_docker_28_pushes_and_pulls_an_image(repository: Repository) -> None:
    """docker ≤ 28: a schema 2 manifest by tag, whose digest it compares, and pulls by digest."""
    registry, (config, layer) = repository.registry, new_content()
    for content in (config, layer):
        put_whole(repository, content).expect(201)
    parts = describe(config, DOCKER_CONFIG), [describe(layer, DOCKER_LAYER)]
    raw = encode(image_document(*parts, mediaType=DOCKER_MANIFEST))
    path = repository.path("manifests/latest")
    pushed = registry.put(path, raw, {"Content-Type": DOCKER_MANIFEST}).expect(201)
    assert pushed["Docker-Content-Digest"] == digest_of(raw)
    pulled = registry.get(path, DOCKER_ACCEPTS).expect(200)
    assert pulled["Docker-Content-Digest"] == digest_of(pulled.body) == digest_of(raw)
    assert pulled["Content-Type"] == DOCKER_MANIFEST
    for content in (config, layer):
        answer = registry.get(repository.path(f"blobs/{digest_of(content)}")).expect((200, 307))
        assert answer.status == 307 or answer.body == content


@requirement("docker-28")
def test_docker_28_mounts(repository: Repository) -> None:
    """docker ≤ 28: a mount is 201, or a session with a Location that it goes on with."""
    source = repository.registry.repository()
    digest = source.push_blob()["digest"]
    path = repository.path(f"blobs/uploads/?from={source.name.replace('/', '%2F')}&mount=")
    repository.registry.post(path + digest.replace(":", "%3A"), b"").expect(201)
    fallback = repository.registry.post(path + absent_digest(), b"").expect(202)
    assert fallback["Location"]
    assert fallback["Docker-Upload-UUID"]


@requirement("containerd", "docker-29")
def test_containerd_pushes_an_index(repository: Repository) -> None:
    """docker ≥ 29, containerd, buildkit: whole PUTs, children by digest, then the index by tag."""
    registry, (config, layer) = repository.registry, new_content()
    manifest = encode(
        image_document(
            describe(config, "application/vnd.oci.image.config.v1+json"),
            [describe(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
        )
    )
    path = repository.path(f"manifests/{digest_of(manifest)}")
    registry.head(path, {"Accept": f"{OCI_MANIFEST}, */*"}).expect(404)
    for content in (config, layer):
        headers = {"Accept": "application/vnd.oci.image.layer.v1.tar+gzip, */*"}
        registry.head(repository.path(f"blobs/{digest_of(content)}"), headers).expect(404)
        assert put_whole(repository, content).status in (200, 201, 204)
    registry.put(path, manifest, {"Content-Type": OCI_MANIFEST}).expect((200, 201, 204))
    platform = {"architecture": "unknown", "os": "unknown"}
    kind = {"vnd.docker.reference.type": "attestation-manifest"}
    children = [
        describe(manifest, OCI_MANIFEST, platform={"architecture": "amd64", "os": "linux"}),
        describe(b"absent", OCI_MANIFEST, platform=platform, annotations=kind),
    ]
    index = repository.push_manifest(index_document(children), "latest?ns=docker.io")
    assert repository.tagged("latest") == index.digest


@requirement("containerd")
def test_containerd_pulls(repository: Repository) -> None:
    """containerd: HEAD of the tag has digest, length and type; then by digest, always with `ns`."""
    registry, image = repository.registry, repository.push_image("latest")
    accept = {"Accept": f"{DOCKER_MANIFEST}, {DOCKER_LIST}, {OCI_MANIFEST}, {OCI_INDEX}, */*"}
    head = registry.head(repository.path("manifests/latest?ns=docker.io"), accept).expect(200)
    assert head["Docker-Content-Digest"] == image.digest
    assert head["Content-Length"] == str(len(image.raw))
    assert head["Content-Type"] == OCI_MANIFEST
    target = repository.path(f"manifests/{image.digest}?ns=docker.io")
    assert registry.get(target, {**accept, **CODINGS}).expect(200).body == image.raw


@requirement("containerd")
def test_containerd_falls_back_to_blobs(repository: Repository) -> None:
    """containerd: what it does not find as a manifest it asks for as a blob, by the same digest."""
    registry, content = repository.registry, unique().encode()
    digest = repository.push_blob(content)["digest"]
    registry.get(repository.path(f"manifests/{digest}?ns=x.example")).expect(404)
    assert registry.get(repository.path(f"blobs/{digest}?ns=x.example")).body == content


@requirement("containerd")
def test_containerd_fetches_in_parallel(repository: Repository) -> None:
    """containerd ≥ 2.1: pieces of a layer by open ranges, with an idle Accept-Encoding."""
    content = bytes(range(256)) * 4096
    path = repository.path(f"blobs/{repository.push_blob(content)['digest']}")

    def fetch(start: int) -> bytes:
        answer = repository.registry.get(path, {"Range": f"bytes={start}-", **CODINGS}).expect(206)
        assert answer["Content-Range"] == f"bytes {start}-{len(content) - 1}/{len(content)}"
        assert answer.get("Content-Encoding") is None
        return answer.body[: 1 << 18]

    with ThreadPoolExecutor(4) as pool:
        assert b"".join(pool.map(fetch, range(0, len(content), 1 << 18))) == content


@requirement("podman", "skopeo", "Q-08")
def test_podman_pushes(repository: Repository) -> None:
    """podman, buildah, skopeo: POST is 202, PATCH streams without Content-Range, PUT is 201."""
    registry, (_, layer) = repository.registry, new_content()
    path = repository.path(f"blobs/{digest_of(layer)}")
    registry.head(path).expect(404)
    location = registry.post(repository.path("blobs/uploads/"), b"").expect(202)["Location"]
    headers = {"Content-Type": "application/octet-stream"}
    location = registry.patch(location, [layer], headers).expect(202)["Location"]
    registry.put(with_query(location, digest=digest_of(layer)), b"", headers).expect(201)
    assert registry.head(path).expect(200)["Content-Length"] == str(len(layer))


@requirement("podman", "end-14")
def test_podman_cancels_a_mount(repository: Repository) -> None:
    """podman: a mount that became an upload is cancelled with 204."""
    query = f"mount={absent_digest()}&from={unique('a/')}"
    answer = repository.registry.post(repository.path(f"blobs/uploads/?{query}"), b"").expect(202)
    repository.registry.delete(answer["Location"]).expect(204)


@requirement("podman", "multi-range")
def test_podman_pulls_parts(repository: Repository) -> None:
    """podman: several ranges of a zstd:chunked layer, with a boundary that is not quoted."""
    content = bytes(range(256)) * 100
    path = repository.path(f"blobs/{repository.push_blob(content)['digest']}")
    answer = repository.registry.get(path, {"Range": "bytes=0-99,500-599,25000-25599"}).expect(206)
    match = re.fullmatch(r"multipart/byteranges; boundary=([A-Za-z0-9:-]+)", answer["Content-Type"])
    assert match
    assert answer.body.count(f"--{match[1]}".encode()) == 4
    assert content[500:600] in answer.body


@requirement("skopeo")
def test_skopeo_deletes(repository: Repository) -> None:
    """skopeo: HEAD of the tag gives the digest, which is deleted with 202."""
    repository.push_image("latest")
    head = repository.registry.head(repository.path("manifests/latest"), DOCKER_ACCEPTS).expect(200)
    path = repository.path(f"manifests/{head['Docker-Content-Digest']}")
    repository.registry.delete(path).expect(202)
    assert repository.tagged("latest") is None


@requirement("crane", "ko", "cosign", "kaniko")
def test_crane_pushes(repository: Repository) -> None:
    """crane: an empty POST of type JSON, PATCH, PUT 201, and addresses on the same host."""
    registry, (_, layer) = repository.registry, new_content()
    opened = registry.post(
        repository.path("blobs/uploads/"), b"", {"Content-Type": "application/json"}
    ).expect(202)
    location = registry.patch(opened["Location"], layer).expect(202)["Location"]
    assert location.startswith("/v2/")
    registry.put(with_query(location, digest=digest_of(layer)), b"").expect(201)


@requirement("crane")
def test_crane_reads_heads(repository: Repository) -> None:
    """crane: HEAD of a manifest has type, length and digest; tags come in pages."""
    image = repository.push_image("a")
    repository.push_manifest(image.raw, "b")
    head = repository.registry.head(repository.path("manifests/a")).expect(200)
    assert head["Content-Type"] == OCI_MANIFEST
    assert head["Content-Length"] == str(len(image.raw))
    assert head["Docker-Content-Digest"] == image.digest
    page = repository.registry.get(repository.path("tags/list?n=1")).expect(200)
    target = next_link(page)
    assert target is not None
    assert repository.registry.get(target).json()["tags"] == ["b"]


@requirement("cosign", "Q-17", "Q-23")
def test_cosign_signs(repository: Repository) -> None:
    """cosign ≥ 3: a bundle that refers to the image; before that a tag made of the digest."""
    image = repository.push_image("latest")
    bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
    signed = repository.push_artifact(image.descriptor(), bundle)
    path = repository.path(f"referrers/{image.digest}")
    answer = repository.registry.get(path).expect((200, 404, 400, 406))
    assert [each["digest"] for each in answer.json()["manifests"]] == [signed.digest]
    old = repository.push_image(image.digest.replace(":", "-") + ".sig")
    assert repository.tagged(image.digest.replace(":", "-") + ".sig") == old.digest


@requirement("oras", "Q-17", "Q-27")
def test_oras_pushes_an_artifact(repository: Repository) -> None:
    """oras: POST is 202, PUT 201, and the ping of referrers on a digest of zeros is 200."""
    registry = repository.registry
    zeros = "sha256:" + "0" * 64
    assert registry.get(repository.path(f"referrers/{zeros}"))["Content-Type"] == OCI_INDEX
    put_whole(repository, b"{}").expect(201)
    layer = unique().encode()
    put_whole(repository, layer).expect(201)
    document = image_document(
        describe(b"{}", OCI_EMPTY), [describe(layer, "text/plain")], artifactType="x.test/y"
    )
    pushed = repository.push_manifest(document)
    answer = registry.get(repository.path(f"manifests/{pushed.digest}"), {"Accept": OCI_MANIFEST})
    assert answer.expect(200)["Docker-Content-Digest"] == pushed.digest
    blob = registry.get(repository.path(f"blobs/{digest_of(layer)}")).expect(200)
    assert blob["Accept-Ranges"] == "bytes"
    assert int(blob["Content-Length"]) == len(layer)


@requirement("oras")
def test_oras_tells_a_missing_repository(repository: Repository) -> None:
    """oras: the tags of a repository that is not there are 404 NAME_UNKNOWN."""
    repository.registry.get(repository.path("tags/list?n=10")).expect(404, "NAME_UNKNOWN")


@requirement("helm")
def test_helm_pushes_a_chart(repository: Repository) -> None:
    """helm: a chart's config and content, a tag with `_` for `+`, and a list of tags."""
    config, chart = encode({"name": "chart", "version": "1.0.0+build", "id": unique()}), b"chart"
    for content in (config, chart):
        put_whole(repository, content).expect(201)
    document = image_document(
        describe(config, HELM_CONFIG),
        [describe(chart, HELM_CHART)],
        annotations={"org.opencontainers.image.version": "1.0.0+build"},
    )
    pushed = repository.push_manifest(document, "1.0.0_build")
    assert repository.tags() == ["1.0.0_build"]
    assert repository.tagged("1.0.0_build") == pushed.digest


@requirement("regclient", "end-11-anonymous")
def test_regclient_mounts_first(repository: Repository) -> None:
    """regclient: an anonymous mount before every blob, whose session it then fills in one PUT."""
    content = unique().encode()
    query = f"mount={digest_of(content)}&digest-algorithm=sha256"
    answer = repository.registry.post(repository.path(f"blobs/uploads/?{query}"), b"").expect(202)
    assert re.fullmatch(r"\d+", answer.get("OCI-Chunk-Min-Length") or "0")
    target = with_query(answer["Location"], digest=digest_of(content))
    repository.registry.put(target, content).expect(201)


@requirement("regclient", "empty-session")
def test_regclient_resumes(repository: Repository) -> None:
    """regclient: goes on after a refused chunk where Range says, at byte 0 of an empty session."""
    registry, content = repository.registry, unique().encode() * 10
    location = repository.begin()
    for misplaced, kept in ((50, 0), (100, 60), (0, 120)):
        chunk = content[misplaced : misplaced + 60]
        claim = {"Content-Range": f"{misplaced}-{misplaced + 59}"}
        refused = registry.patch(location, chunk, claim).expect(416)
        following = int(refused["Range"].partition("-")[2]) + 1
        assert following == kept
        chunk = content[following : following + 60]
        claim = {"Content-Range": f"{following}-{following + len(chunk) - 1}"}
        location = registry.patch(refused["Location"], chunk, claim).expect(202)["Location"]
    target = with_query(location, digest=digest_of(content))
    registry.put(target, content[180:]).expect(201)


@requirement("buildkit")
def test_buildkit_cache(repository: Repository) -> None:
    """buildkit: a cache is an index of layers and of a config that are blobs, pulled by digest."""
    layer = repository.push_blob(unique().encode())
    config = encode({"layers": [{"blob": layer["digest"]}], "records": []})
    repository.push_blob(config)
    kind = "application/vnd.buildkit.cacheconfig.v0"
    pushed = repository.push_manifest(index_document([layer, describe(config, kind)]), "cache")
    assert repository.tagged("cache") == pushed.digest
    path = repository.path(f"blobs/{digest_of(config)}")
    assert repository.registry.get(path).expect(200).body == config


@requirement("kubelet")
def test_mirror_of_docker_hub(repository: Repository) -> None:
    """containerd as a mirror of Docker Hub: what is not here is 404, so that it goes upstream."""
    registry = repository.registry
    target = f"/v2/library/{unique()}/manifests/latest?ns=docker.io"
    registry.head(target).expect(404)
    registry.get(target).expect(404)
