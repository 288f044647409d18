"""The manifest parser: tables of documents, anything at all, and bombs."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cases.load import cases
from moorage.errors import ManifestInvalid
from moorage.oci import media_types
from moorage.oci.digest import digest_of
from moorage.oci.manifest import MAX_DEPTH, MAX_DESCRIPTORS, parse_manifest

EMPTY = digest_of(b"{}")
DESCRIPTOR = f'{{"mediaType":"application/octet-stream","digest":"{EMPTY}","size":2}}'
LIMIT = 4 << 20
LONGEST_SECONDS = 0.2

NAMES = (
    "schemaVersion mediaType artifactType config layers manifests blobs subject annotations "
    "digest size urls data platform Layers"
)
KEYS = st.sampled_from(NAMES.split())
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([EMPTY, "e30=", 2, *sorted(media_types.MANIFESTS | media_types.SCHEMA_1)])
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), children)
    ),
    max_leaves=20,
)
TYPES = st.sampled_from(["", "application/json", *sorted(media_types.MANIFESTS)]) | st.text()


def document(text: str) -> bytes:
    """Return a document of the tables as it is sent."""
    return text.replace("@", DESCRIPTOR).replace("#", EMPTY).encode()


@pytest.mark.parametrize("case", cases("manifests", "accepted"))
def test_accepted(case: dict[str, Any]) -> None:
    manifest = parse_manifest(document(case["body"]), case.get("type", ""))
    assert manifest.media_type == case["media_type"]
    assert len(manifest.layers) == case.get("layers", 0)
    assert len(manifest.manifests) == case.get("manifests", 0)
    assert (manifest.subject is not None) == case.get("subject", False)
    if "artifact_type" in case:
        assert manifest.artifact_type == case["artifact_type"]


@pytest.mark.parametrize("body", cases("manifests", "refused"))
def test_refused(body: str) -> None:
    with pytest.raises(ManifestInvalid) as refused:
        parse_manifest(document(body), "")
    assert len(refused.value.message) < 400
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("types", cases("manifests", "contradictions"))
def test_type_and_body_must_agree(types: tuple[str, str]) -> None:
    sent, own = types
    body = f'{{"schemaVersion":2,"mediaType":"{own}","config":@,"layers":[]}}'
    with pytest.raises(ManifestInvalid):
        parse_manifest(document(body), sent)


@pytest.mark.parametrize(
    "raw", [b"\xff", b'{"a":"\xff"}', b"\xfe\xff\0{\0}", b'{"a":"\xed\xa0\x80"}']
)
def test_not_utf_8(raw: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(raw, "")


def test_what_it_finds() -> None:
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"mediaType": "application/x-config", "digest": EMPTY, "size": 2},
            "layers": [
                {
                    "mediaType": "application/x-layer",
                    "artifactType": "application/x-own",
                    "digest": EMPTY,
                    "size": 2,
                    "urls": ["https://elsewhere.example/layer"],
                    "annotations": {"a": "b"},
                    "platform": {"os": "linux"},
                }
            ],
            "annotations": {"org.example": "grün \u2028"},
        }
    ).encode()
    manifest = parse_manifest(raw, media_types.OCI_MANIFEST)
    layer = manifest.layers[0]
    assert manifest.artifact_type == "application/x-config"
    assert (layer.media_type, layer.artifact_type) == ("application/x-layer", "application/x-own")
    assert (layer.digest, layer.size) == (EMPTY, 2)
    assert layer.may_be_absent
    assert manifest.config is not None
    assert not manifest.config.may_be_absent
    assert manifest.annotations == {"org.example": "grün \u2028"}


@given(st.binary(max_size=200), TYPES)
def test_any_bytes(raw: bytes, content_type: str) -> None:
    try:
        parse_manifest(raw, content_type)
    except ManifestInvalid:
        return


@settings(max_examples=200)
@given(DOCUMENTS, TYPES)
@example({"schemaVersion": 2, "layers": [{"digest": EMPTY, "size": 2, "data": "é"}]}, "")
@example({"schemaVersion": 2, "manifests": [], "annotations": {"\ud800": "\udfff"}}, "")
@example({"schemaVersion": 2, "layers": [{"digest": "\ud800", "size": 2}]}, "")
def test_any_document(value: object, content_type: str) -> None:
    raw = json.dumps(value).encode()
    try:
        parse_manifest(raw, content_type)
    except ManifestInvalid:
        return


@settings(max_examples=100)
@given(st.dictionaries(KEYS, DOCUMENTS), st.sampled_from(["layers", "manifests"]))
def test_nearly_a_manifest(fields: dict[str, Any], kind: str) -> None:
    body = {"schemaVersion": 2, kind: [{"digest": EMPTY, "size": 2, **fields}], **fields}
    try:
        parse_manifest(json.dumps(body).encode(), "")
    except ManifestInvalid:
        return


def nested(depth: int) -> bytes:
    """Return an index with lists in lists, the document itself counted."""
    inner = b"[" * (depth - 1) + b"]" * (depth - 1)
    return b'{"schemaVersion":2,"manifests":[],"a":' + inner + b"}"


def test_depth() -> None:
    assert parse_manifest(nested(MAX_DEPTH), "")
    with pytest.raises(ManifestInvalid):
        parse_manifest(nested(MAX_DEPTH + 1), "")


def test_number_of_descriptors() -> None:
    def listing(count: int) -> bytes:
        return document('{"schemaVersion":2,"manifests":[' + ",".join("@" * count) + "]}")

    assert len(parse_manifest(listing(MAX_DESCRIPTORS), "").manifests) == MAX_DESCRIPTORS
    with pytest.raises(ManifestInvalid):
        parse_manifest(listing(MAX_DESCRIPTORS + 1), "")


def filled(start: bytes, unit: bytes, end: bytes) -> bytes:
    """Return a document of 4 MiB: the unit over and over between its start and its end."""
    return start + unit * ((LIMIT - len(start) - len(end)) // len(unit)) + end


INDEX = b'{"schemaVersion":2,"manifests":[],"a":['
BOMBS = {
    "lists in lists": b"[" * LIMIT,
    "objects in objects": filled(b"", b'{"a":', b""),
    "empty objects": filled(INDEX, b"{},", b"{}]}"),
    "empty lists": filled(INDEX, b"[],", b"[]]}"),
    "shallow nests": filled(INDEX, b"[[[[[[[[[[]]]]]]]]]],", b"[]]}"),
    "small objects": filled(INDEX, b'{"a":1},', b"{}]}"),
    "small numbers": filled(INDEX, b"1,", b"1]}"),
    "longest numbers": filled(INDEX, b"9" * 4_300 + b",", b"1]}"),
    "a number of 10^5 digits": b'{"schemaVersion":' + b"2" * 100_000 + b"}",
    "layers that are none": filled(b'{"schemaVersion":2,"layers":[', b"{},", b"{}]}"),
    "descriptors": filled(
        b'{"schemaVersion":2,"layers":[', DESCRIPTOR.encode() + b",", DESCRIPTOR.encode() + b"]}"
    ),
    "keys": INDEX[:-1] + b"{" + b",".join(b'"%d":1' % key for key in range(380_000)) + b"}}",
    "escapes": filled(INDEX + b'"', b"\\u00e9", b'"]}'),
}


@pytest.mark.parametrize("raw", [pytest.param(raw, id=title) for title, raw in BOMBS.items()])
def test_bombs(raw: bytes) -> None:
    """The best of three, since others use the machine as well."""
    assert len(raw) <= LIMIT
    best = LONGEST_SECONDS
    for _ in range(3):
        began = time.process_time()
        with contextlib.suppress(ManifestInvalid):
            parse_manifest(raw, "")
        best = min(best, time.process_time() - began)
        if best < LONGEST_SECONDS:
            break
    assert best < LONGEST_SECONDS


def test_the_largest_annotation() -> None:
    """What the conformance suite pushes: nearly 4 MB of annotations."""
    raw = filled(b'{"schemaVersion":2,"manifests":[],"annotations":{"a":"', b"x", b'"}}')
    assert len(parse_manifest(raw, "").annotations["a"]) > 4_000_000
