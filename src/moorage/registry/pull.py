"""Reads: a manifest by tag or digest, a blob, each in one statement with the facts about it."""

from collections.abc import AsyncIterator, Callable
from functools import partial

from moorage.blobs.store import Located
from moorage.clock import HOUR
from moorage.db import blobs, manifests
from moorage.db.access import Found
from moorage.db.engine import Tx
from moorage.errors import BlobUnknown, ManifestUnknown, NameUnknown
from moorage.model.access import Actor
from moorage.model.artifacts import Blob, Repository, StoredManifest
from moorage.oci.digest import Digest
from moorage.oci.names import Reference, RepositoryName
from moorage.registry import damage
from moorage.registry.services import Services


def lease_of(s: Services) -> int:
    """Return how long whoever was told that a blob is there has to name it, in milliseconds."""
    return int(s.config.collection.lease_hours * HOUR)


async def find_manifest(
    s: Services, actor: Actor, name: RepositoryName, reference: Reference, *, raw: bool
) -> tuple[Found, StoredManifest | None]:
    """Return the repository with the facts about the actor, yet unchecked, and the manifest."""

    async def read(tx: Tx) -> tuple[Found, StoredManifest | None]:
        return await manifests.find_for_pull(
            tx, actor.subject, name, reference, raw=raw, is_local=actor.kind == "local"
        )

    return await s.db.read(read)


async def find_blob(
    s: Services, actor: Actor, name: RepositoryName, digest: Digest
) -> tuple[Found, Blob | None, int]:
    """Return the repository with the facts, the blob, and until when it is leased; as above."""

    async def read(tx: Tx) -> tuple[Found, Blob | None, int]:
        return await blobs.find_for_pull(
            tx, actor.subject, name, digest, is_local=actor.kind == "local"
        )

    return await s.db.read(read)


async def extend_lease(s: Services, repository: Repository, blob: Blob, leased_until: int) -> bool:
    """Keep collection away from a blob that a pusher is about to be told is there.

    Written only when less than half of the lease is left. False if collection, or a deletion, was
    there first: then the pusher must not be told so.
    """
    lease = lease_of(s)
    until = s.clock.now() + lease
    if leased_until > until - lease // 2:
        return True

    async def write(tx: Tx) -> bool:
        return await blobs.extend_lease(tx, repository.id, blob.id, until)

    return await s.db.write(write)


async def note_damage(s: Services, blob: Blob) -> None:
    """Answer the blob as absent from now on, so that clients send it again, which heals it."""
    size = await s.blobs.size(blob.location)
    why = "missing" if size is None else "content" if size == blob.size else "size"

    async def write(tx: Tx) -> bool:
        return await damage.lose(s, tx, blob, why, "pull")

    if await s.db.write(write):
        damage.tell(s, blob, why)


async def locate(s: Services, blob: Blob, *, redirect: bool) -> Located:
    """Return how the client's connection gets the bytes, None if they must be read here."""
    return await s.blobs.locate(blob.location, redirect=redirect)


def read(s: Services, blob: Blob) -> Callable[[int, int], AsyncIterator[bytes]]:
    """Return what reads a span of the blob."""
    return partial(s.blobs.read, blob.location)


def known_manifest(
    repository: Repository | None,
    manifest: StoredManifest | None,
    name: RepositoryName,
    reference: Reference,
) -> StoredManifest:
    """Return the manifest of a caller that may know whether it exists.

    Raises:
        NameUnknown: there is no such repository.
        ManifestUnknown: it has no such tag or manifest.
    """
    if repository is None:
        raise NameUnknown(f"there is no repository {name}", detail={"name": name})
    if manifest is None:
        kind = "manifest" if isinstance(reference, Digest) else "tag"
        raise ManifestUnknown(
            f"{name} has no {kind} {reference}", detail={"name": name, kind: reference}
        )
    return manifest


def known_blob(
    repository: Repository | None, blob: Blob | None, name: RepositoryName, digest: Digest
) -> tuple[Repository, Blob]:
    """Return the blob of a caller that may know whether it exists.

    Raises:
        BlobUnknown: the repository, if there is one, has no such blob.
    """
    if repository is None or blob is None:
        raise BlobUnknown(f"{name} has no blob {digest}", detail={"digest": digest})
    return repository, blob
