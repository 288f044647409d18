"""Everything that lets somebody in, in the order of ids: for whoever must look it through."""

import sqlalchemy as sa

from moorage.db.access_schema import account, principal, token, trust
from moorage.db.engine import Query, Row, Tx
from moorage.db.repositories import LIVE
from moorage.db.schema import namespace
from moorage.model.backup import Credential

_NONE: sa.ColumnClause[str] = sa.literal_column("''")

LIST_ACCOUNTS = Query(
    "list_accounts_in_force",
    sa.select(
        principal.c.id,
        principal.c.name,
        principal.c.administrator,
        sa.func.coalesce(account.c.provider, _NONE),
    )
    .select_from(principal)
    .join(account, account.c.principal_id == principal.c.id)
    .where(principal.c.id > sa.bindparam("after"))
    .where(principal.c.enabled != LIVE)
    .where(principal.c.ended_at == LIVE)
    .order_by(principal.c.id)
    .limit(sa.bindparam("limit")),
)
LIST_TOKENS = Query(
    "list_tokens_in_force",
    sa.select(
        token.c.id,
        token.c.kind,
        principal.c.name,
        token.c.name,
        token.c.mark,
        token.c.expires_at,
    )
    .select_from(token)
    .join(principal, principal.c.id == token.c.principal_id)
    .where(token.c.id > sa.bindparam("after"))
    .where(token.c.revoked_at == LIVE)
    .where(sa.or_(token.c.expires_at == LIVE, token.c.expires_at > sa.bindparam("now")))
    .where(principal.c.enabled != LIVE)
    .where(principal.c.ended_at == LIVE)
    .order_by(token.c.id)
    .limit(sa.bindparam("limit")),
)
LIST_TRUSTS = Query(
    "list_trusts_in_force",
    sa.select(trust.c.id, namespace.c.name, trust.c.name)
    .select_from(trust)
    .join(namespace, namespace.c.id == trust.c.namespace_id)
    .where(trust.c.id > sa.bindparam("after"))
    .where(trust.c.enabled != LIVE)
    .order_by(trust.c.id)
    .limit(sa.bindparam("limit")),
)


async def list_accounts(tx: Tx, after: int, limit: int) -> list[tuple[int, Credential]]:
    """Return up to `limit` accounts that may sign in, with ids above `after`, and those ids."""
    rows = await tx.many(LIST_ACCOUNTS, after=after, limit=limit)
    return [(row[0], _account(row)) for row in rows]


async def list_tokens(tx: Tx, after: int, limit: int, now: int) -> list[tuple[int, Credential]]:
    """Return up to `limit` tokens that are good, of people and of machines; likewise."""
    rows = await tx.many(LIST_TOKENS, after=after, limit=limit, now=now)
    return [
        (number, Credential(f"{kind} token", owner, name, mark, expires_at))
        for number, kind, owner, name, mark, expires_at in rows
    ]


async def list_trusts(tx: Tx, after: int, limit: int) -> list[tuple[int, Credential]]:
    """Return up to `limit` trusts that let CI systems in; likewise."""
    rows = await tx.many(LIST_TRUSTS, after=after, limit=limit)
    return [(number, Credential("trust", place, name)) for number, place, name in rows]


def _account(row: Row) -> Credential:
    _, name, administrator, provider = row
    kind = "administrator" if administrator else "account"
    return Credential(kind, name, f"by {provider}" if provider else "by password")
