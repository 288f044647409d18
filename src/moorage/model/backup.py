"""What a backup says of itself: the manifest, which is written last."""

import msgspec

# Of the files as docs/how-to/backup.md describes them.
FORMAT = 1


class TableFile(msgspec.Struct, frozen=True):
    """One table's rows, as lines of JSON, compressed: `tables/NAME.jsonl.gz`."""

    name: str
    rows: int
    size: int
    sha256: str


class IndexFile(msgspec.Struct, frozen=True):
    """One sorted list of fixed records; see `blobs/vault_index.py`."""

    count: int
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """A complete backup: the files that it is made of, with the digest of each.

    `objects` lists what is in the common pool, `manifests` what the rows have in themselves.
    `lost` are blobs whose bytes were damaged or gone where they were, or given up meanwhile.
    `counters` are the highest ids given out, which are never given out again.
    """

    format: int
    id: str
    version: str
    schema: int
    taken_at: int
    ended_at: int
    tables: tuple[TableFile, ...]
    objects: IndexFile
    manifests: IndexFile
    bytes: int
    lost: tuple[str, ...]
    counters: dict[str, int]


class Signature(msgspec.Struct, frozen=True):
    """Who says that the manifest is as it was written; beside it in `manifest.sig`."""

    key_id: str
    signature: bytes


class Credential(msgspec.Struct, frozen=True):
    """Something that a restored registry lets in, and that may have been ended since the backup."""

    kind: str
    owner: str
    name: str
    mark: str = ""
    expires_at: int = 0
