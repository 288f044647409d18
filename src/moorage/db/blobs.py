"""Blobs, their digests, and which repository has which."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.db.access import (
    FACTS,
    FACTS_OF_ANYBODY,
    FACTS_OF_NOBODY,
    FOUND,
    HERE,
    Found,
    family_of,
    find_renamed,
    found_of,
    place_of,
    readable_id,
    subject_of,
)
from moorage.db.damage import keep_object
from moorage.db.engine import Query, Raced, Tx, insert
from moorage.db.repositories import LIVE
from moorage.db.schema import (
    blob,
    blob_digest,
    delete_queue,
    namespace,
    repository,
    repository_blob,
    usage_delta,
)
from moorage.model.access import Subject
from moorage.model.artifacts import Blob, Repository
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName

_IS_LIVE: sa.ColumnClause[str] = sa.literal_column("'live'")

_linked = (
    sa.select(blob.c.id, blob.c.size, blob.c.location)
    .select_from(blob_digest)
    .join(blob, blob.c.id == blob_digest.c.blob_id)
    .join(repository_blob, repository_blob.c.blob_id == blob.c.id)
    .where(blob_digest.c.digest == sa.bindparam("digest"))
    .where(blob.c.state == _IS_LIVE)
    .where(repository_blob.c.trash_until == LIVE)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_id"))
)
FIND_LINKED = Query("find_linked_blob", _linked)
# For a transaction that names the blob: the link stays until its end. Reads lock nothing.
HOLD_LINKED = Query(
    "hold_linked_blob",
    _linked.with_for_update(read=True, of=repository_blob),
)
# For one that removes the link: whoever names the blob is done, or sees it gone.
TAKE_LINKED = Query(
    "take_linked_blob",
    _linked.with_for_update(of=repository_blob),
)


# One statement for a pull: the repository with its facts, and the blob if it is there.
def _for_pull(title: str, facts: Sequence[sa.ColumnElement[Any]], here: sa.FromClause) -> Query:
    columns = (blob.c.id, blob.c.size, blob.c.location, repository_blob.c.lease_until)
    return Query(
        title,
        sa.select(*facts, *columns).select_from(
            here.outerjoin(blob_digest, blob_digest.c.digest == sa.bindparam("digest"))
            .outerjoin(
                repository_blob,
                sa.and_(
                    repository_blob.c.repository_id == readable_id(facts),
                    repository_blob.c.blob_id == blob_digest.c.blob_id,
                    repository_blob.c.trash_until == LIVE,
                ),
            )
            .outerjoin(
                blob,
                sa.and_(blob.c.id == repository_blob.c.blob_id, blob.c.state == _IS_LIVE),
            )
        ),
    )


# By who asks (`family_of`).
FOR_PULL = (
    _for_pull("nobody_pulls_blob", FACTS_OF_NOBODY, HERE),
    _for_pull("somebody_pulls_blob", tuple(FOUND.c), FOUND),
    _for_pull("anybody_pulls_blob", FACTS_OF_ANYBODY, HERE),
)
_holders = (
    sa.select(*FACTS)
    .select_from(blob_digest)
    .join(repository_blob, repository_blob.c.blob_id == blob_digest.c.blob_id)
    .join(repository, repository.c.id == repository_blob.c.repository_id)
    .join(namespace, namespace.c.id == repository.c.namespace_id)
    .where(blob_digest.c.digest == sa.bindparam("digest"))
    .where(repository_blob.c.trash_until == LIVE)
    .where(repository.c.trash_until == LIVE)
    .limit(sa.bindparam("limit"))
)
LIST_HOLDERS = Query("list_holders_of_blob", _holders)
# By the namespace first, so that whoever holds it elsewhere makes no difference, not even in time.
LIST_HOLDERS_IN = Query(
    "list_holders_of_blob_in_namespace",
    _holders.where(
        repository_blob.c.namespace_id
        == sa.select(namespace.c.id)
        .where(namespace.c.name == sa.bindparam("namespace"))
        .correlate(None)
        .scalar_subquery()
    ),
)
# Whoever gives a blob to a repository or changes it has its row.
TAKE_BLOB = Query(
    "take_blob",
    sa.select(blob.c.id, blob.c.size, blob.c.location, blob.c.state)
    .select_from(blob_digest)
    .join(blob, blob.c.id == blob_digest.c.blob_id)
    .where(blob_digest.c.digest == sa.bindparam("digest"))
    .with_for_update(of=blob),
)
LIST_DIGESTS = Query(
    "list_digests_of_blob",
    sa.select(blob_digest.c.digest).where(blob_digest.c.blob_id == sa.bindparam("blob_id")),
)
ADD_BLOB = Query(
    "add_blob",
    insert(blob)
    .values(
        size=sa.bindparam("size"),
        location=sa.bindparam("location"),
        state=_IS_LIVE,
        created_at=sa.bindparam("now"),
        verified_at=sa.bindparam("now"),
    )
    .returning(blob.c.id),
)
HEAL_BLOB = Query(
    "heal_blob",
    sa.update(blob)
    .where(blob.c.id == sa.bindparam("blob_id"))
    .where(blob.c.location == sa.bindparam("seen_location"))
    .values(location=sa.bindparam("new_location"), state=_IS_LIVE, verified_at=sa.bindparam("now")),
)
ADD_DIGEST = Query(
    "add_blob_digest",
    insert(blob_digest)
    .values(digest=sa.bindparam("digest"), blob_id=sa.bindparam("blob_id"))
    .on_conflict_do_nothing(),
)
IS_COUNTED = Query(
    "is_blob_counted",
    sa.select(repository_blob.c.blob_id)
    .where(repository_blob.c.namespace_id == sa.bindparam("namespace_id"))
    .where(repository_blob.c.blob_id == sa.bindparam("blob_id"))
    .limit(sa.literal_column("1")),
)
ADD_USAGE = Query(
    "add_usage",
    sa.insert(usage_delta).values(
        namespace_id=sa.bindparam("namespace_id"),
        bytes=sa.bindparam("bytes"),
        at=sa.bindparam("now"),
    ),
)
_link = insert(repository_blob).values(
    repository_id=sa.bindparam("repository_id"),
    blob_id=sa.bindparam("blob_id"),
    namespace_id=sa.bindparam("namespace_id"),
    lease_until=sa.bindparam("lease_until"),
    trash_until=LIVE,
)
LINK = Query(
    "link_blob",
    _link.on_conflict_do_update(
        index_elements=[repository_blob.c.repository_id, repository_blob.c.blob_id],
        set_={"lease_until": _link.excluded.lease_until, "trash_until": LIVE},
    ),
)
EXTEND_LEASE = Query(
    "extend_lease",
    sa.update(repository_blob)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_key"))
    .where(repository_blob.c.blob_id == sa.bindparam("blob_key"))
    .where(repository_blob.c.trash_until == LIVE)
    .values(lease_until=sa.bindparam("lease")),
)
TRASH_LINK = Query(
    "trash_blob_link",
    sa.update(repository_blob)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_key"))
    .where(repository_blob.c.blob_id == sa.bindparam("blob_key"))
    .where(repository_blob.c.trash_until == LIVE)
    .values(trash_until=sa.bindparam("until"), lease_until=sa.bindparam("until")),
)
QUEUE_DELETE = Query(
    "queue_delete",
    insert(delete_queue)
    .values(
        location=sa.bindparam("location"),
        not_before=sa.bindparam("not_before"),
        reason=sa.bindparam("reason"),
        size=sa.bindparam("size"),
        digest=sa.bindparam("digest"),
    )
    .on_conflict_do_nothing(),
)
# The last line: a location that a blob has is never deleted, whoever queued it.
LIST_DELETES = Query(
    "list_due_deletes",
    sa.select(delete_queue.c.location, delete_queue.c.size, blob.c.id)
    .select_from(delete_queue)
    .outerjoin(blob, blob.c.location == delete_queue.c.location)
    .where(delete_queue.c.not_before <= sa.bindparam("now"))
    .order_by(delete_queue.c.not_before)
    .limit(sa.bindparam("limit")),
)
# Always so many by one statement: its text never changes. One for each takes twice as long.
_ENDED = tuple(f"location_{number}" for number in range(50))
END_DELETES = Query(
    "end_deletes",
    sa.delete(delete_queue).where(
        delete_queue.c.location.in_([sa.bindparam(name, type_=sa.Text) for name in _ENDED])
    ),
)


class Put(msgspec.Struct, frozen=True):
    """A blob that has just got its bytes: its id, all of its digests, and whether it was lost."""

    id: int
    digests: tuple[Digest, ...]
    was_lost: bool = False


async def has_linked(tx: Tx, repository_id: int, digest: Digest) -> bool:
    """Tell whether the repository has a live blob of that digest at this moment."""
    return await tx.one(FIND_LINKED, repository_id=repository_id, digest=digest.key) is not None


async def find_linked(tx: Tx, repository_id: int, digest: Digest) -> Blob | None:
    """Return the repository's live blob of that digest at this moment."""
    row = await tx.one(FIND_LINKED, repository_id=repository_id, digest=digest.key)
    return Blob(*row) if row else None


async def hold_linked(tx: Tx, repository_id: int, digest: Digest) -> Blob | None:
    """Return the repository's live blob of that digest, which stays until the transaction ends."""
    row = await tx.one(HOLD_LINKED, repository_id=repository_id, digest=digest.key)
    return Blob(*row) if row else None


async def take_linked(tx: Tx, repository_id: int, digest: Digest) -> Blob | None:
    """Return the repository's live blob of that digest, to take it away: nobody names it now."""
    row = await tx.one(TAKE_LINKED, repository_id=repository_id, digest=digest.key)
    return Blob(*row) if row else None


async def take_blob(tx: Tx, digest: Digest) -> bool:
    """Keep the blob, if there is one, as it is until the transaction ends."""
    return await tx.one(TAKE_BLOB, digest=digest.key) is not None


async def find_for_pull(
    tx: Tx, subject: Subject, name: RepositoryName, digest: Digest, *, is_local: bool
) -> tuple[Found, Blob | None, int]:
    """Return the repository, its blob of that digest, and until when the blob is leased.

    The blob is looked for only for a subject that may have it, as a manifest is.
    """
    place = place_of(subject, name)
    if subject.is_early:
        place["is_local"] = int(is_local)
    row = await tx.one(FOR_PULL[family_of(subject)], **place, digest=digest.key)
    assert row is not None  # noqa: S101 - it begins at a row that is always there
    found = found_of(row)
    renamed = await find_renamed(tx, found, name, is_local=is_local)
    if renamed is not None:
        return await find_for_pull(tx, subject, renamed, digest, is_local=is_local)
    return found, Blob(row[6], row[7], row[8]) if row[6] is not None else None, row[9] or 0


async def list_holders(
    tx: Tx, subject: Subject, digest: Digest, limit: int, *, namespace: str = ""
) -> list[Found]:
    """Return up to `limit` live repositories that have the blob, readable or not.

    Only those of the namespace, if one is named.
    """
    values = {"digest": digest.key, "limit": limit, **subject_of(subject)}
    if namespace:
        rows = await tx.many(LIST_HOLDERS_IN, **values, namespace=namespace)
    else:
        rows = await tx.many(LIST_HOLDERS, **values)
    return [found_of(row) for row in rows]


async def put_blob(
    tx: Tx,
    digests: tuple[Digest, ...],
    size: int,
    location: str,
    now: int,
    keep_until: int,
) -> Put:
    """Return the blob that the location holds by now.

    The first of `digests` is its identity.

    A blob that was there already gets the new location: these bytes have just been verified, the
    old ones have not, so a push heals a damaged blob. The old location is deleted later, unless it
    is known to be damaged: then it is kept.

    Raises:
        Raced: another transaction has just made the blob, or changed it.
    """
    known = await tx.one(TAKE_BLOB, digest=digests[0].key)
    if known is None:
        return Put(await _add_blob(tx, digests, size, location, now), digests)
    number: int = known[0]
    old, state = known[2:]
    if not await tx.run(
        HEAL_BLOB, blob_id=number, seen_location=old, new_location=location, now=now
    ):
        raise Raced
    if state == "lost":
        await keep_object(tx, old, "healed", now)
    else:
        await queue_deletes(tx, {old: known[1]}, keep_until, "replaced", digests[0])
    for digest in digests:
        await tx.run(ADD_DIGEST, digest=digest.key, blob_id=number)
    return Put(number, await list_digests(tx, number), state == "lost")


async def _add_blob(tx: Tx, digests: tuple[Digest, ...], size: int, location: str, now: int) -> int:
    row = await tx.one(ADD_BLOB, size=size, location=location, now=now)
    assert row is not None  # noqa: S101 - an INSERT with RETURNING
    number: int = row[0]
    for digest in digests:
        if not await tx.run(ADD_DIGEST, digest=digest.key, blob_id=number):
            raise Raced
    return number


async def link_blob(
    tx: Tx, repository: Repository, blob_id: int, size: int, now: int, lease_until: int
) -> None:
    """Give the blob to the repository, live and leased; its namespace is charged once.

    The caller has taken the blob, so that no other repository of the namespace gets it meanwhile.
    """
    counted = await tx.one(IS_COUNTED, namespace_id=repository.namespace_id, blob_id=blob_id)
    if counted is None:
        await tx.run(ADD_USAGE, namespace_id=repository.namespace_id, bytes=size, now=now)
    await tx.run(
        LINK,
        repository_id=repository.id,
        blob_id=blob_id,
        namespace_id=repository.namespace_id,
        lease_until=lease_until,
    )


async def list_digests(tx: Tx, blob_id: int) -> tuple[Digest, ...]:
    """Return every digest that the blob is known by."""
    return tuple(Digest.from_key(row[0]) for row in await tx.many(LIST_DIGESTS, blob_id=blob_id))


async def extend_lease(tx: Tx, repository_id: int, blob_id: int, lease_until: int) -> bool:
    """Keep collection away from the blob until then; False if it has been there first."""
    extended = await tx.run(
        EXTEND_LEASE, repository_key=repository_id, blob_key=blob_id, lease=lease_until
    )
    return bool(extended)


async def trash_link(tx: Tx, repository_id: int, blob_id: int, until: int) -> bool:
    """Take the blob from the repository, for collection to look at then; tell if it was there."""
    changed = await tx.run(TRASH_LINK, repository_key=repository_id, blob_key=blob_id, until=until)
    return bool(changed)


async def queue_deletes(
    tx: Tx,
    locations: Mapping[str, int],
    not_before: int,
    reason: str,
    identity: Digest | None = None,
) -> None:
    """Have locations that no blob has deleted from the store, no sooner than that.

    Each has its size, 0 where that is not known. `identity` is that of the blob whose bytes are
    there, by which a purge finds them.
    """
    digest = identity.key if identity is not None else b""
    for location, size in locations.items():
        await tx.run(
            QUEUE_DELETE,
            location=location,
            not_before=not_before,
            reason=reason,
            size=size,
            digest=digest,
        )


class DueDelete(msgspec.Struct, frozen=True):
    """A location whose time has come, its size, and the blob that has it: none may."""

    location: str
    size: int
    blob_id: int | None


async def list_due_deletes(tx: Tx, now: int, limit: int) -> list[DueDelete]:
    """Return up to `limit` locations whose time has come."""
    return [DueDelete(*row) for row in await tx.many(LIST_DELETES, now=now, limit=limit)]


async def end_deletes(tx: Tx, locations: Sequence[str]) -> None:
    """Take the locations, now deleted, from the queue."""
    most = len(_ENDED)
    for start in range(0, len(locations), most):
        some = list(locations[start : start + most])
        # The last statement names one of its own again and again.
        some += some[-1:] * (most - len(some))
        await tx.run(END_DELETES, **dict(zip(_ENDED, some, strict=True)))
