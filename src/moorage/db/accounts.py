"""Accounts as they are shown and kept in order; sign-in's own view is in `db/principals.py`."""

from typing import Any

import sqlalchemy as sa

from moorage.db.access_schema import account, principal
from moorage.db.engine import EMPTY, NO_TEXT, ONE, ZERO, Query, Row, Tx
from moorage.db.repositories import LIVE
from moorage.model.people import AccountRecord

_ACCOUNT: sa.ColumnClause[str] = sa.literal_column("'account'")

_shown = (
    sa.select(
        principal.c.id,
        principal.c.name,
        account.c.full_name,
        account.c.email,
        principal.c.enabled,
        principal.c.administrator,
        sa.case((account.c.password == NO_TEXT, ZERO), else_=ONE),
        sa.case((account.c.totp == EMPTY, ZERO), else_=ONE),
        account.c.provider,
        principal.c.created_at,
    )
    .select_from(principal)
    .join(account, account.c.principal_id == principal.c.id)
    .where(principal.c.kind == _ACCOUNT)
    .where(principal.c.namespace_id == ZERO)
    .where(principal.c.ended_at == LIVE)
)
SHOW_ACCOUNT = Query("show_account", _shown.where(principal.c.name == sa.bindparam("name")))
LIST_ACCOUNTS = Query(
    "list_accounts",
    _shown.where(principal.c.name > sa.bindparam("after"))
    .order_by(principal.c.name)
    .limit(sa.bindparam("limit")),
)
FIND_OTHER_ADMINISTRATOR = Query(
    "find_other_administrator",
    sa.select(principal.c.id)
    .where(principal.c.kind == _ACCOUNT)
    .where(principal.c.namespace_id == ZERO)
    .where(principal.c.ended_at == LIVE)
    .where(principal.c.enabled == ONE)
    .where(principal.c.administrator == ONE)
    .where(principal.c.id != sa.bindparam("number"))
    .limit(ONE),
)
SET_PROFILE = Query(
    "set_profile",
    sa.update(account)
    .where(account.c.principal_id == sa.bindparam("number"))
    .values(full_name=sa.bindparam("new_full_name"), email=sa.bindparam("new_email")),
)
SET_TOTP = Query(
    "set_totp",
    sa.update(account)
    .where(account.c.principal_id == sa.bindparam("number"))
    .values(totp=sa.bindparam("secret"), totp_step=sa.bindparam("step")),
)
USE_TOTP = Query(
    "use_totp",
    sa.update(account)
    .where(account.c.principal_id == sa.bindparam("number"))
    .where(account.c.totp == sa.bindparam("secret"))
    .where(account.c.totp_step < sa.bindparam("step"))
    .values(totp_step=sa.bindparam("step")),
)


def _record_of(row: Row) -> AccountRecord:
    values: list[Any] = list(row)
    values[4:8] = [bool(each) for each in values[4:8]]
    return AccountRecord(*values)


async def show_account(tx: Tx, name: str) -> AccountRecord | None:
    """Return the live account of that name."""
    row = await tx.one(SHOW_ACCOUNT, name=name)
    return _record_of(row) if row else None


async def list_accounts(tx: Tx, after: str, limit: int) -> list[AccountRecord]:
    """Return up to `limit` live accounts whose names come behind `after`."""
    return [_record_of(row) for row in await tx.many(LIST_ACCOUNTS, after=after, limit=limit)]


async def has_other_administrator(tx: Tx, principal_id: int) -> bool:
    """Tell whether an account other than this one is an administrator in force."""
    return await tx.one(FIND_OTHER_ADMINISTRATOR, number=principal_id) is not None


async def set_profile(tx: Tx, principal_id: int, full_name: str, email: str) -> None:
    """Write down what the person is called."""
    await tx.run(SET_PROFILE, number=principal_id, new_full_name=full_name, new_email=email)


async def set_totp(tx: Tx, principal_id: int, sealed: bytes, step: int) -> None:
    """Keep the second factor's sealed secret, and the step whose code was used for it."""
    await tx.run(SET_TOTP, number=principal_id, secret=sealed, step=step)


async def use_totp(tx: Tx, principal_id: int, sealed: bytes, step: int) -> bool:
    """Spend a step's code, and tell whether it was good still; no code is good twice."""
    return bool(await tx.run(USE_TOTP, number=principal_id, secret=sealed, step=step))
