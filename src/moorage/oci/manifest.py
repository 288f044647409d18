"""Manifests and indexes: a strict reading of bytes that are kept and served verbatim.

Two readers must never understand one document differently (GHSA-mc8v-mgrf-8f4m), so what JSON
libraries disagree about is refused: duplicate keys, other spellings of known keys, documents with
both `layers` and `manifests`, a media type that contradicts the request's. Unknown fields and
unknown media types of the content are fine and preserved.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import msgspec

from moorage.errors import DigestInvalid, ManifestInvalid
from moorage.oci import media_types
from moorage.oci.descriptor import Descriptor
from moorage.oci.digest import Digest, digest_of

MAX_DEPTH = 64
MAX_VALUES = 200_000

_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
MAX_DESCRIPTORS = 5_000
MAX_SIZE = 2**63 - 1

_TOP_KEYS = "schemaVersion mediaType artifactType config layers manifests blobs subject annotations"
_DESCRIPTOR_KEYS = "mediaType digest size artifactType urls data annotations platform"
_FOLDED_TOP = {key.casefold(): key for key in _TOP_KEYS.split()}
_FOLDED_DESCRIPTOR = {key.casefold(): key for key in _DESCRIPTOR_KEYS.split()}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry needs of a manifest; the bytes themselves travel beside it."""

    media_type: str
    artifact_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: Mapping[str, str]


def parse_manifest(raw: bytes, content_type: str) -> Manifest:
    """Return what the bytes say; raise `ManifestInvalid` where they could be read in two ways.

    `content_type` is the request's, or empty; the media type is that of the request and the body,
    which must agree, or follows from the document's shape (distribution-spec, "Pushing Manifests").
    """
    document = _load(raw)
    _refuse_variants(document, _FOLDED_TOP)
    media_type = _media_type(document, media_types.essence(content_type))
    index = media_type in media_types.INDEXES
    listed = _descriptors(document, "manifests") if index else ()
    content = "blobs" if media_type == media_types.OCI_ARTIFACT else "layers"
    layers = () if index else _descriptors(document, content)
    config = None if index else _optional_descriptor(document, "config")
    artifact_type = _text(document, "artifactType")
    if not artifact_type and config is not None:
        artifact_type = config.media_type
    return Manifest(
        media_type=media_type,
        artifact_type=artifact_type,
        config=config,
        layers=layers,
        manifests=listed,
        subject=_optional_descriptor(document, "subject"),
        annotations=_annotations(document),
    )


def _load(raw: bytes) -> dict[str, Any]:
    if _has_too_many_values(raw):
        raise ManifestInvalid("the manifest has too many values")
    try:
        document = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise ManifestInvalid("the manifest is not UTF-8") from error
    except RecursionError as error:
        raise ManifestInvalid("the manifest is nested too deeply") from error
    except ValueError as error:
        raise ManifestInvalid(f"the manifest is not JSON: {error}"[:200]) from error
    if not isinstance(document, dict):
        raise ManifestInvalid("the manifest is not a JSON object")
    if _deeper_than(document, MAX_DEPTH):
        raise ManifestInvalid(f"the manifest is nested deeper than {MAX_DEPTH} levels")
    return document


def _has_too_many_values(raw: bytes) -> bool:
    # Told before anything is built: a million empty objects take the parser a second. Texts are
    # left out, since an annotation may hold a document of its own, unless they are the bomb.
    if not _exceeds(raw):
        return False
    if raw.count(b'"') - raw.count(b'\\"') > 4 * MAX_VALUES:
        return True
    return _exceeds(_TEXT.sub(b"", raw))


def _exceeds(raw: bytes) -> bool:
    return any(raw.count(mark) > MAX_VALUES for mark in (b"{", b"[", b",", b":"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ManifestInvalid("an object of the manifest has the same key twice")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise ManifestInvalid(f"{name} is not JSON")


def _deeper_than(document: Any, limit: int) -> bool:
    level = [document]
    for _ in range(limit):
        level = [child for value in level for child in _containers(value)]
        if not level:
            return False
    return True


def _containers(value: Any) -> Iterator[Any]:
    children = value.values() if isinstance(value, dict) else value
    return (child for child in children if isinstance(child, dict | list))


def _refuse_variants(document: dict[str, Any], folded: dict[str, str]) -> None:
    # Go's decoder matches keys without regard to case, so "Layers" would be layers to some readers.
    for key in document:
        known = folded.get(key.casefold())
        if known is not None and known != key:
            raise ManifestInvalid(f"the key {key!r} must be written {known!r}")


def _media_type(document: dict[str, Any], sent: str) -> str:
    version = document.get("schemaVersion")
    if sent in media_types.SCHEMA_1 or version == 1:
        raise ManifestInvalid(
            "Docker image manifest schema 1 is not supported",
            hint="It was withdrawn in 2019: push the image again with Docker 1.10 or later",
        )
    own = media_types.essence(_text(document, "mediaType"))
    if own in media_types.SCHEMA_1:
        raise ManifestInvalid("Docker image manifest schema 1 is not supported")
    if version is None and media_types.OCI_ARTIFACT in (own, sent):
        version = 2
    if type(version) is not int or version != 2:  # not 2.0, which only some readers take for 2
        raise ManifestInvalid("schemaVersion must be 2")
    if sent in media_types.GENERIC:
        sent = ""
    if own and sent and own != sent:
        raise ManifestInvalid(f"Content-Type says {sent}, the manifest's mediaType {own}"[:300])
    shape = _shape(document)
    media_type = sent or own or shape
    if media_type not in media_types.MANIFESTS:
        raise ManifestInvalid(f"{media_type[:120]!r} is not a manifest's media type")
    if (media_type in media_types.INDEXES) != (shape in media_types.INDEXES):
        raise ManifestInvalid(f"the document has not the shape of {media_type}")
    return media_type


def _shape(document: dict[str, Any]) -> str:
    listing = "manifests" in document
    content = "layers" in document or "config" in document or "blobs" in document
    if listing and content:
        raise ManifestInvalid("a manifest has layers or manifests, never both")
    if listing:
        return media_types.OCI_INDEX
    if content or document.get("mediaType") == media_types.OCI_ARTIFACT:
        return media_types.OCI_MANIFEST
    raise ManifestInvalid("the manifest has neither layers nor manifests")


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key, "")
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 255 or not value.isprintable():
        raise ManifestInvalid(f"{key} must be a short printable text")
    return value


def _annotations(document: dict[str, Any]) -> dict[str, str]:
    value = document.get("annotations")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ManifestInvalid("annotations must be an object of texts")
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise ManifestInvalid("an annotation is not valid Unicode") from error
    return value


def _descriptors(document: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    value = document.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ManifestInvalid(f"{key} must be a list")
    if len(value) > MAX_DESCRIPTORS:
        raise ManifestInvalid(f"a manifest names at most {MAX_DESCRIPTORS} descriptors")
    return tuple(_descriptor(entry, f"{key}[{place}]") for place, entry in enumerate(value))


def _optional_descriptor(document: dict[str, Any], key: str) -> Descriptor | None:
    value = document.get(key)
    return None if value is None else _descriptor(value, key)


def _descriptor(value: Any, where: str) -> Descriptor:
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{where} must be an object")
    _refuse_variants(value, _FOLDED_DESCRIPTOR)
    size = value.get("size")
    if type(size) is not int or not 0 <= size <= MAX_SIZE:
        raise ManifestInvalid(f"{where}.size must be a whole number from 0")
    text = value.get("digest")
    if not isinstance(text, str):
        raise ManifestInvalid(f"{where}.digest must be a digest")
    try:
        digest = Digest.parse(text)
    except DigestInvalid as error:
        raise ManifestInvalid(f"{where}.digest: {error.message}") from error
    _check_data(value.get("data"), digest, size, where)
    urls = value.get("urls") or []
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise ManifestInvalid(f"{where}.urls must be a list of texts")
    return Descriptor(
        media_type=_text(value, "mediaType"),
        digest=digest,
        size=size,
        artifact_type=_text(value, "artifactType"),
        urls=tuple(urls),
    )


def _check_data(data: Any, digest: Digest, size: int, where: str) -> None:
    if data is None:
        return
    try:
        content = base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except ValueError:  # not base64, or not even ASCII
        content = None
    if content is None or len(content) != size or digest_of(content, digest.algorithm) != digest:
        raise ManifestInvalid(f"{where}.data is not the content that digest and size name")
