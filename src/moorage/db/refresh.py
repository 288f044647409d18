"""Refresh tokens: each is a member of a family that began with one sign-in."""

import msgspec
import sqlalchemy as sa

from moorage.db.access_schema import account, principal, refresh, token, trust
from moorage.db.engine import NO_TEXT, ZERO, Query, Tx
from moorage.db.repositories import LIVE


class Refresh(msgspec.Struct, frozen=True):
    """A refresh token as it is kept; what began its family is a password, a token or a trust."""

    hash: bytes
    family: str
    principal_id: int
    generation: int
    token_id: int
    trust_id: int
    scopes: bytes
    created_at: int
    expires_at: int
    spent_at: int = 0


class RefreshHolder(msgspec.Struct, frozen=True):
    """Whose it is, and whether that is in force still.

    `revoked_at` and `token_expires_at` are those of the token that began the family, 0 without.
    """

    kind: str
    name: str
    enabled: bool
    generation: int
    revoked_at: int
    token_expires_at: int
    trust_enabled: bool
    provider: str
    confirmed_at: int


ADD_REFRESH = Query(
    "add_refresh",
    sa.insert(refresh).values(
        hash=sa.bindparam("hash"),
        family=sa.bindparam("family"),
        principal_id=sa.bindparam("principal_id"),
        generation=sa.bindparam("generation"),
        token_id=sa.bindparam("token_id"),
        trust_id=sa.bindparam("trust_id"),
        scopes=sa.bindparam("scopes"),
        created_at=sa.bindparam("created_at"),
        expires_at=sa.bindparam("expires_at"),
        spent_at=sa.bindparam("spent_at"),
    ),
)
FIND_REFRESH = Query(
    "find_refresh",
    sa.select(
        refresh.c.hash,
        refresh.c.family,
        refresh.c.principal_id,
        refresh.c.generation,
        refresh.c.token_id,
        refresh.c.trust_id,
        refresh.c.scopes,
        refresh.c.created_at,
        refresh.c.expires_at,
        refresh.c.spent_at,
        principal.c.kind,
        principal.c.name,
        principal.c.enabled,
        principal.c.generation,
        sa.func.coalesce(token.c.revoked_at, ZERO),
        sa.func.coalesce(token.c.expires_at, ZERO),
        sa.func.coalesce(trust.c.enabled, ZERO),
        sa.func.coalesce(account.c.provider, NO_TEXT),
        sa.func.coalesce(account.c.confirmed_at, ZERO),
    )
    .select_from(refresh)
    .join(principal, principal.c.id == refresh.c.principal_id)
    .outerjoin(token, token.c.id == refresh.c.token_id)
    .outerjoin(trust, trust.c.id == refresh.c.trust_id)
    .outerjoin(account, account.c.principal_id == refresh.c.principal_id)
    .where(refresh.c.hash == sa.bindparam("hash"))
    .where(principal.c.ended_at == LIVE),
)
SPEND_REFRESH = Query(
    "spend_refresh",
    sa.update(refresh)
    .where(refresh.c.hash == sa.bindparam("which"))
    .where(refresh.c.spent_at == LIVE)
    .values(spent_at=sa.bindparam("now")),
)
END_FAMILY = Query(
    "end_family", sa.delete(refresh).where(refresh.c.family == sa.bindparam("which"))
)
LIST_EXPIRED_REFRESH = Query(
    "list_expired_refresh",
    sa.select(refresh.c.hash)
    .where(refresh.c.expires_at <= sa.bindparam("now"))
    .order_by(refresh.c.expires_at)
    .limit(sa.bindparam("limit")),
)
FORGET_REFRESH = Query(
    "forget_refresh", sa.delete(refresh).where(refresh.c.hash == sa.bindparam("which"))
)


async def add_refresh(tx: Tx, added: Refresh) -> None:
    """Add a refresh token."""
    await tx.run(ADD_REFRESH, **msgspec.structs.asdict(added))


async def find_refresh(tx: Tx, hashed: bytes) -> tuple[Refresh, RefreshHolder] | None:
    """Return the refresh token of that hash with whose it is, good or not."""
    row = await tx.one(FIND_REFRESH, hash=hashed)
    if row is None:
        return None
    kind, name, enabled, generation, revoked_at, expires_at, trusted, *others = row[10:]
    holder = RefreshHolder(
        kind, name, bool(enabled), generation, revoked_at, expires_at, bool(trusted), *others
    )
    return Refresh(*row[:10]), holder


async def spend_refresh(tx: Tx, hashed: bytes, now: int) -> bool:
    """Make the refresh token spent; False if it was already."""
    return bool(await tx.run(SPEND_REFRESH, which=hashed, now=now))


async def end_family(tx: Tx, family: str) -> None:
    """End every refresh token that came from one sign-in."""
    await tx.run(END_FAMILY, which=family)


async def forget_refresh(tx: Tx, now: int, limit: int) -> int:
    """Remove up to so many whose time is over, and return how many there were."""
    rows = await tx.many(LIST_EXPIRED_REFRESH, now=now, limit=limit)
    await tx.run_many(FORGET_REFRESH, [{"which": row[0]} for row in rows])
    return len(rows)
