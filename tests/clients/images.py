"""The content that clients push: images made here byte by byte, as OCI layouts on disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import secrets
import tarfile
from pathlib import Path

from registry import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Json,
    Repository,
    describe,
    encode,
    image_document,
    index_document,
)

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "amd64")
REF_NAME = "org.opencontainers.image.ref.name"

Files = dict[str, bytes]


def name_of(repository: Repository, tag: str = "1") -> str:
    """Return an image's name as clients take it."""
    return f"{repository.registry.authority}/{repository.name}:{tag}"


def tarball(files: Files) -> bytes:
    """Return a tar of files that is the same bytes every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class Content:
    """Blobs and manifests in memory, by digest."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(self, raw: bytes, media_type: str, **more: object) -> Json:
        """Keep a blob and return its descriptor."""
        descriptor = describe(raw, media_type, **more)
        self.blobs[descriptor["digest"]] = raw
        return descriptor

    def image(self, layers: list[Files], architecture: str = ARCHITECTURE) -> Json:
        """Keep an image with a layer for each set of files."""
        return self.image_of([tarball(files) for files in layers], architecture)

    def image_of(self, tars: list[bytes], architecture: str = ARCHITECTURE, level: int = 1) -> Json:
        """Keep an image with a layer for each tar."""
        diff_ids = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/hello"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": f"layer {number}"} for number in range(len(tars))],
        }
        layers = [self.put(gzip.compress(tar, level, mtime=0), OCI_LAYER) for tar in tars]
        document = image_document(self.put(encode(config), OCI_CONFIG), layers)
        platform_ = {"architecture": architecture, "os": "linux"}
        return self.put(encode(document), OCI_MANIFEST, platform=platform_)

    def index(self, children: list[Json], **more: object) -> Json:
        """Keep an index of what has been kept before."""
        return self.put(encode(index_document(children, **more)), OCI_INDEX)

    def write(self, path: Path, root: Json, name: str = "latest") -> Path:
        """Write everything as an OCI layout whose only entry is `root`."""
        blobs = path / "blobs/sha256"
        blobs.mkdir(parents=True)
        for digest, raw in self.blobs.items():
            (blobs / digest.removeprefix("sha256:")).write_bytes(raw)
        entry = {key: root[key] for key in ("mediaType", "digest", "size")}
        entry["annotations"] = {REF_NAME: name}
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (path / "index.json").write_bytes(encode(index_document([entry])))
        return path


def small_image(name: str, size: int = 200_000) -> tuple[Content, Json]:
    """Return a small image of three layers, with content that depends on `name` alone."""
    noise = hashlib.shake_128(name.encode()).digest(size)
    content = Content()
    shared = {"hello": b"#!/bin/sh\necho hello\n"}
    return content, content.image([shared, {"noise": noise}, {"name": name.encode()}])


def archived(layout: Path, archive: Path) -> Path:
    """Write a layout as the tar that `load` and `import` take."""
    with tarfile.open(archive, "w") as tar:
        tar.add(layout, ".")
    return archive


def write_big_image(path: Path, size: int) -> str:
    """Write a layout with one layer of bytes that nobody has seen, and return its digest."""
    content = Content()
    content.write(path, content.image_of([tarball({"noise": secrets.token_bytes(size)})], level=0))
    return max(content.blobs, key=lambda digest: len(content.blobs[digest]))


def files_of(layout: Path) -> dict[str, bytes]:
    """Return every blob of a layout."""
    return {path.name: path.read_bytes() for path in (layout / "blobs/sha256").iterdir()}


def root_of(layout: Path) -> Json:
    """Return the descriptor of a layout's only entry."""
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert len(entries) == 1, f"{layout} has {len(entries)} entries"
    return entries[0]


def blob_of(layout: Path, digest: str) -> bytes:
    """Return a blob of a layout."""
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()


def digests_below(document: Json) -> list[str]:
    """Return the digests of what a manifest names: config and layers, or children."""
    named = [document["config"], *document["layers"]] if "layers" in document else []
    return [entry["digest"] for entry in named or document["manifests"]]
