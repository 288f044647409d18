"""Blobs whose bytes are damaged or gone, and the objects that are kept because of it.

A lost blob is answered as absent, so that clients send it again. What its location holds stays
there, in quarantine, whatever becomes of the blob: it may be all that is left of the content.
"""

import msgspec
import sqlalchemy as sa

from moorage.db.engine import BEYOND_IDENTITIES, ONE, Query, Row, Tx, insert
from moorage.db.repair_schema import damage
from moorage.db.repositories import LIVE
from moorage.db.schema import blob, blob_digest, repository_blob
from moorage.model.artifacts import Blob
from moorage.oci.digest import Digest

_IS_LIVE: sa.ColumnClause[str] = sa.literal_column("'live'")
_IS_LOST: sa.ColumnClause[str] = sa.literal_column("'lost'")
_MISSING: sa.ColumnClause[str] = sa.literal_column("'missing'")


class Damage(msgspec.Struct, frozen=True):
    """An object that is not what it should be, and why; `ended_at` is 0 while its blob is lost.

    The digest is empty where the blob had no identity. `why` is `missing`, `size`, `content` or
    `unreadable`; `ending` is `healed` or `collected`.
    """

    id: int
    location: str
    blob_id: int
    digest: str
    size: int
    why: str
    found_by: str
    found_at: int
    ending: str
    ended_at: int


_COLUMNS = tuple(damage.c[name] for name in Damage.__struct_fields__)

LOSE_BLOB = Query(
    "lose_blob",
    sa.update(blob)
    .where(blob.c.id == sa.bindparam("lost_blob"))
    .where(blob.c.location == sa.bindparam("seen_location"))
    .where(blob.c.state == _IS_LIVE)
    .values(state=_IS_LOST, verified_at=sa.bindparam("now")),
)
READMIT_BLOB = Query(
    "readmit_blob",
    sa.update(blob)
    .where(blob.c.id == sa.bindparam("lost_blob"))
    .where(blob.c.location == sa.bindparam("seen_location"))
    .where(blob.c.state == _IS_LOST)
    .values(state=_IS_LIVE, verified_at=sa.bindparam("now")),
)
FIND_IDENTITY = Query(
    "find_sha256_of_blob",
    sa.select(blob_digest.c.digest)
    .where(blob_digest.c.blob_id == sa.bindparam("blob_id"))
    .where(blob_digest.c.digest < BEYOND_IDENTITIES)
    .limit(ONE),
)
_put = insert(damage).values(
    **{name: sa.bindparam(name) for name in Damage.__struct_fields__ if name != "id"}
)
PUT_DAMAGE = Query(
    "put_damage",
    _put.on_conflict_do_update(
        index_elements=[damage.c.location],
        set_={
            name: _put.excluded[name]
            for name in ("why", "found_by", "found_at", "ending", "ended_at")
        },
    ),
)
END_DAMAGE = Query(
    "end_damage",
    sa.update(damage)
    .where(damage.c.location == sa.bindparam("of_location"))
    .values(ending=sa.bindparam("new_ending"), ended_at=sa.bindparam("now")),
)
FORGET_DAMAGE = Query(
    "forget_damage", sa.delete(damage).where(damage.c.location == sa.bindparam("of_location"))
)
FORGET_MISSING = Query(
    "forget_missing",
    sa.delete(damage)
    .where(damage.c.location == sa.bindparam("of_location"))
    .where(damage.c.why == _MISSING),
)
LIST_DAMAGE = Query(
    "list_damage",
    sa.select(*_COLUMNS)
    .where(damage.c.id < sa.bindparam("before"))
    .order_by(damage.c.id.desc())
    .limit(sa.bindparam("limit")),
)
LIST_OPEN = Query(
    "list_open_damage",
    sa.select(*_COLUMNS)
    .where(damage.c.ended_at == LIVE)
    .where(damage.c.id > sa.bindparam("after"))
    .order_by(damage.c.id)
    .limit(sa.bindparam("limit")),
)
FIND_DAMAGE = Query(
    "find_damage", sa.select(*_COLUMNS).where(damage.c.id == sa.bindparam("damage_id"))
)
END_KEEPING = Query(
    "end_keeping",
    sa.delete(damage)
    .where(damage.c.id == sa.bindparam("damage_id"))
    .where(damage.c.ended_at != LIVE),
)
LIST_OF_DIGEST = Query(
    "list_damage_of_digest",
    sa.select(damage.c.location, damage.c.size).where(damage.c.digest == sa.bindparam("digest")),
)
FORGET_DIGEST = Query(
    "forget_damage_of_digest", sa.delete(damage).where(damage.c.digest == sa.bindparam("digest"))
)
LIST_HOLDERS = Query(
    "list_repositories_of_blob",
    sa.select(repository_blob.c.repository_id)
    .where(repository_blob.c.blob_id == sa.bindparam("blob_id"))
    .limit(sa.bindparam("limit")),
)


def _damage(row: Row) -> Damage:
    values: Row = (*row[:3], _named(row[3]), *row[4:])
    return Damage(*values)


def _named(key: bytes) -> str:
    return Digest.from_key(key) if key else ""


async def lose_blob(tx: Tx, lost: Blob, why: str, found_by: str, now: int) -> str | None:
    """Have the blob be absent from now on, until a push heals it; its object stays.

    Return its identity; None if it has another location by now, is gone, or was lost already.
    """
    seen = {"lost_blob": lost.id, "seen_location": lost.location}
    if not await tx.run(LOSE_BLOB, **seen, now=now):
        return None
    row = await tx.one(FIND_IDENTITY, blob_id=lost.id)
    digest: bytes = row[0] if row else b""
    await tx.run(
        PUT_DAMAGE,
        location=lost.location,
        blob_id=lost.id,
        digest=digest,
        size=lost.size,
        why=why,
        found_by=found_by,
        found_at=now,
        ending="",
        ended_at=0,
    )
    return _named(digest)


async def readmit_blob(tx: Tx, lost: Blob, now: int) -> bool:
    """Have a lost blob, whose bytes have just been found to be right, be there again.

    False if somebody has healed it meanwhile, or it is gone.
    """
    seen = {"lost_blob": lost.id, "seen_location": lost.location}
    if not await tx.run(READMIT_BLOB, **seen, now=now):
        return False
    await tx.run(FORGET_DAMAGE, of_location=lost.location)
    return True


async def keep_object(tx: Tx, location: str, ending: str, now: int) -> None:
    """Keep the object of a lost blob that is `healed` or `collected`; forget one that is missing.

    A location without a row was noted by a release that kept none: a sweep finds it.
    """
    if not await tx.run(FORGET_MISSING, of_location=location):
        await tx.run(END_DAMAGE, of_location=location, new_ending=ending, now=now)


async def list_damage(tx: Tx, before: int, limit: int) -> list[Damage]:
    """Return up to `limit` with ids below `before`, newest first."""
    return [_damage(row) for row in await tx.many(LIST_DAMAGE, before=before, limit=limit)]


async def find_damage(tx: Tx, damage_id: int) -> Damage | None:
    """Return the damage of that id."""
    row = await tx.one(FIND_DAMAGE, damage_id=damage_id)
    return _damage(row) if row else None


async def end_keeping(tx: Tx, damage_id: int) -> bool:
    """Keep the object no longer, which the caller deletes; False while its blob is lost."""
    return bool(await tx.run(END_KEEPING, damage_id=damage_id))


async def list_of_digest(tx: Tx, digest: Digest) -> dict[str, int]:
    """Return the locations with their sizes that are kept of that content."""
    return {row[0]: row[1] for row in await tx.many(LIST_OF_DIGEST, digest=digest.key)}


async def forget_digest(tx: Tx, digest: Digest) -> dict[str, int]:
    """Keep nothing of that content any more; return what was kept, for the caller to delete."""
    found = await list_of_digest(tx, digest)
    await tx.run(FORGET_DIGEST, digest=digest.key)
    return found


async def list_holders(tx: Tx, blob_id: int, limit: int) -> list[int]:
    """Return up to `limit` repositories that have the blob, by their ids."""
    return [row[0] for row in await tx.many(LIST_HOLDERS, blob_id=blob_id, limit=limit)]


async def count_open(tx: Tx, most: int) -> int:
    """Return how many blobs are lost; counts no further than that many."""
    return len(await tx.many(LIST_OPEN, after=0, limit=most))
