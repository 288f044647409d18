"""Which account is whose at a provider, and sign-ins there that have begun."""

import sqlalchemy as sa

from moorage.db.access_schema import account, principal, sign_in
from moorage.db.engine import NO_TEXT, Query, Tx
from moorage.model.providers import Attempt, Identity

# Ended ones as well: whom an administrator deleted must not come back by signing in.
FIND_IDENTITY = Query(
    "find_identity",
    sa.select(principal.c.id, principal.c.name, principal.c.enabled, principal.c.ended_at)
    .select_from(account)
    .join(principal, principal.c.id == account.c.principal_id)
    .where(account.c.provider != NO_TEXT)
    .where(account.c.provider == sa.bindparam("provider"))
    .where(account.c.provider_subject == sa.bindparam("subject")),
)
CONFIRM_ACCOUNT = Query(
    "confirm_account",
    sa.update(account)
    .where(account.c.principal_id == sa.bindparam("number"))
    .where(account.c.confirmed_at < sa.bindparam("now"))
    .values(confirmed_at=sa.bindparam("now")),
)
BIND_ACCOUNT = Query(
    "bind_account",
    sa.update(account)
    .where(account.c.principal_id == sa.bindparam("number"))
    .values(
        provider=sa.bindparam("new_provider"),
        provider_subject=sa.bindparam("new_subject"),
        confirmed_at=sa.bindparam("now"),
    ),
)
ADD_SIGN_IN = Query(
    "add_sign_in",
    sa.insert(sign_in).values(
        state=sa.bindparam("state"),
        provider=sa.bindparam("provider"),
        verifier=sa.bindparam("verifier"),
        nonce=sa.bindparam("nonce"),
        then=sa.bindparam("then"),
        expires_at=sa.bindparam("expires_at"),
    ),
)
SPEND_SIGN_IN = Query(
    "spend_sign_in",
    sa.delete(sign_in)
    .where(sign_in.c.state == sa.bindparam("state"))
    .returning(
        sign_in.c.provider,
        sign_in.c.verifier,
        sign_in.c.nonce,
        sign_in.c.then,
        sign_in.c.expires_at,
    ),
)
LIST_EXPIRED_SIGN_INS = Query(
    "list_expired_sign_ins",
    sa.select(sign_in.c.state)
    .where(sign_in.c.expires_at <= sa.bindparam("now"))
    .order_by(sign_in.c.expires_at)
    .limit(sa.bindparam("limit")),
)
END_SIGN_IN = Query(
    "end_sign_in", sa.delete(sign_in).where(sign_in.c.state == sa.bindparam("state"))
)


async def find_identity(tx: Tx, provider: str, subject: str) -> Identity | None:
    """Return the account that the provider's subject has, or had until it was deleted."""
    row = await tx.one(FIND_IDENTITY, provider=provider, subject=subject)
    return Identity(row[0], row[1], bool(row[2]), row[3] != 0) if row else None


async def confirm(tx: Tx, account_id: int, now: int) -> None:
    """Write down that the provider stands by the account at this time; never an earlier one."""
    await tx.run(CONFIRM_ACCOUNT, number=account_id, now=now)


async def bind(tx: Tx, account_id: int, provider: str, subject: str, now: int) -> None:
    """Have the account be the provider's subject's, or nobody's outside, if both are empty."""
    await tx.run(
        BIND_ACCOUNT, number=account_id, new_provider=provider, new_subject=subject, now=now
    )


async def add_attempt(tx: Tx, state: bytes, attempt: Attempt) -> None:
    """Keep a sign-in that has begun, by the hash of what its browser will come back with."""
    await tx.run(
        ADD_SIGN_IN,
        state=state,
        provider=attempt.provider,
        verifier=attempt.verifier.encode(),
        nonce=attempt.nonce,
        then=attempt.then,
        expires_at=attempt.expires_at,
    )


async def spend_attempt(tx: Tx, state: bytes) -> Attempt | None:
    """Return the sign-in that began with that state, which is used up by this."""
    row = await tx.one(SPEND_SIGN_IN, state=state)
    if row is None:
        return None
    provider, verifier, nonce, then, expires_at = row
    return Attempt(provider, bytes(verifier).decode(), nonce, then, expires_at)


async def forget_attempts(tx: Tx, now: int, limit: int) -> int:
    """Forget up to `limit` sign-ins that nobody came back to in time; return how many."""
    rows = await tx.many(LIST_EXPIRED_SIGN_INS, now=now, limit=limit)
    for (state,) in rows:
        await tx.run(END_SIGN_IN, state=state)
    return len(rows)
