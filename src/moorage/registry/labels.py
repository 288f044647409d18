"""What an image says of itself: its annotations, and the labels of its configuration."""

from collections.abc import Mapping

from moorage.db import blobs
from moorage.db.engine import Tx
from moorage.db.search_rows import Content
from moorage.errors import ManifestInvalid
from moorage.model.artifacts import Blob
from moorage.oci.config import masked_field, parse_config
from moorage.oci.kinds import IMAGE_CONFIGS
from moorage.oci.manifest import Manifest, parse_manifest
from moorage.registry.services import Services

_LONGEST_CONFIG = 256 << 10


async def find_labels(s: Services, repository_id: int, content: Content) -> dict[str, str]:
    """Return what the manifest's annotations and its image's labels say; the image's count.

    What looks like a secret in them is masked: what is found is shown.
    """
    try:
        manifest = parse_manifest(content.raw, content.media_type)
    except ManifestInvalid:
        return {}  # taken by an earlier release
    said = {key: masked_field(key, value) for key, value in manifest.annotations.items()}
    return {**said, **await _image_labels(s, repository_id, manifest)}


async def _image_labels(s: Services, repository_id: int, manifest: Manifest) -> Mapping[str, str]:
    config = manifest.config
    if config is None or config.media_type not in IMAGE_CONFIGS or config.size > _LONGEST_CONFIG:
        return {}

    async def find(tx: Tx) -> Blob | None:
        return await blobs.find_linked(tx, repository_id, config.digest)

    blob = await s.db.read(find)
    if blob is None:
        return {}
    try:
        raw = b"".join([part async for part in s.blobs.read(blob.location, 0, blob.size)])
    except FileNotFoundError:
        return {}  # damaged, which verification tells
    return parse_config(raw).labels
