"""Pages of names: tags, repositories, referrers. Keyset pages on an index, whatever their size."""

import msgspec

from moorage.db import manifests, readable, repositories, tags
from moorage.db.engine import BEYOND_ALL, Tx
from moorage.model.access import Actor
from moorage.model.artifacts import Repository
from moorage.oci.digest import Digest
from moorage.registry import rights
from moorage.registry.services import Services

# Clients read at most 4 MiB of an answer; a tag has up to 128 characters.
MAX_TAGS = 10_000
MAX_REPOSITORIES = 1_000
DEFAULT_REPOSITORIES = 100
MAX_REFERRERS = 1_000
# containerd and go-containerregistry read one page only, of at most 4 MiB.
MAX_REFERRER_BYTES = 4_000_000
_ON_LOOP = 100


class Names(msgspec.Struct, frozen=True):
    """A page of names, and whether there are more behind it."""

    names: list[str]
    more: bool


class Referrers(msgspec.Struct, frozen=True):
    """A page of encoded descriptors, newest first, and where the next one begins (0: nowhere)."""

    descriptors: list[bytes]
    before: int


async def list_tags(s: Services, repository: Repository, after: str, limit: int) -> Names:
    """Return up to `limit` tags behind `after` in ASCII order."""
    found = await s.db.read(
        lambda tx: tags.list_tags(tx, repository.id, after, limit + 1), pages=limit > _ON_LOOP
    )
    return Names(found[:limit], len(found) > limit)


async def list_repositories(s: Services, actor: Actor, after: str, limit: int) -> Names:
    """Return up to `limit` names behind `after`, in ASCII order, of what the actor may read."""
    whole = await sees_all(s, actor)

    async def read(tx: Tx) -> list[str]:
        if whole:
            return await repositories.list_repositories(tx, after, limit + 1)
        return await readable.list_names(tx, actor.subject, after, limit + 1)

    found = await s.db.read(read, pages=limit > _ON_LOOP)
    return Names(found[:limit], len(found) > limit)


async def names_from(
    tx: Tx, actor: Actor, prefix: str, after: str, limit: int, *, sees_all: bool
) -> list[str]:
    """Return up to `limit` names behind `after` that begin with the prefix, as `sees_all` says."""
    # No character of a name comes before this one.
    first = f"{after}!" if after else prefix
    if sees_all:
        return await repositories.list_repositories_from(tx, prefix, first, limit)
    return await readable.list_names_from(tx, actor.subject, prefix, first, limit)


async def sees_all(s: Services, actor: Actor) -> bool:
    """Tell whether the actor may read every repository there is."""
    if actor.kind in ("local", "operator"):
        return True
    return actor.scopes is None and (await rights.find_standing(s, actor)).standing > 1


async def list_referrers(
    s: Services,
    repository: Repository,
    subject: Digest,
    artifact_types: tuple[str, ...],
    before: int,
    limit: int,
) -> Referrers:
    """Return the newest referrers older than `before` (0: the newest of all), of any of the types.

    A page ends at `limit` or just under 4 MiB, whichever comes first.
    """
    start = before or BEYOND_ALL

    async def read(tx: Tx) -> list[tuple[int, bytes]]:
        identity = await manifests.find_live(tx, repository.id, subject) or subject
        found: list[tuple[int, bytes]] = []
        for artifact_type in artifact_types or ("",):
            found += await manifests.list_referrers(
                tx, repository.id, identity, artifact_type, start, limit + 1
            )
        return sorted(found, reverse=True)

    found = await s.db.read(read, pages=limit > _ON_LOOP)
    page: list[bytes] = []
    size = 0
    last = 0
    for number, descriptor in found[:limit]:
        size += len(descriptor) + 1
        if page and size > MAX_REFERRER_BYTES:
            break
        page.append(descriptor)
        last = number
    return Referrers(page, last if len(found) > len(page) else 0)
