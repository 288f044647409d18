"""Large manifests that are nothing but large: what bounds bombs must let them pass."""

import json

import pytest

from moorage.oci.digest import digest_of
from moorage.oci.manifest import MAX_DESCRIPTORS, parse_manifest

LIMIT = 4 << 20


def test_an_index_with_all_that_descriptors_may_have() -> None:
    """As many as are allowed, each with its platform and ten annotations: 3.9 MB."""
    described = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest_of(b"{}"),
        "size": 2,
        "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
        "annotations": {f"org.opencontainers.image.k{key}": "value" * 4 for key in range(10)},
    }
    raw = json.dumps(
        {"schemaVersion": 2, "manifests": [described] * MAX_DESCRIPTORS}, separators=(",", ":")
    ).encode()
    assert len(raw) < LIMIT
    assert len(parse_manifest(raw, "").manifests) == MAX_DESCRIPTORS


@pytest.mark.parametrize("text", ["a,b:", "{}", "[[", '\\"', "\\\\", "é"])
def test_a_text_may_have_what_bombs_are_made_of(text: str) -> None:
    """Tools keep whole JSON documents and tables in annotations: a text is one value."""
    annotation = text * (1_000_000 // len(text.encode()))
    raw = json.dumps({"schemaVersion": 2, "manifests": [], "annotations": {"a": annotation}})
    assert parse_manifest(raw.encode(), "").annotations == {"a": annotation}
