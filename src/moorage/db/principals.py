"""Accounts, robots and teams as such: their names, and whether they are in force."""

import msgspec
import sqlalchemy as sa

from moorage.db.access_schema import account, principal, token
from moorage.db.engine import NO_TEXT, ONE, ZERO, Query, Row, Tx, insert
from moorage.db.repositories import LIVE

_ACCOUNT: sa.ColumnClause[str] = sa.literal_column("'account'")


class Account(msgspec.Struct, frozen=True):
    """A live account as sign-in needs it; `password` is its hash, empty if it has none."""

    id: int
    name: str
    enabled: bool
    administrator: bool
    generation: int
    password: str
    totp: bytes
    provider: str
    confirmed_at: int


class Holder(msgspec.Struct, frozen=True):
    """A token with whoever signs in by it; `namespace` is a robot's, empty for an account."""

    token_id: int
    principal_id: int
    kind: str
    name: str
    enabled: bool
    generation: int
    scopes: bytes
    expires_at: int
    revoked_at: int
    last_used_at: int
    provider: str
    confirmed_at: int


_accounts = (
    sa.select(
        principal.c.id,
        principal.c.name,
        principal.c.enabled,
        principal.c.administrator,
        principal.c.generation,
        account.c.password,
        account.c.totp,
        account.c.provider,
        account.c.confirmed_at,
    )
    .select_from(principal)
    .join(account, account.c.principal_id == principal.c.id)
    .where(principal.c.ended_at == LIVE)
)
FIND_ACCOUNT = Query(
    "find_account_by_name",
    _accounts.where(principal.c.kind == _ACCOUNT)
    .where(principal.c.namespace_id == ZERO)
    .where(principal.c.name == sa.bindparam("name")),
)
FIND_ACCOUNT_BY_ID = Query(
    "find_account_by_id", _accounts.where(principal.c.id == sa.bindparam("principal_id"))
)
# Any principal will do: an account comes before all else, and rows are never removed.
FIND_ANY = Query(
    "find_any_principal",
    sa.select(principal.c.id).where(principal.c.id > ZERO).limit(ONE),
)
FIND_HOLDER = Query(
    "find_token_holder",
    sa.select(
        token.c.id,
        principal.c.id,
        principal.c.kind,
        principal.c.name,
        principal.c.enabled,
        principal.c.generation,
        token.c.scopes,
        token.c.expires_at,
        token.c.revoked_at,
        token.c.last_used_at,
        sa.func.coalesce(account.c.provider, NO_TEXT),
        sa.func.coalesce(account.c.confirmed_at, ZERO),
    )
    .select_from(token)
    .join(principal, principal.c.id == token.c.principal_id)
    .outerjoin(account, account.c.principal_id == principal.c.id)
    .where(token.c.hash == sa.bindparam("hash"))
    .where(principal.c.ended_at == LIVE),
)
ADD_PRINCIPAL = Query(
    "add_principal",
    insert(principal)
    .values(
        kind=sa.bindparam("kind"),
        namespace_id=sa.bindparam("namespace_id"),
        name=sa.bindparam("name"),
        description=sa.bindparam("description"),
        enabled=ONE,
        administrator=sa.bindparam("administrator"),
        generation=ONE,
        created_at=sa.bindparam("now"),
        ended_at=LIVE,
    )
    .on_conflict_do_nothing()
    .returning(principal.c.id),
)
ADD_ACCOUNT = Query(
    "add_account",
    sa.insert(account).values(
        principal_id=sa.bindparam("number"),
        full_name=sa.bindparam("full_name"),
        email=sa.bindparam("email"),
        password=sa.bindparam("password"),
        password_at=sa.bindparam("now"),
        totp=sa.bindparam("totp"),
        totp_step=ZERO,
        provider=sa.bindparam("provider"),
        provider_subject=sa.bindparam("provider_subject"),
        confirmed_at=sa.bindparam("now"),
    ),
)
SET_PASSWORD = Query(
    "set_password",
    sa.update(account)
    .where(account.c.principal_id == sa.bindparam("number"))
    .values(password=sa.bindparam("new_password"), password_at=sa.bindparam("now")),
)
# What a principal was given before is over: every credential carries the generation it saw.
NEXT_GENERATION = Query(
    "next_generation",
    sa.update(principal)
    .where(principal.c.id == sa.bindparam("number"))
    .values(generation=principal.c.generation + ONE),
)
SET_STANDING = Query(
    "set_standing",
    sa.update(principal)
    .where(principal.c.id == sa.bindparam("number"))
    .where(principal.c.ended_at == LIVE)
    .values(enabled=sa.bindparam("is_enabled"), administrator=sa.bindparam("is_administrator")),
)


def _account_of(row: Row) -> Account:
    number, name, enabled, administrator, *others = row
    return Account(number, name, bool(enabled), bool(administrator), *others)


async def has_accounts(tx: Tx) -> bool:
    """Tell whether anybody has ever had an account."""
    return await tx.one(FIND_ANY) is not None


async def find_account(tx: Tx, name: str) -> Account | None:
    """Return the live account of that name, in force or not."""
    row = await tx.one(FIND_ACCOUNT, name=name)
    return _account_of(row) if row else None


async def find_account_by_id(tx: Tx, principal_id: int) -> Account | None:
    """Return the live account of that id, in force or not."""
    row = await tx.one(FIND_ACCOUNT_BY_ID, principal_id=principal_id)
    return _account_of(row) if row else None


async def find_holder(tx: Tx, hashed: bytes) -> Holder | None:
    """Return the token of that hash with its principal, in force or not."""
    row = await tx.one(FIND_HOLDER, hash=hashed)
    if row is None:
        return None
    number, principal_id, kind, name, enabled, *others = row
    return Holder(number, principal_id, kind, name, bool(enabled), *others)


async def add_account(  # noqa: PLR0913 - one row
    tx: Tx,
    name: str,
    *,
    password: str,
    administrator: bool,
    now: int,
    full_name: str = "",
    email: str = "",
    provider: str = "",
    provider_subject: str = "",
) -> int | None:
    """Add an account and return its id, None if the name is taken."""
    row = await tx.one(
        ADD_PRINCIPAL,
        kind="account",
        namespace_id=0,
        name=name,
        description="",
        administrator=int(administrator),
        now=now,
    )
    if row is None:
        return None
    await tx.run(
        ADD_ACCOUNT,
        number=row[0],
        full_name=full_name,
        email=email,
        password=password,
        totp=b"",
        provider=provider,
        provider_subject=provider_subject,
        now=now,
    )
    number: int = row[0]
    return number


async def set_password(tx: Tx, principal_id: int, password: str, now: int) -> None:
    """Give the account another password hash; all that it signed in with before is over."""
    await tx.run(SET_PASSWORD, number=principal_id, new_password=password, now=now)
    await tx.run(NEXT_GENERATION, number=principal_id)


async def end_credentials(tx: Tx, principal_id: int) -> None:
    """End everything that the principal signed in with; its tokens stay."""
    await tx.run(NEXT_GENERATION, number=principal_id)


async def set_standing(tx: Tx, principal_id: int, *, enabled: bool, administrator: bool) -> None:
    """Put the principal in or out of force."""
    await tx.run(
        SET_STANDING,
        number=principal_id,
        is_enabled=int(enabled),
        is_administrator=int(administrator),
    )
