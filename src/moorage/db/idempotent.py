"""Answers that were given to requests with an `Idempotency-Key`, for whoever sends one again."""

import msgspec
import sqlalchemy as sa

from moorage.db.access_schema import idempotent
from moorage.db.engine import EMPTY, ZERO, Query, Tx, insert


class Answered(msgspec.Struct, frozen=True):
    """What is kept of a request: a digest of it, and its answer; status 0 while there is none."""

    request: bytes
    status: int
    body: bytes


_IS_IT = (
    idempotent.c.principal_id == sa.bindparam("number"),
    idempotent.c.key == sa.bindparam("name"),
)
CLAIM_KEY = Query(
    "claim_idempotency_key",
    insert(idempotent)
    .values(
        principal_id=sa.bindparam("number"),
        key=sa.bindparam("name"),
        request=sa.bindparam("digest"),
        status=ZERO,
        body=EMPTY,
        expires_at=sa.bindparam("until"),
    )
    .on_conflict_do_update(
        index_elements=["principal_id", "key"],
        set_={
            "request": sa.bindparam("digest"),
            "status": ZERO,
            "body": EMPTY,
            "expires_at": sa.bindparam("until"),
        },
        where=idempotent.c.expires_at <= sa.bindparam("now"),
    ),
)
FIND_ANSWERED = Query(
    "find_answered",
    sa.select(idempotent.c.request, idempotent.c.status, idempotent.c.body).where(*_IS_IT),
)
# Only of the claim that this very request made: a later one may have taken the key over.
KEEP_ANSWER = Query(
    "keep_answer",
    sa.update(idempotent)
    .where(*_IS_IT)
    .where(idempotent.c.status == ZERO)
    .where(idempotent.c.expires_at == sa.bindparam("claimed"))
    .values(
        status=sa.bindparam("answer"),
        body=sa.bindparam("content"),
        expires_at=sa.bindparam("until"),
    ),
)
END_CLAIM = Query(
    "end_claim",
    sa.delete(idempotent)
    .where(*_IS_IT)
    .where(idempotent.c.status == ZERO)
    .where(idempotent.c.expires_at == sa.bindparam("claimed")),
)
LIST_EXPIRED_ANSWERS = Query(
    "list_expired_answers",
    sa.select(idempotent.c.principal_id, idempotent.c.key)
    .where(idempotent.c.expires_at <= sa.bindparam("now"))
    .order_by(idempotent.c.expires_at)
    .limit(sa.bindparam("limit")),
)
END_EXPIRED_ANSWER = Query(
    "end_expired_answer",
    sa.delete(idempotent).where(*_IS_IT).where(idempotent.c.expires_at <= sa.bindparam("now")),
)


async def claim_key(
    tx: Tx, principal_id: int, key: str, digest: bytes, now: int, until: int
) -> Answered | None:
    """Keep the key for this request until then; None if it is, else what it is kept for."""
    place = {"number": principal_id, "name": key}
    if await tx.run(CLAIM_KEY, **place, digest=digest, now=now, until=until):
        return None
    row = await tx.one(FIND_ANSWERED, **place)
    return Answered(*row) if row else Answered(digest, 0, b"")


async def keep_answer(
    tx: Tx, principal_id: int, key: str, claimed: int, answered: Answered, until: int
) -> None:
    """Keep the answer to the request that claimed the key until `claimed`."""
    await tx.run(
        KEEP_ANSWER,
        number=principal_id,
        name=key,
        claimed=claimed,
        answer=answered.status,
        content=answered.body,
        until=until,
    )


async def end_claim(tx: Tx, principal_id: int, key: str, claimed: int) -> None:
    """Forget a request that was refused, so that it can be sent again."""
    await tx.run(END_CLAIM, number=principal_id, name=key, claimed=claimed)


async def forget_answers(tx: Tx, now: int, limit: int) -> int:
    """Forget up to `limit` answers that are no longer kept; return how many there were."""
    rows = await tx.many(LIST_EXPIRED_ANSWERS, now=now, limit=limit)
    for number, name in rows:
        await tx.run(END_EXPIRED_ANSWER, number=number, name=name, now=now)
    return len(rows)
