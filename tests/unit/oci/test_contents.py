"""What a stored manifest lists, with platforms and annotations, and what kind it is."""

import json
from typing import Any

import pytest

from moorage.oci import media_types
from moorage.oci.contents import read_contents, read_listed
from moorage.oci.kinds import kind_of, kind_of_tag, platform_text

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def listed(digest: str = DIGEST, **more: Any) -> dict[str, Any]:
    return {"mediaType": "x/y", "digest": digest, "size": 7, **more}


def test_platforms_and_annotations() -> None:
    platform = {"os": "linux", "architecture": "arm", "variant": "v7"}
    raw = json.dumps(
        {"manifests": [listed(platform=platform), listed()], "annotations": {"a": "b"}}
    )
    found = read_contents(raw.encode())
    assert [each.platform for each in found.manifests] == ["linux/arm/v7", ""]
    assert found.annotations == {"a": "b"}
    assert found.size == 0


def test_a_blob_that_is_named_twice_is_counted_once() -> None:
    raw = json.dumps({"config": listed(OTHER), "layers": [listed(), listed(), listed(OTHER)]})
    assert read_contents(raw.encode()).size == 14


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"\xff", b'{"layers": 7}', b"[" * 200_000, b'{"manifests":' + b"[" * 200_000],
)
def test_what_can_not_be_read_lists_nothing(raw: bytes) -> None:
    assert read_contents(raw).layers == ()
    assert read_listed(raw) is None


def test_odd_parts_are_as_if_they_were_not_there() -> None:
    raw = json.dumps({"manifests": [listed(platform=[], annotations={"a": 7})], "annotations": 7})
    (found,) = read_contents(raw.encode()).manifests
    assert (found.platform, found.annotations, found.attests) == ("", {}, "")


@pytest.mark.parametrize(
    ("media_type", "artifact_type", "layers", "kind"),
    [
        (media_types.OCI_INDEX, "", (), "index"),
        (media_types.OCI_MANIFEST, "application/vnd.oci.image.config.v1+json", (), "image"),
        (
            media_types.DOCKER_MANIFEST,
            "application/vnd.docker.container.image.v1+json",
            (),
            "image",
        ),
        (media_types.OCI_MANIFEST, "application/vnd.cncf.helm.config.v1+json", (), "chart"),
        (media_types.OCI_MANIFEST, "application/vnd.cncf.notary.signature", (), "signature"),
        (
            media_types.OCI_MANIFEST,
            "application/vnd.oci.image.config.v1+json",
            ("application/vnd.dev.cosign.simplesigning.v1+json",),
            "signature",
        ),
        (media_types.OCI_MANIFEST, "application/spdx+json", (), "sbom"),
        (media_types.OCI_MANIFEST, "application/vnd.cyclonedx+json", (), "sbom"),
        (media_types.OCI_MANIFEST, "application/vnd.in-toto+json", (), "provenance"),
        (media_types.OCI_MANIFEST, "application/vnd.wasm.config.v0+json", (), "wasm"),
        (media_types.OCI_MANIFEST, "application/x", (), "artifact"),
    ],
)
def test_kinds(media_type: str, artifact_type: str, layers: tuple[str, ...], kind: str) -> None:
    assert kind_of(media_type, artifact_type, layers) == kind


def test_tags_of_cosign_say_what_they_are() -> None:
    assert kind_of_tag(f"sha256-{'a' * 64}.sig") == "signature"
    assert kind_of_tag(f"sha256-{'a' * 64}.att") == "provenance"
    assert kind_of_tag("v1.sig") == ""


def test_platforms_as_people_write_them() -> None:
    assert platform_text("linux", "amd64") == "linux/amd64"
    assert platform_text("unknown", "unknown") == ""
