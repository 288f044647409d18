"""What collection is to look at: the review queue, leases that end, repositories' time in trash.

A lease is a candidate by itself, found by its own index: a push writes no row more for it. Whoever
drops a reference queues what was named, since nothing else would ever look at it again.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from moorage.db.engine import ZERO, Query, Tx, insert
from moorage.db.naming import BLOB
from moorage.db.repositories import LIVE
from moorage.db.schema import repository, repository_blob, review_queue

REPOSITORY = "repository"


class Candidate(msgspec.Struct, frozen=True):
    """Something that may have lost its last reference; `number` is the blob's or manifest's id.

    `source` says where it was found, and `due` what stands there: the two are its place.
    """

    kind: str
    repository_id: int
    number: int
    due: int
    source: str


_put = insert(review_queue).values(
    kind=sa.bindparam("kind"),
    repository_id=sa.bindparam("repository_id"),
    subject_id=sa.bindparam("subject_id"),
    review_after=sa.bindparam("review_after"),
    tries=ZERO,
    event=sa.bindparam("event"),
)
# An entry that is there is written anew: a review under way then does not end it.
PUT_REVIEW = Query(
    "put_review",
    _put.on_conflict_do_update(
        index_elements=[
            review_queue.c.kind,
            review_queue.c.repository_id,
            review_queue.c.subject_id,
        ],
        set_={"review_after": _put.excluded.review_after, "event": _put.excluded.event},
    ),
)
LIST_REVIEWS = Query(
    "list_due_reviews",
    sa.select(
        review_queue.c.kind,
        review_queue.c.repository_id,
        review_queue.c.subject_id,
        review_queue.c.review_after,
    )
    .where(review_queue.c.review_after <= sa.bindparam("now"))
    .where(
        sa.tuple_(
            review_queue.c.review_after,
            review_queue.c.kind,
            review_queue.c.repository_id,
            review_queue.c.subject_id,
        )
        > sa.tuple_(
            sa.bindparam("after_due", type_=sa.BigInteger),
            sa.bindparam("after_kind", type_=sa.Text),
            sa.bindparam("after_repository", type_=sa.BigInteger),
            sa.bindparam("after_number", type_=sa.BigInteger),
        )
    )
    .order_by(
        review_queue.c.review_after,
        review_queue.c.kind,
        review_queue.c.repository_id,
        review_queue.c.subject_id,
    )
    .limit(sa.bindparam("limit")),
)
LIST_LEASES = Query(
    "list_ended_leases",
    sa.select(
        repository_blob.c.repository_id, repository_blob.c.blob_id, repository_blob.c.lease_until
    )
    .where(repository_blob.c.lease_until != ZERO)
    .where(repository_blob.c.lease_until <= sa.bindparam("now"))
    .where(
        sa.tuple_(
            repository_blob.c.lease_until,
            repository_blob.c.repository_id,
            repository_blob.c.blob_id,
        )
        > sa.tuple_(
            sa.bindparam("after_due", type_=sa.BigInteger),
            sa.bindparam("after_repository", type_=sa.BigInteger),
            sa.bindparam("after_number", type_=sa.BigInteger),
        )
    )
    .order_by(
        repository_blob.c.lease_until,
        repository_blob.c.repository_id,
        repository_blob.c.blob_id,
    )
    .limit(sa.bindparam("limit")),
)
LIST_TRASHED = Query(
    "list_ended_repositories",
    sa.select(repository.c.id, repository.c.trash_until)
    .where(repository.c.trash_until != LIVE)
    .where(repository.c.trash_until <= sa.bindparam("now"))
    .where(
        sa.tuple_(repository.c.trash_until, repository.c.id)
        > sa.tuple_(
            sa.bindparam("after_due", type_=sa.BigInteger),
            sa.bindparam("after_number", type_=sa.BigInteger),
        )
    )
    .order_by(repository.c.trash_until, repository.c.id)
    .limit(sa.bindparam("limit")),
)
# What somebody queued anew meanwhile stays.
END_REVIEW = Query(
    "end_review",
    sa.delete(review_queue)
    .where(review_queue.c.kind == sa.bindparam("kind"))
    .where(review_queue.c.repository_id == sa.bindparam("repository_id"))
    .where(review_queue.c.subject_id == sa.bindparam("subject_id"))
    .where(review_queue.c.review_after <= sa.bindparam("seen")),
)


async def put_review(
    tx: Tx, kind: str, repository_id: int, number: int, after: int, event: str
) -> None:
    """Have collection look at it then; this takes the place of an entry that is there already."""
    await tx.run(
        PUT_REVIEW,
        kind=kind,
        repository_id=repository_id,
        subject_id=number,
        review_after=after,
        event=event,
    )


async def put_reviews(
    tx: Tx, repository_id: int, dropped: Sequence[tuple[str, int]], now: int, event: str
) -> None:
    """Have collection look at what has just lost a reference, each with its kind and id."""
    rows = [
        {
            "kind": kind,
            "repository_id": repository_id,
            "subject_id": number,
            "review_after": now,
            "event": event,
        }
        for kind, number in dropped
    ]
    if rows:
        await tx.run_many(PUT_REVIEW, rows)


async def list_due(
    tx: Tx, now: int, limit: int, behind: Candidate | None = None
) -> list[Candidate]:
    """Return up to `limit` candidates that are due; those of one source behind those of another.

    `behind` is the last one of the page before, for whoever only looks.
    """
    found: list[Candidate] = []
    sources = [_from_queue, _from_leases, _from_trash]
    start = 0 if behind is None else _SOURCES.index(behind.source)
    for place in range(start, len(sources)):
        after = behind if behind is not None and place == start else None
        found += await sources[place](tx, now, limit - len(found), after)
        if len(found) >= limit:
            break
    return found


_SOURCES = ("queue", "lease", "trash")


async def _from_queue(tx: Tx, now: int, limit: int, behind: Candidate | None) -> list[Candidate]:
    rows = await tx.many(
        LIST_REVIEWS,
        now=now,
        limit=limit,
        after_due=behind.due if behind else 0,
        after_kind=behind.kind if behind else "",
        after_repository=behind.repository_id if behind else 0,
        after_number=behind.number if behind else 0,
    )
    return [Candidate(row[0], row[1], row[2], row[3], "queue") for row in rows]


async def _from_leases(tx: Tx, now: int, limit: int, behind: Candidate | None) -> list[Candidate]:
    rows = await tx.many(
        LIST_LEASES,
        now=now,
        limit=limit,
        after_due=behind.due if behind else 0,
        after_repository=behind.repository_id if behind else 0,
        after_number=behind.number if behind else 0,
    )
    return [Candidate(BLOB, row[0], row[1], row[2], "lease") for row in rows]


async def _from_trash(tx: Tx, now: int, limit: int, behind: Candidate | None) -> list[Candidate]:
    rows = await tx.many(
        LIST_TRASHED,
        now=now,
        limit=limit,
        after_due=behind.due if behind else -(2**62),
        after_number=behind.number if behind else 0,
    )
    return [Candidate(REPOSITORY, row[0], row[0], row[1], "trash") for row in rows]


async def oldest_due(tx: Tx, now: int) -> int | None:
    """Return since when the one waits that waits longest, None if nothing is due."""
    found = await _from_queue(tx, now, 1, None) + await _from_leases(tx, now, 1, None)
    return min((each.due for each in found), default=None)


async def end_review(tx: Tx, candidate: Candidate) -> None:
    """Take the candidate from the queue, unless it was queued anew meanwhile."""
    await tx.run(
        END_REVIEW,
        kind=candidate.kind,
        repository_id=candidate.repository_id,
        subject_id=candidate.number,
        seen=candidate.due,
    )
