"""What an artifact is to people: told from its media types, and from nothing that it contains."""

import re
from collections.abc import Iterable

from moorage.oci import media_types

IMAGE, INDEX, CHART = "image", "index", "chart"
SIGNATURE, SBOM, PROVENANCE = "signature", "sbom", "provenance"
WASM, ARTIFACT = "wasm", "artifact"
KINDS = (IMAGE, INDEX, CHART, SIGNATURE, SBOM, PROVENANCE, WASM, ARTIFACT)

IMAGE_CONFIGS = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
_BY_TYPE = (
    (CHART, re.compile(r"vnd\.cncf\.helm\.")),
    (
        SIGNATURE,
        re.compile(r"cosign\.(?:artifact\.sig|simplesigning)|notary\.signature|\.sigstore\."),
    ),
    (SBOM, re.compile(r"spdx|cyclonedx|syft|sbom")),
    (PROVENANCE, re.compile(r"in-toto|slsa|provenance")),
    (WASM, re.compile(r"vnd\.(?:wasm|wasmcloud|bytecodealliance)\.|application/wasm")),
)
# How cosign calls what belongs to a digest where it can't refer to it.
_TAG = re.compile(r"sha256-[0-9a-f]{64}\.(sig|sbom|att)", re.ASCII)
_BY_TAG = {"sig": SIGNATURE, "sbom": SBOM, "att": PROVENANCE}


def kind_of(media_type: str, artifact_type: str, layers: Iterable[str] = ()) -> str:
    """Return one of `KINDS`; `layers` are the media types of what the manifest lists, if known."""
    if media_type in media_types.INDEXES:
        return INDEX
    own = artifact_type.lower()
    for kind, pattern in _BY_TYPE:
        if pattern.search(own):
            return kind
    for layer in layers:
        for kind, pattern in _BY_TYPE:
            if pattern.search(layer.lower()):
                return kind
    return IMAGE if own in IMAGE_CONFIGS else ARTIFACT


def kind_of_tag(tag: str) -> str:
    """Return what cosign means by such a tag, empty if it is an ordinary one."""
    found = _TAG.fullmatch(tag)
    return _BY_TAG[found[1]] if found else ""


def platform_text(os: str, architecture: str, variant: str = "") -> str:
    """Return a platform as people write it; empty if nothing is known of it."""
    if os in ("", "unknown") and architecture in ("", "unknown"):
        return ""
    return "/".join(part for part in (os, architecture, variant) if part)
