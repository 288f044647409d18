"""What belongs to a principal and ends with it; robots and teams by name; who is in a team."""

from collections.abc import Iterable

import sqlalchemy as sa

from moorage.db.access_schema import (
    grant,
    principal,
    readable,
    team_group,
    team_member,
    token,
    trust,
)
from moorage.db.engine import NO_TEXT, ZERO, Query, Row, Tx, insert
from moorage.db.principals import ADD_PRINCIPAL
from moorage.db.repositories import LIVE
from moorage.db.schema import namespace
from moorage.model.people import ROBOT_MARK, TEAM_MARK, Principal

_principals = sa.select(
    principal.c.id,
    principal.c.kind,
    principal.c.namespace_id,
    principal.c.name,
    principal.c.description,
    principal.c.enabled,
    principal.c.created_at,
).where(principal.c.ended_at == LIVE)
_home = (
    sa.select(namespace.c.id).where(namespace.c.name == sa.bindparam("namespace")).scalar_subquery()
)
# No namespace is called ''; accounts are found by that.
FIND_PRINCIPAL = Query(
    "find_principal",
    _principals.where(principal.c.kind == sa.bindparam("kind"))
    .where(principal.c.namespace_id == sa.func.coalesce(_home, ZERO))
    .where(principal.c.name == sa.bindparam("name")),
)
FIND_PRINCIPAL_BY_ID = Query(
    "find_principal_by_id", _principals.where(principal.c.id == sa.bindparam("number"))
)
LIST_PRINCIPALS = Query(
    "list_principals",
    _principals.where(principal.c.kind == sa.bindparam("kind"))
    .where(principal.c.namespace_id == sa.bindparam("namespace_id"))
    .where(principal.c.name > sa.bindparam("after"))
    .order_by(principal.c.name)
    .limit(sa.bindparam("limit")),
)
END_PRINCIPAL = Query(
    "end_principal",
    sa.update(principal)
    .where(principal.c.id == sa.bindparam("number"))
    .where(principal.c.ended_at == LIVE)
    .values(ended_at=sa.bindparam("now"), enabled=ZERO, administrator=ZERO),
)
END_GRANTS_OF = Query(
    "end_grants_of", sa.delete(grant).where(grant.c.principal_id == sa.bindparam("number"))
)
END_MEMBERSHIPS_OF = Query(
    "end_memberships_of",
    sa.delete(team_member).where(team_member.c.account_id == sa.bindparam("number")),
)
END_MEMBERS_OF = Query(
    "end_members_of",
    sa.delete(team_member).where(team_member.c.team_id == sa.bindparam("number")),
)
END_GROUPS_OF = Query(
    "end_groups_of", sa.delete(team_group).where(team_group.c.team_id == sa.bindparam("number"))
)
END_TRUSTS_OF = Query(
    "end_trusts_of", sa.delete(trust).where(trust.c.robot_id == sa.bindparam("number"))
)
REVOKE_TOKENS_OF = Query(
    "revoke_tokens_of",
    sa.update(token)
    .where(token.c.principal_id == sa.bindparam("number"))
    .where(token.c.revoked_at == LIVE)
    .values(revoked_at=sa.bindparam("now")),
)
REVOKE_SESSIONS_OF = Query(
    "revoke_sessions_of",
    sa.update(token)
    .where(token.c.principal_id == sa.bindparam("number"))
    .where(token.c.kind == sa.literal_column("'session'"))
    .where(token.c.revoked_at == LIVE)
    .values(revoked_at=sa.bindparam("now")),
)
LIST_READABLE_OF = Query(
    "list_readable_of",
    sa.select(readable.c.name)
    .where(readable.c.principal_id == sa.bindparam("number"))
    .order_by(readable.c.name)
    .limit(sa.bindparam("limit")),
)
ADD_MEMBER = Query(
    "add_member",
    insert(team_member)
    .values(
        account_id=sa.bindparam("account_id"),
        team_id=sa.bindparam("team_id"),
        source=NO_TEXT,
        added_at=sa.bindparam("now"),
    )
    .on_conflict_do_nothing(),
)
END_MEMBER = Query(
    "end_member",
    sa.delete(team_member)
    .where(team_member.c.account_id == sa.bindparam("account_id"))
    .where(team_member.c.team_id == sa.bindparam("team_id"))
    .where(team_member.c.source == NO_TEXT),
)
LIST_MEMBERS = Query(
    "list_members",
    sa.select(team_member.c.account_id, principal.c.name, team_member.c.source)
    .select_from(team_member)
    .join(principal, principal.c.id == team_member.c.account_id)
    .where(team_member.c.team_id == sa.bindparam("team_id"))
    .where(team_member.c.account_id > sa.bindparam("after"))
    .order_by(team_member.c.account_id)
    .limit(sa.bindparam("limit")),
)


def _principal_of(row: Row) -> Principal:
    number, kind, namespace_id, name, description, enabled, created_at = row
    return Principal(number, kind, namespace_id, name, description, bool(enabled), created_at)


def home_of(who: str) -> tuple[str, str]:
    """Return the kind of principal that a name is of, and its namespace; none for an account."""
    for mark, kind in ((ROBOT_MARK, "robot"), (TEAM_MARK, "team")):
        namespace_name, found, _ = who.partition(mark)
        if found:
            return kind, namespace_name
    return "account", ""


async def find_principal(tx: Tx, who: str) -> Principal | None:
    """Return the live account, robot `NAMESPACE+NAME` or team `NAMESPACE/NAME` of that name."""
    kind, home = home_of(who)
    row = await tx.one(FIND_PRINCIPAL, kind=kind, namespace=home, name=who)
    return _principal_of(row) if row else None


async def find_principal_by_id(tx: Tx, principal_id: int) -> Principal | None:
    """Return the live principal of that id."""
    row = await tx.one(FIND_PRINCIPAL_BY_ID, number=principal_id)
    return _principal_of(row) if row else None


async def list_principals(
    tx: Tx, kind: str, namespace_id: int, after: str, limit: int
) -> list[Principal]:
    """Return up to `limit` robots or teams of the namespace whose names come behind `after`."""
    rows = await tx.many(
        LIST_PRINCIPALS, kind=kind, namespace_id=namespace_id, after=after, limit=limit
    )
    return [_principal_of(row) for row in rows]


async def add_principal(
    tx: Tx, kind: str, namespace_id: int, name: str, description: str, now: int
) -> int | None:
    """Add a robot or team and return its id, None if the name is taken."""
    row = await tx.one(
        ADD_PRINCIPAL,
        kind=kind,
        namespace_id=namespace_id,
        name=name,
        description=description,
        administrator=0,
        now=now,
    )
    return row[0] if row else None


async def end_principal(tx: Tx, principal_id: int, now: int) -> None:
    """End a principal with all that was given to it or hangs on it; its name is free again."""
    await tx.run(END_PRINCIPAL, number=principal_id, now=now)
    for query in (
        END_GRANTS_OF,
        END_MEMBERSHIPS_OF,
        END_MEMBERS_OF,
        END_GROUPS_OF,
        END_TRUSTS_OF,
    ):
        await tx.run(query, number=principal_id)
    await tx.run(REVOKE_TOKENS_OF, number=principal_id, now=now)


async def revoke_tokens(tx: Tx, principal_id: int, now: int) -> None:
    """Revoke all tokens of the principal, its sessions among them."""
    await tx.run(REVOKE_TOKENS_OF, number=principal_id, now=now)


async def revoke_sessions(tx: Tx, principal_id: int, now: int) -> None:
    """Sign the account out of all pages; its other tokens stay."""
    await tx.run(REVOKE_SESSIONS_OF, number=principal_id, now=now)


async def list_readable_of(tx: Tx, principal_id: int, limit: int) -> list[str]:
    """Return up to `limit` names that the principal still finds in the catalogue."""
    rows = await tx.many(LIST_READABLE_OF, number=principal_id, limit=limit)
    return [row[0] for row in rows]


async def add_member(tx: Tx, team_id: int, account_id: int, now: int) -> bool:
    """Put the account into the team by hand, and tell whether it was not in it so."""
    added = await tx.run(ADD_MEMBER, account_id=account_id, team_id=team_id, now=now)
    return bool(added)


async def end_member(tx: Tx, team_id: int, account_id: int) -> bool:
    """Take out who was put in by hand, and tell whether it was; a provider's word stays."""
    return bool(await tx.run(END_MEMBER, account_id=account_id, team_id=team_id))


async def list_members(tx: Tx, team_id: int, after: int, limit: int) -> list[tuple[int, str, str]]:
    """Return up to `limit` members with ids above `after`: id, name, and whose word it is."""
    rows = await tx.many(LIST_MEMBERS, team_id=team_id, after=after, limit=limit)
    return [(row[0], row[1], row[2]) for row in rows]


async def join_teams(tx: Tx, account_id: int, teams: Iterable[int], now: int) -> None:
    """Put the account into those of the teams that still live."""
    for team_id in sorted(set(teams)):
        found = await find_principal_by_id(tx, team_id)
        if found is not None and found.kind == "team":
            await add_member(tx, team_id, account_id, now)
