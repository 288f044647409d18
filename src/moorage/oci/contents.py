"""What a stored manifest lists, with all that people are shown of it: platforms and annotations.

`oci/manifest.py` has been over the bytes when they came; here nothing is refused any more, and what
is not what it must be is as if it were not there.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from moorage.oci.digest import Digest
from moorage.oci.kinds import platform_text

_NOTHING = msgspec.Raw(b"null")
# BuildKit's mark of what belongs to another image of the same index, and names that.
ATTESTATION = "attestation-manifest"
_REFERENCE_TYPE = "vnd.docker.reference.type"
_REFERENCE_DIGEST = "vnd.docker.reference.digest"


class Listed(msgspec.Struct, frozen=True):
    """A descriptor as it is shown."""

    digest: Digest
    media_type: str
    size: int
    artifact_type: str = ""
    platform: str = ""
    annotations: Mapping[str, str] = {}

    @property
    def attests(self) -> str:
        """The digest of the image that it is BuildKit's attestation of, empty if it is none."""
        if self.annotations.get(_REFERENCE_TYPE) != ATTESTATION:
            return ""
        return self.annotations.get(_REFERENCE_DIGEST, "")


class Contents(msgspec.Struct, frozen=True):
    """What a manifest lists, in its own order."""

    config: Listed | None = None
    layers: tuple[Listed, ...] = ()
    manifests: tuple[Listed, ...] = ()
    subject: Listed | None = None
    annotations: Mapping[str, str] = {}

    @property
    def size(self) -> int:
        """How many bytes its configuration and layers have, each counted once."""
        sizes = {each.digest: each.size for each in self.layers}
        if self.config is not None:
            sizes[self.config.digest] = self.config.size
        return sum(sizes.values())


class _Top(msgspec.Struct, rename="camel"):
    config: msgspec.Raw = _NOTHING
    layers: msgspec.Raw = _NOTHING
    blobs: msgspec.Raw = _NOTHING
    manifests: msgspec.Raw = _NOTHING
    subject: msgspec.Raw = _NOTHING
    annotations: msgspec.Raw = _NOTHING


class _Descriptor(msgspec.Struct, rename="camel"):
    digest: str
    size: int
    media_type: str | None = None
    artifact_type: str | None = None
    platform: msgspec.Raw = _NOTHING
    annotations: msgspec.Raw = _NOTHING


class _Platform(msgspec.Struct):
    os: str | None = None
    architecture: str | None = None
    variant: str | None = None


def read_contents(raw: bytes) -> Contents:
    """Return what the bytes of a manifest or index list."""
    top = _part(msgspec.Raw(raw), _Top) or _Top()
    layers = _part(top.layers, list[_Descriptor]) or _part(top.blobs, list[_Descriptor]) or []
    config, subject = (_part(each, _Descriptor) for each in (top.config, top.subject))
    return Contents(
        config=_listed(config) if config is not None else None,
        layers=tuple(map(_listed, layers)),
        manifests=tuple(map(_listed, _part(top.manifests, list[_Descriptor]) or [])),
        subject=_listed(subject) if subject is not None else None,
        annotations=_part(top.annotations, dict[str, str]) or {},
    )


def read_listed(raw: bytes) -> Listed | None:
    """Return the descriptor that some bytes are, such as one that the referrers API lists."""
    found = _part(msgspec.Raw(raw), _Descriptor)
    return _listed(found) if found is not None else None


def _listed(found: _Descriptor) -> Listed:
    platform = _part(found.platform, _Platform) or _Platform()
    return Listed(
        Digest.parse(found.digest),
        found.media_type or "",
        found.size,
        found.artifact_type or "",
        platform_text(platform.os or "", platform.architecture or "", platform.variant or ""),
        _part(found.annotations, dict[str, str]) or {},
    )


def _part(raw: msgspec.Raw, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
