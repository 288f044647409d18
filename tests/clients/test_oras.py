"""The oras library: files, charts, signatures and everything else that is not an image."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from oras.oci import Subject

from clients.copiers import Oras
from clients.images import name_of
from registry import Repository, digest_of

CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json"
CHART_CONTENT = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def push(oras: Oras, target: str, *files: str, **options: object) -> str:
    """Push files and return the digest of their manifest."""
    answer = oras.client.push(target, files=list(files), disable_path_validation=True, **options)
    return digest_of(answer.request.body)


def file(directory: Path, name: str, content: bytes) -> Path:
    """Write a file."""
    (directory / name).write_bytes(content)
    return directory / name


def pulled(oras: Oras, target: str, directory: Path) -> dict[str, bytes]:
    """Pull an artifact and return its files."""
    files = [Path(name) for name in oras.client.pull(target, outdir=str(directory))]
    return {each.name: each.read_bytes() for each in files}


@pytest.mark.parametrize("chunked", [False, True])
def test_files_come_back_as_they_were(
    oras: Oras, repository: Repository, tmp_path: Path, chunked: bool
) -> None:
    """Files are pushed whole or in chunks, an empty one among them, and pulled by name."""
    content = {"model.bin": secrets.token_bytes(5_000_001), "notes.txt": b"notes\n", "empty": b""}
    files = [f"{file(tmp_path, name, raw)}:text/plain" for name, raw in content.items()]
    options = {"do_chunked": chunked, "chunk_size": 1_000_000}
    digest = push(oras, name_of(repository), *files, **options)
    assert repository.tagged("1") == digest
    assert pulled(oras, name_of(repository), tmp_path / "back") == content
    by_digest = f"{name_of(repository).rpartition(':')[0]}@{digest}"
    assert pulled(oras, by_digest, tmp_path / "by-digest") == content


def test_a_blob_of_no_bytes_is_a_blob(repository: Repository) -> None:
    """The empty blob is stored and served like any other."""
    repository.push_blob(b"")
    assert repository.blob(digest_of(b"")) == b""
    answer = repository.registry.head(repository.path(f"blobs/{digest_of(b'')}")).expect(200)
    assert answer["Content-Length"] == "0"
    assert repository.has_blob(digest_of(b""))


def test_a_chart_keeps_its_types(oras: Oras, repository: Repository, tmp_path: Path) -> None:
    """A Helm chart is configuration and content of its own types, and its `+` a `_` in the tag."""
    config = file(tmp_path, "Chart.json", b'{"name":"shop","version":"1.4.2+7","apiVersion":"v2"}')
    chart = file(tmp_path, "shop-1.4.2+7.tgz", secrets.token_bytes(4096))
    push(
        *(oras, name_of(repository, "1.4.2_7"), f"{chart}:{CHART_CONTENT}"),
        manifest_config=f"{config}:{CHART_CONFIG}",
    )
    manifest = oras.client.get_manifest(name_of(repository, "1.4.2_7"))
    assert manifest["config"]["mediaType"] == CHART_CONFIG
    assert [layer["mediaType"] for layer in manifest["layers"]] == [CHART_CONTENT]
    config_file = tmp_path / "config"
    oras.client.download_blob(name_of(repository), manifest["config"]["digest"], str(config_file))
    assert config_file.read_bytes() == config.read_bytes()
    layer = tmp_path / "chart"
    oras.client.download_blob(name_of(repository), manifest["layers"][0]["digest"], str(layer))
    assert layer.read_bytes() == chart.read_bytes()


def test_a_signature_is_found_by_its_subject(
    oras: Oras, repository: Repository, tmp_path: Path
) -> None:
    """What is pushed with a subject is listed among the subject's referrers."""
    image = repository.push_image("1")
    subject = Subject(image.media_type, image.digest, len(image.raw))
    bundle = file(tmp_path, "bundle.json", b'{"signed":true}')
    kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
    annotations = {"org.example.signer": "ci"}
    digest = push(
        *(oras, name_of(repository, "signature"), f"{bundle}:{kind}"),
        subject=subject,
        manifest_annotations=annotations,
    )
    referrers = repository.registry.get(repository.path(f"referrers/{image.digest}")).expect(200)
    [found] = referrers.json()["manifests"]
    assert (found["digest"], found["annotations"]) == (digest, annotations)
    oras.client.delete_tag(name_of(repository), "signature")
    after = repository.registry.get(repository.path(f"referrers/{image.digest}")).expect(200)
    assert after.json()["manifests"] == []
    assert repository.tagged("1") == image.digest


def test_a_signature_by_tag_goes_with_its_image(
    oras: Oras, repository: Repository, tmp_path: Path
) -> None:
    """The older scheme names a signature by a tag made of the image's digest."""
    image = repository.push_image("1")
    tag = image.digest.replace(":", "-") + ".sig"
    payload = file(tmp_path, "payload", b'{"critical":{"type":"cosign container image signature"}}')
    kind = "application/vnd.dev.cosign.simplesigning.v1+json"
    push(oras, name_of(repository, tag), f"{payload}:{kind}")
    assert repository.tags() == ["1", tag]
    assert pulled(oras, name_of(repository, tag), tmp_path / "back") == {
        "payload": payload.read_bytes()
    }


def test_tags_are_listed_page_by_page(oras: Oras, repository: Repository, tmp_path: Path) -> None:
    """The library follows the links from page to page."""
    note = file(tmp_path, "note", b"note")
    tags = [f"v{number}" for number in range(7)]
    for tag in tags:
        push(oras, name_of(repository, tag), f"{note}:text/plain")
    container = oras.client.get_container(name_of(repository))
    assert oras.client.get_tags(container) == tags
    assert oras.client.get_tags(container, N=2) == tags[:2]
    path = repository.path("tags/list?n=3")
    assert repository.registry.get(path).expect(200).json()["tags"] == tags[:3]


def test_an_artifact_is_deleted(oras: Oras, repository: Repository, tmp_path: Path) -> None:
    """A deletion takes the artifact away and leaves the others."""
    for tag in ("going", "staying"):
        push(oras, name_of(repository, tag), f"{file(tmp_path, tag, tag.encode())}:text/plain")
    assert oras.client.delete_tag(name_of(repository), "going")
    assert oras.client.get_tags(name_of(repository)) == ["staying"]
    assert not oras.client.delete_tag(name_of(repository), "going")
    with pytest.raises(ValueError, match="Not Found"):
        oras.client.pull(name_of(repository, "going"), outdir=str(tmp_path / "none"))


def test_a_directory_is_packed_and_unpacked(
    oras: Oras, repository: Repository, tmp_path: Path
) -> None:
    """A directory travels as one layer and is a directory again after the pull."""
    source = tmp_path / "chart"
    source.mkdir()
    file(source, "values.yaml", b"replicas: 2\n")
    push(oras, name_of(repository), str(source))
    oras.client.pull(name_of(repository), outdir=str(tmp_path / "back"))
    assert (tmp_path / "back/chart/values.yaml").read_bytes() == b"replicas: 2\n"
