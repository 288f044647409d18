"""Who issues identity tokens to machines, and which of those tokens were used up."""

import sqlalchemy as sa

from moorage.db.access_schema import issuer, trust, used_assertion
from moorage.db.engine import ONE, Query, Row, Tx, insert
from moorage.model.trusts import Issuer

_issuers = sa.select(
    issuer.c.id,
    issuer.c.url,
    issuer.c.kind,
    issuer.c.shared,
    issuer.c.jwks,
    issuer.c.ca_file,
    issuer.c.enabled,
    issuer.c.created_at,
    issuer.c.created_by,
)
FIND_ISSUER_BY_URL = Query(
    "find_issuer_by_url", _issuers.where(issuer.c.url == sa.bindparam("url"))
)
LIST_ISSUERS = Query(
    "list_issuers",
    _issuers.where(issuer.c.id > sa.bindparam("after"))
    .order_by(issuer.c.id)
    .limit(sa.bindparam("limit")),
)
ADD_ISSUER = Query(
    "add_issuer",
    insert(issuer)
    .values(
        url=sa.bindparam("url"),
        kind=sa.bindparam("kind"),
        shared=sa.bindparam("shared"),
        jwks=sa.bindparam("jwks"),
        ca_file=sa.bindparam("ca_file"),
        enabled=ONE,
        created_at=sa.bindparam("created_at"),
        created_by=sa.bindparam("created_by"),
    )
    .on_conflict_do_nothing()
    .returning(issuer.c.id),
)
SET_ISSUER = Query(
    "set_issuer",
    sa.update(issuer)
    .where(issuer.c.id == sa.bindparam("issuer_id"))
    .values(enabled=sa.bindparam("is_enabled"), jwks=sa.bindparam("new_jwks")),
)
# Whoever adds a trust holds the issuer, so that it does not go at the same time.
HOLD_ISSUER = Query(
    "hold_issuer",
    _issuers.where(issuer.c.id == sa.bindparam("issuer_id")).with_for_update(read=True),
)
TAKE_ISSUER = Query(
    "take_issuer", _issuers.where(issuer.c.id == sa.bindparam("issuer_id")).with_for_update()
)
FIND_ITS_TRUST = Query(
    "find_trust_of_issuer",
    sa.select(trust.c.id).where(trust.c.issuer_id == sa.bindparam("issuer_id")).limit(ONE),
)
END_ISSUER = Query("end_issuer", sa.delete(issuer).where(issuer.c.id == sa.bindparam("issuer_id")))
ADD_USED = Query(
    "add_used_assertion",
    insert(used_assertion)
    .values(
        issuer_id=sa.bindparam("issuer_id"),
        assertion=sa.bindparam("assertion"),
        expires_at=sa.bindparam("expires_at"),
    )
    .on_conflict_do_nothing(),
)
LIST_EXPIRED_USED = Query(
    "list_expired_assertions",
    sa.select(used_assertion.c.issuer_id, used_assertion.c.assertion)
    .where(used_assertion.c.expires_at <= sa.bindparam("now"))
    .order_by(used_assertion.c.expires_at)
    .limit(sa.bindparam("limit")),
)
END_USED = Query(
    "end_used_assertion",
    sa.delete(used_assertion)
    .where(used_assertion.c.issuer_id == sa.bindparam("issuer_id"))
    .where(used_assertion.c.assertion == sa.bindparam("assertion")),
)


def _issuer_of(row: Row) -> Issuer:
    number, url, kind, shared, jwks, ca_file, enabled, *others = row
    return Issuer(number, url, kind, bool(shared), bytes(jwks), ca_file, bool(enabled), *others)


async def find_issuer_by_url(tx: Tx, url: str) -> Issuer | None:
    """Return the issuer whose tokens name themselves so, in force or not."""
    row = await tx.one(FIND_ISSUER_BY_URL, url=url)
    return _issuer_of(row) if row else None


async def hold_issuer(tx: Tx, issuer_id: int) -> Issuer | None:
    """Return the issuer, which stays as it is until the transaction ends."""
    row = await tx.one(HOLD_ISSUER, issuer_id=issuer_id)
    return _issuer_of(row) if row else None


async def take_issuer(tx: Tx, issuer_id: int) -> Issuer | None:
    """Return the issuer, which nobody else holds until the transaction ends."""
    row = await tx.one(TAKE_ISSUER, issuer_id=issuer_id)
    return _issuer_of(row) if row else None


async def list_issuers(tx: Tx, after: int, limit: int) -> list[Issuer]:
    """Return up to `limit` issuers with ids above `after`."""
    return [_issuer_of(row) for row in await tx.many(LIST_ISSUERS, after=after, limit=limit)]


async def add_issuer(tx: Tx, wanted: Issuer) -> int | None:
    """Add an issuer and return its id; None if there is one of that address."""
    row = await tx.one(
        ADD_ISSUER,
        url=wanted.url,
        kind=wanted.kind,
        shared=int(wanted.shared),
        jwks=wanted.jwks,
        ca_file=wanted.ca_file,
        created_at=wanted.created_at,
        created_by=wanted.created_by,
    )
    return row[0] if row else None


async def set_issuer(tx: Tx, issuer_id: int, *, enabled: bool, jwks: bytes) -> None:
    """Put the issuer in or out of force, with these keys, or none for those that are fetched."""
    await tx.run(SET_ISSUER, issuer_id=issuer_id, is_enabled=int(enabled), new_jwks=jwks)


async def end_issuer(tx: Tx, issuer_id: int) -> bool:
    """Remove the issuer unless a trust names it, and tell whether it was."""
    if await tx.one(FIND_ITS_TRUST, issuer_id=issuer_id) is not None:
        return False
    return bool(await tx.run(END_ISSUER, issuer_id=issuer_id))


async def spend_assertion(tx: Tx, issuer_id: int, assertion: str, expires_at: int) -> bool:
    """Use a token up, and tell whether it was not before; to be kept until it has run out."""
    return bool(
        await tx.run(ADD_USED, issuer_id=issuer_id, assertion=assertion, expires_at=expires_at)
    )


async def forget_assertions(tx: Tx, now: int, limit: int) -> int:
    """Forget up to `limit` used tokens that have run out; return how many."""
    rows = await tx.many(LIST_EXPIRED_USED, now=now, limit=limit)
    for issuer_id, assertion in rows:
        await tx.run(END_USED, issuer_id=issuer_id, assertion=assertion)
    return len(rows)
