"""Repositories and what is in them."""

import msgspec

from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName


class Repository(msgspec.Struct, frozen=True):
    """A live repository; `id` is never re-used, and every other table names it by that."""

    id: int
    namespace_id: int
    name: RepositoryName
    visibility: str


class StoredManifest(msgspec.Struct, frozen=True):
    """A live manifest as it is served; `digest` is the one that it was asked or tagged by."""

    id: int
    identity: Digest
    digest: Digest
    media_type: str
    size: int
    raw: bytes


class Blob(msgspec.Struct, frozen=True):
    """A live blob of one repository; `location` is the store's own opaque key."""

    id: int
    size: int
    location: str


class Upload(msgspec.Struct, frozen=True):
    """An upload session; whoever changes it must name the offset and epoch that it saw.

    `prefix` is the sha256 of all `offset` bytes, or None after a hand-over in the middle.
    `state` is the blob store's, empty once the session has ended. Epoch 0 is a session that has
    no row yet.
    """

    id: str
    repository_id: int
    algorithm: str
    state: bytes
    offset: int
    prefix: Digest | None
    epoch: int
    expires_at: int


class TagChange(msgspec.Struct, frozen=True):
    """Who changed something, from where, and why: goes into history and trail with the change."""

    actor: str
    credential: str
    request_id: str
    cause: str = "push"
    cause_id: str = ""
    address: str = ""  # the client's; empty where that can't be known
