"""Tokens by whom they belong to; sign-in finds them by hash, in `db/principals.py`."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.db.access_schema import principal, token
from moorage.db.engine import ZERO, Query, Row, Tx, add_row
from moorage.db.repositories import LIVE
from moorage.model.access import Scope
from moorage.model.people import TokenRecord

_SESSION: sa.ColumnClause[str] = sa.literal_column("'session'")
_TRUST: sa.ColumnClause[str] = sa.literal_column("'trust'")

ADD_TOKEN = Query(
    "add_token",
    sa.insert(token)
    .values(
        principal_id=sa.bindparam("principal_id"),
        kind=sa.bindparam("kind"),
        name=sa.bindparam("name"),
        mark=sa.bindparam("mark"),
        hash=sa.bindparam("hash"),
        scopes=sa.bindparam("scopes"),
        created_at=sa.bindparam("now"),
        expires_at=sa.bindparam("expires_at"),
        last_used_at=ZERO,
        revoked_at=LIVE,
    )
    .returning(token.c.id),
)
_records = sa.select(
    token.c.id,
    token.c.principal_id,
    token.c.kind,
    token.c.name,
    token.c.mark,
    token.c.scopes,
    token.c.created_at,
    token.c.expires_at,
    token.c.last_used_at,
    token.c.revoked_at,
)
FIND_TOKEN = Query(
    "find_token",
    _records.where(token.c.id == sa.bindparam("number")).where(token.c.revoked_at == LIVE),
)
_live = (
    _records.where(token.c.principal_id == sa.bindparam("principal_id"))
    .where(token.c.id > sa.bindparam("after"))
    .where(token.c.revoked_at == LIVE)
    .where(sa.or_(token.c.expires_at == ZERO, token.c.expires_at > sa.bindparam("now")))
    .order_by(token.c.id)
    .limit(sa.bindparam("limit"))
)
LIST_TOKENS = Query(
    "list_tokens", _live.where(token.c.kind != _SESSION).where(token.c.kind != _TRUST)
)
LIST_SESSIONS = Query("list_sessions", _live.where(token.c.kind == _SESSION))
REVOKE_TOKEN = Query(
    "revoke_token",
    sa.update(token)
    .where(token.c.id == sa.bindparam("number"))
    .where(token.c.revoked_at == LIVE)
    .values(revoked_at=sa.bindparam("now")),
)
# Only ever earlier.
EXPIRE_TOKEN = Query(
    "expire_token",
    sa.update(token)
    .where(token.c.id == sa.bindparam("number"))
    .where(sa.or_(token.c.expires_at == ZERO, token.c.expires_at > sa.bindparam("until")))
    .values(expires_at=sa.bindparam("until")),
)
NOTE_USE = Query(
    "note_token_use",
    sa.update(token)
    .where(token.c.id == sa.bindparam("number"))
    .where(token.c.last_used_at < sa.bindparam("at"))
    .values(last_used_at=sa.bindparam("at")),
)
FIND_SESSION = Query(
    "find_session",
    sa.select(token.c.id, principal.c.id, principal.c.name, token.c.expires_at)
    .select_from(token)
    .join(principal, principal.c.id == token.c.principal_id)
    .where(token.c.hash == sa.bindparam("hash"))
    .where(token.c.kind == _SESSION)
    .where(token.c.revoked_at == LIVE)
    .where(token.c.expires_at > sa.bindparam("now"))
    .where(principal.c.enabled != ZERO)
    .where(principal.c.ended_at == LIVE),
)
LIST_OLD_TOKENS = Query(
    "list_old_tokens",
    sa.select(token.c.id)
    .where(token.c.expires_at != ZERO)
    .where(token.c.expires_at < sa.bindparam("before"))
    .order_by(token.c.expires_at)
    .limit(sa.bindparam("limit")),
)
FORGET_TOKEN = Query("forget_token", sa.delete(token).where(token.c.id == sa.bindparam("number")))


class Session(msgspec.Struct, frozen=True):
    """A session in force and whose it is."""

    token_id: int
    principal_id: int
    name: str
    expires_at: int


class _KeptScope(msgspec.Struct, frozen=True):
    pattern: str
    actions: list[str]


def _record_of(row: Row) -> TokenRecord:
    values = list(row)
    kept = bytes(values[5])
    found = msgspec.json.decode(kept, type=list[_KeptScope]) if kept else None
    values[5] = (
        None
        if found is None
        else tuple(Scope(each.pattern, frozenset(each.actions)) for each in found)
    )
    return TokenRecord(*values)


async def add_token(tx: Tx, record: TokenRecord, hashed: bytes, scopes: bytes) -> int:
    """Keep a token by the hash of its secret, and return its id; `scopes` are the record's."""
    return await add_row(
        tx,
        ADD_TOKEN,
        principal_id=record.principal_id,
        kind=record.kind,
        name=record.name,
        mark=record.mark,
        hash=hashed,
        scopes=scopes,
        now=record.created_at,
        expires_at=record.expires_at,
    )


async def find_token(tx: Tx, token_id: int) -> TokenRecord | None:
    """Return the token unless it has been revoked."""
    row = await tx.one(FIND_TOKEN, number=token_id)
    return _record_of(row) if row else None


async def list_tokens(
    tx: Tx, principal_id: int, after: int, limit: int, now: int
) -> list[TokenRecord]:
    """Return up to `limit` tokens in force with ids above `after`; sessions are not among them."""
    rows = await tx.many(LIST_TOKENS, principal_id=principal_id, after=after, limit=limit, now=now)
    return [_record_of(row) for row in rows]


async def list_sessions(
    tx: Tx, principal_id: int, after: int, limit: int, now: int
) -> list[TokenRecord]:
    """Return up to `limit` sessions in force with ids above `after`."""
    rows = await tx.many(
        LIST_SESSIONS, principal_id=principal_id, after=after, limit=limit, now=now
    )
    return [_record_of(row) for row in rows]


async def revoke_token(tx: Tx, token_id: int, now: int) -> bool:
    """Revoke the token, and tell whether it was not so already."""
    return bool(await tx.run(REVOKE_TOKEN, number=token_id, now=now))


async def expire_token(tx: Tx, token_id: int, until: int) -> None:
    """Have the token end at that time, if it would not earlier."""
    await tx.run(EXPIRE_TOKEN, number=token_id, until=until)


async def note_uses(tx: Tx, uses: Mapping[int, int]) -> None:
    """Write down when tokens were last used."""
    rows: list[dict[str, Any]] = [{"number": each, "at": at} for each, at in sorted(uses.items())]
    await tx.run_many(NOTE_USE, rows)


async def find_session(tx: Tx, hashed: bytes, now: int) -> Session | None:
    """Return the session of that hash, if it and its account are in force."""
    row = await tx.one(FIND_SESSION, hash=hashed, now=now)
    return Session(*row) if row else None


async def forget_tokens(tx: Tx, before: int, limit: int) -> int:
    """Forget up to `limit` tokens that expired before that time; return how many."""
    old = await tx.many(LIST_OLD_TOKENS, before=before, limit=limit)
    for (number,) in old:
        await tx.run(FORGET_TOKEN, number=number)
    return len(old)
