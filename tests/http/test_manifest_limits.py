"""What is no manifest: strict JSON, bounded size, one reading only."""

from __future__ import annotations

import json
import time

import pytest

from registry import OCI_INDEX, OCI_MANIFEST, Answer, Json, Repository, encode, requirement

LIMIT = 4 * 1024 * 1024

# `@` stands for the members of a valid image manifest.
NOT_A_MANIFEST = {
    "empty": b"",
    "space": b"  ",
    "array": b"[]",
    "string": b'"{}"',
    "number": b"5",
    "null": b"null",
    "bom": b"\xef\xbb\xbf{@}",
    "utf-16": "{}".encode("utf-16"),
    "not-utf-8": b'{@,"annotations":{"a":"\xff"}}',
    "overlong-utf-8": b'{@,"annotations":{"a":"\xc0\xaf"}}',
    "nan": b'{@,"x":NaN}',
    "infinity": b'{@,"x":-Infinity}',
    "trailing": b"{@}x",
    "two-documents": b"{@}{@}",
    "trailing-nul": b"{@}\0",
    "truncated": b'{@,"x":',
    "comma": b"{@,}",
    "comment": b"{@/* */}",
    "single-quotes": b"{'schemaVersion':2}",
    "control-character": b'{@,"annotations":{"a":"\n"}}',
    "duplicate-key": b'{@,"schemaVersion":2}',
    "duplicate-layers": b'{@,"layers":[]}',
    "duplicate-config": b'{@,"config":{}}',
    "duplicate-escaped": b'{@,"\\u006cayers":[]}',
    "duplicate-unknown": b'{@,"x":1,"x":1}',
    "duplicate-nested": b'{@,"annotations":{"a":"1","a":"2"}}',
    "duplicate-deep": b'{@,"x":[{"y":{"z":1,"z":2}}]}',
    "case-Layers": b'{@,"Layers":[]}',
    "case-MANIFESTS": b'{@,"MANIFESTS":[]}',
    "case-Config": b'{@,"Config":{}}',
    "case-MediaType": b'{@,"mediatype":"application/vnd.oci.image.index.v1+json"}',
    "case-SchemaVersion": b'{@,"SchemaVersion":1}',
    "case-Subject": b'{@,"Subject":null}',
    "both": b'{@,"manifests":[]}',
    "deep-array": b'{@,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep-object": b'{@,"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "only-opening": b"[" * (LIMIT - 1),
}

BAD_DESCRIPTORS: dict[str, Json] = {
    "negative-size": {"size": -1},
    "fraction": {"size": 64.5},
    "text-size": {"size": "64"},
    "true-size": {"size": True},
    "null-size": {"size": None},
    "huge-size": {"size": 2**64},
    "wrong-size": {"size": 65},
    "zero-size": {"size": 0},
    "short-digest": {"digest": "sha256:abc"},
    "upper-digest": {"digest": "sha256:" + "A" * 64},
    "path-digest": {"digest": "sha256:../../../etc/passwd"},
    "number-digest": {"digest": 5},
    "unknown-algorithm": {"digest": "md5:" + "0" * 32},
    "number-type": {"mediaType": 5},
}


def put(repository: Repository, raw: bytes, media_type: str = OCI_MANIFEST) -> Answer:
    """PUT bytes as `latest`."""
    headers = {"Content-Type": media_type}
    return repository.registry.put(repository.path("manifests/latest"), raw, headers)


def padded(repository: Repository, size: int) -> bytes:
    """Return a valid manifest of exactly that many bytes, padded by an annotation."""
    document = repository.new_image(annotations={"pad": ""})
    room = size - len(encode(document))
    return encode({**document, "annotations": {"pad": "x" * room}})


@requirement("end-7a", "S-49", "S-79")
@pytest.mark.parametrize("case", NOT_A_MANIFEST)
def test_not_a_manifest(repository: Repository, case: str) -> None:
    """What two parsers might read in two ways is refused at once, and nothing is stored."""
    members = encode(repository.new_image())[1:-1]
    raw = NOT_A_MANIFEST[case].replace(b"@", members)
    started = time.monotonic()
    put(repository, raw).expect(400, "MANIFEST_INVALID")
    assert time.monotonic() - started < 3
    assert repository.tagged("latest") is None


@requirement("S-49")
def test_very_long_number(repository: Repository) -> None:
    """A number of 100,000 digits is refused or kept, never an internal error."""
    raw = encode(repository.new_image())[:-1] + b',"x":' + b"9" * 100_000 + b"}"
    answer = put(repository, raw).expect((201, 400))
    if answer.status == 201:
        assert repository.registry.get(repository.path("manifests/latest")).body == raw


@requirement("S-49")
def test_many_missing_layers(repository: Repository) -> None:
    """Twenty thousand layers that are not there are refused in good time."""
    document = repository.new_image()
    layers = [{**document["layers"][0], "digest": f"sha256:{n:064x}"} for n in range(20_000)]
    started = time.monotonic()
    put(repository, encode({**document, "layers": layers})).expect(400)
    assert time.monotonic() - started < 10


@requirement("end-7a", "S-50")
@pytest.mark.parametrize("where", ["config", "layers"])
@pytest.mark.parametrize("case", BAD_DESCRIPTORS)
def test_bad_descriptor(repository: Repository, case: str, where: str) -> None:
    """A descriptor must be well-formed and its size be that of the blob."""
    document = repository.new_image()
    blob = repository.push_blob(b"x" * 64)
    bad = {**blob, **BAD_DESCRIPTORS[case]}
    document[where] = [bad] if where == "layers" else bad
    codes = ("MANIFEST_INVALID", "SIZE_INVALID", "DIGEST_INVALID")
    put(repository, encode(document)).expect(400, *codes)
    assert repository.tagged("latest") is None


@requirement("end-7a", "S-50")
@pytest.mark.parametrize("missing", ["digest", "size"])
def test_incomplete_descriptor(repository: Repository, missing: str) -> None:
    """A descriptor has a digest and a size."""
    document = repository.new_image()
    del document["layers"][0][missing]
    put(repository, encode(document)).expect(
        400, "MANIFEST_INVALID", "SIZE_INVALID", "DIGEST_INVALID"
    )


@requirement("end-7a")
@pytest.mark.parametrize(
    "change",
    [
        {"layers": {}},
        {"layers": "x"},
        {"layers": [5]},
        {"layers": [None]},
        {"config": []},
        {"config": "sha256:x"},
        {"subject": "sha256:x"},
        {"subject": {"digest": "x"}},
        {"annotations": []},
        {"artifactType": 5},
        {"schemaVersion": "2"},
        {"schemaVersion": 3},
    ],
    ids=json.dumps,
)
def test_wrong_types_of_members(repository: Repository, change: Json) -> None:
    """Members that the specification names have the type that it says."""
    put(repository, encode({**repository.new_image(), **change})).expect(400, "MANIFEST_INVALID")


@requirement("end-7a")
@pytest.mark.parametrize("manifests", [{}, [5], [{}], "x", [{"digest": "sha256:abc"}]], ids=str)
def test_wrong_index(repository: Repository, manifests: object) -> None:
    """An index has a list of descriptors."""
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    put(repository, encode(document), OCI_INDEX).expect(400, "MANIFEST_INVALID", "DIGEST_INVALID")


@requirement("end-7a", "large-manifest")
@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_large_manifest(repository: Repository, size: int) -> None:
    """A manifest of 4 MiB is accepted and served."""
    raw = padded(repository, size)
    assert len(raw) == size
    put(repository, raw).expect(201)
    assert repository.registry.get(repository.path("manifests/latest")).body == raw


@requirement("end-7a", "S-48")
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_too_large_manifest(repository: Repository, framing: str) -> None:
    """One byte more than 4 MiB is 413, however it is framed."""
    raw = padded(repository, LIMIT + 1)
    body = raw if framing == "length" else [raw[:LIMIT], raw[LIMIT:]]
    path = repository.path("manifests/latest")
    answer = repository.registry.request("PUT", path, {"Content-Type": OCI_MANIFEST}, body)
    answer.expect(413, "SIZE_INVALID", "MANIFEST_INVALID")
    assert repository.tagged("latest") is None


@requirement("S-48")
def test_too_large_manifest_is_not_read(repository: Repository) -> None:
    """A length beyond the limit is refused before the body comes."""
    registry, path = repository.registry, repository.path("manifests/latest")
    headers = {"Content-Type": OCI_MANIFEST, "Content-Length": "1000000000"}
    with registry.wire(10) as wire:
        wire.send(registry.head_of("PUT", path, headers))
        wire.answer("PUT").expect(413)
