"""What is pushed: seeded incompressible bytes and the images made of them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_INDEX = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()


def noise(seed: str, size: int) -> bytes:
    """Return `size` bytes that no compressor shortens and that only this seed gives."""
    return hashlib.shake_128(seed.encode()).digest(size)


def sha256(data: bytes) -> str:
    """Return the digest of `data` as the registries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes with the digest they are pushed under."""

    data: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest with the blobs it names, configuration first."""

    manifest: Blob
    blobs: tuple[Blob, ...]


def blob(data: bytes) -> Blob:
    """Return `data` with its digest."""
    return Blob(data, sha256(data))


def descriptor(media_type: str, item: Blob) -> dict[str, object]:
    """Return the descriptor a manifest holds for `item`."""
    return {"mediaType": media_type, "digest": item.digest, "size": len(item.data)}


def image(seed: str, layers: int = 2, layer_size: int = 4096, padding: int = 0) -> Image:
    """Return an image of `layers` fresh layers; `padding` lengthens its manifest."""
    parts = [blob(noise(f"{seed}/{number}", layer_size)) for number in range(layers)]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    first = blob(json.dumps(config | {"author": seed}).encode())
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, first),
        "layers": [descriptor(LAYER, part) for part in parts],
    }
    if padding:
        document["annotations"] = {"padding": noise(f"{seed}/padding", padding // 2).hex()}
    return Image(blob(json.dumps(document).encode()), (first, *parts))


class NoiseFile:
    """A large file of noise whose digest changes at little cost, so no push meets a known blob."""

    def __init__(self, path: Path, size: int) -> None:
        """Write `size` bytes, a multiple of one MiB, to `path`."""
        self.path = path
        self.size = size
        with path.open("wb") as file:
            for number in range(size // MIB):
                file.write(noise(f"{path.name}/{number}", MIB))
        self.digest = self._digest()

    def freshen(self, seed: str) -> None:
        """Rewrite the first MiB from `seed` and take the new digest."""
        with self.path.open("r+b") as file:
            file.write(noise(seed, MIB))
        self.digest = self._digest()

    def _digest(self) -> str:
        with self.path.open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
