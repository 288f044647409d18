"""Descriptors: how one piece of content names another (image-spec, descriptor.md)."""

from collections.abc import Mapping

import msgspec

from moorage.oci import media_types
from moorage.oci.digest import Digest


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed descriptor; `digest` and `size` are validated, unknown fields are left out."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str = ""
    urls: tuple[str, ...] = ()

    @property
    def may_be_absent(self) -> bool:
        """Whether the content lives elsewhere by design: a foreign layer, or one with addresses."""
        return bool(self.urls) or media_types.is_foreign(self.media_type)


class _Listed(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    media_type: str
    digest: str
    size: int
    artifact_type: str = ""
    annotations: Mapping[str, str] = {}


def listed(
    media_type: str,
    digest: Digest,
    size: int,
    artifact_type: str = "",
    annotations: Mapping[str, str] | None = None,
) -> bytes:
    """Return the JSON of a descriptor as the referrers API lists it."""
    return msgspec.json.encode(
        _Listed(
            media_type=media_type,
            digest=digest,
            size=size,
            artifact_type=artifact_type,
            annotations=annotations or {},
        ),
        enc_hook=str,
    )
