"""Providers that people sign in by, and which of their groups are which teams."""

import sqlalchemy as sa

from moorage.db.access_schema import account, principal, provider, team_group, team_member
from moorage.db.engine import NO_TEXT, ONE, Query, Row, Tx, insert
from moorage.db.repositories import LIVE
from moorage.model.providers import Provider

_PAGE = 1_000

_providers = sa.select(
    provider.c.name,
    provider.c.url,
    provider.c.client_id,
    provider.c.client_secret,
    provider.c.scopes,
    provider.c.name_claim,
    provider.c.groups_claim,
    provider.c.enabled,
    provider.c.created_at,
)
_named = _providers.where(provider.c.name == sa.bindparam("name"))
FIND_PROVIDER = Query("find_provider", _named)
# Whoever signs somebody in holds the provider, so that its groups stay what they are.
HOLD_PROVIDER = Query("hold_provider", _named.with_for_update(read=True))
TAKE_PROVIDER = Query("take_provider", _named.with_for_update())
LIST_PROVIDERS = Query(
    "list_providers",
    _providers.where(provider.c.name > sa.bindparam("after"))
    .order_by(provider.c.name)
    .limit(sa.bindparam("limit")),
)
ADD_PROVIDER = Query(
    "add_provider",
    insert(provider)
    .values(
        name=sa.bindparam("name"),
        url=sa.bindparam("url"),
        client_id=sa.bindparam("client_id"),
        client_secret=sa.bindparam("client_secret"),
        scopes=sa.bindparam("scopes"),
        name_claim=sa.bindparam("name_claim"),
        groups_claim=sa.bindparam("groups_claim"),
        enabled=ONE,
        created_at=sa.bindparam("created_at"),
    )
    .on_conflict_do_nothing(),
)
SET_PROVIDER = Query(
    "set_provider",
    sa.update(provider)
    .where(provider.c.name == sa.bindparam("provider_name"))
    .values(enabled=sa.bindparam("is_enabled"), client_secret=sa.bindparam("new_secret")),
)
FIND_ITS_ACCOUNT = Query(
    "find_account_of_provider",
    sa.select(account.c.principal_id)
    .select_from(account)
    .join(principal, principal.c.id == account.c.principal_id)
    .where(account.c.provider != NO_TEXT)
    .where(account.c.provider == sa.bindparam("name"))
    .where(principal.c.ended_at == LIVE)
    .limit(ONE),
)
FIND_ITS_GROUP = Query(
    "find_group_of_provider",
    sa.select(team_group.c.team_id).where(team_group.c.provider == sa.bindparam("name")).limit(ONE),
)
END_PROVIDER = Query(
    "end_provider", sa.delete(provider).where(provider.c.name == sa.bindparam("name"))
)
ADD_GROUP = Query(
    "add_team_group",
    insert(team_group)
    .values(
        provider=sa.bindparam("provider"),
        group_name=sa.bindparam("group_name"),
        team_id=sa.bindparam("team_id"),
    )
    .on_conflict_do_nothing(),
)
END_GROUP = Query(
    "end_team_group",
    sa.delete(team_group)
    .where(team_group.c.provider == sa.bindparam("provider"))
    .where(team_group.c.group_name == sa.bindparam("group_name"))
    .where(team_group.c.team_id == sa.bindparam("team_id")),
)
LIST_TEAM_GROUPS = Query(
    "list_groups_of_team",
    sa.select(team_group.c.provider, team_group.c.group_name)
    .where(team_group.c.team_id == sa.bindparam("team_id"))
    .limit(sa.bindparam("limit")),
)
LIST_GROUPS = Query(
    "list_groups_of_provider",
    sa.select(team_group.c.group_name, team_group.c.team_id)
    .where(team_group.c.provider == sa.bindparam("provider"))
    .where(
        sa.tuple_(team_group.c.group_name, team_group.c.team_id)
        > sa.tuple_(
            sa.bindparam("after", type_=sa.Text), sa.bindparam("after_team", type_=sa.BigInteger)
        )
    )
    .order_by(team_group.c.group_name, team_group.c.team_id)
    .limit(sa.bindparam("limit")),
)
END_MEMBERS_BY = Query(
    "end_members_by_provider",
    sa.delete(team_member)
    .where(team_member.c.team_id == sa.bindparam("team_id"))
    .where(team_member.c.source == sa.bindparam("provider")),
)
LIST_TEAMS_BY = Query(
    "list_teams_by_provider",
    sa.select(team_member.c.team_id)
    .where(team_member.c.account_id == sa.bindparam("account_id"))
    .where(team_member.c.team_id > sa.bindparam("after"))
    .where(team_member.c.source == sa.bindparam("provider"))
    .order_by(team_member.c.team_id)
    .limit(sa.bindparam("limit")),
)
ADD_MEMBER_BY = Query(
    "add_member_by_provider",
    insert(team_member)
    .values(
        account_id=sa.bindparam("account_id"),
        team_id=sa.bindparam("team_id"),
        source=sa.bindparam("provider"),
        added_at=sa.bindparam("now"),
    )
    .on_conflict_do_nothing(),
)
END_MEMBER_BY = Query(
    "end_member_by_provider",
    sa.delete(team_member)
    .where(team_member.c.account_id == sa.bindparam("account_id"))
    .where(team_member.c.team_id == sa.bindparam("team_id"))
    .where(team_member.c.source == sa.bindparam("provider")),
)

LEAVE_ALL_BY = Query(
    "leave_all_by_provider",
    sa.delete(team_member)
    .where(team_member.c.account_id == sa.bindparam("account_id"))
    .where(team_member.c.source == sa.bindparam("provider")),
)


def _provider_of(row: Row) -> Provider:
    name, url, client_id, secret, scopes, name_claim, groups_claim, enabled, created_at = row
    return Provider(
        name,
        url,
        client_id,
        bytes(secret),
        scopes,
        name_claim,
        groups_claim,
        bool(enabled),
        created_at,
    )


async def find_provider(tx: Tx, name: str) -> Provider | None:
    """Return the provider of that name, in force or not."""
    row = await tx.one(FIND_PROVIDER, name=name)
    return _provider_of(row) if row else None


async def hold_provider(tx: Tx, name: str) -> Provider | None:
    """Return the provider, which stays as it is with its groups until the transaction ends."""
    row = await tx.one(HOLD_PROVIDER, name=name)
    return _provider_of(row) if row else None


async def take_provider(tx: Tx, name: str) -> Provider | None:
    """Return the provider, which nobody else holds until the transaction ends."""
    row = await tx.one(TAKE_PROVIDER, name=name)
    return _provider_of(row) if row else None


async def list_providers(tx: Tx, after: str, limit: int) -> list[Provider]:
    """Return up to `limit` providers whose names come behind `after`."""
    return [_provider_of(row) for row in await tx.many(LIST_PROVIDERS, after=after, limit=limit)]


async def add_provider(tx: Tx, wanted: Provider) -> bool:
    """Add a provider, and tell whether its name was free."""
    added = await tx.run(
        ADD_PROVIDER,
        name=wanted.name,
        url=wanted.url,
        client_id=wanted.client_id,
        client_secret=wanted.secret,
        scopes=wanted.scopes,
        name_claim=wanted.name_claim,
        groups_claim=wanted.groups_claim,
        created_at=wanted.created_at,
    )
    return bool(added)


async def set_provider(tx: Tx, name: str, *, enabled: bool, secret: bytes) -> None:
    """Put the provider in or out of force, with this secret."""
    await tx.run(SET_PROVIDER, provider_name=name, is_enabled=int(enabled), new_secret=secret)


async def end_provider(tx: Tx, name: str) -> bool:
    """Remove the provider unless an account or a team hangs on it, and tell whether it was."""
    for query in (FIND_ITS_ACCOUNT, FIND_ITS_GROUP):
        if await tx.one(query, name=name) is not None:
            return False
    return bool(await tx.run(END_PROVIDER, name=name))


async def add_group(tx: Tx, provider_name: str, group: str, team_id: int) -> bool:
    """Have the provider's group be the team, and tell whether it was not."""
    added = await tx.run(ADD_GROUP, provider=provider_name, group_name=group, team_id=team_id)
    return bool(added)


async def end_group(tx: Tx, provider_name: str, group: str, team_id: int) -> bool:
    """Have the group be the team no longer, and tell whether it was.

    Whoever is in the team by the provider's word is out, by whichever group: the next sign-in
    tells who belongs there still.
    """
    if not await tx.run(END_GROUP, provider=provider_name, group_name=group, team_id=team_id):
        return False
    await tx.run(END_MEMBERS_BY, team_id=team_id, provider=provider_name)
    return True


async def list_team_groups(tx: Tx, team_id: int, limit: int) -> list[tuple[str, str]]:
    """Return up to `limit` groups that are the team: provider and group."""
    return [
        (row[0], row[1]) for row in await tx.many(LIST_TEAM_GROUPS, team_id=team_id, limit=limit)
    ]


async def teams_of_groups(tx: Tx, provider_name: str, groups: frozenset[str]) -> set[int]:
    """Return the teams that the provider's groups are."""
    found: set[int] = set()
    after, after_team = "", 0
    while True:
        rows = await tx.many(
            LIST_GROUPS, provider=provider_name, after=after, after_team=after_team, limit=_PAGE
        )
        found |= {row[1] for row in rows if row[0] in groups}
        if len(rows) < _PAGE:
            return found
        after, after_team = rows[-1]


async def list_teams_by(tx: Tx, account_id: int, provider_name: str) -> set[int]:
    """Return the ids of the teams that the account is in by the provider's word."""
    found: set[int] = set()
    after = 0
    while True:
        rows = await tx.many(
            LIST_TEAMS_BY, account_id=account_id, provider=provider_name, after=after, limit=_PAGE
        )
        found |= {row[0] for row in rows}
        if len(rows) < _PAGE:
            return found
        after = rows[-1][0]


async def join_by(tx: Tx, account_id: int, team_id: int, provider_name: str, now: int) -> None:
    """Put the account into the team by the provider's word."""
    await tx.run(
        ADD_MEMBER_BY, account_id=account_id, team_id=team_id, provider=provider_name, now=now
    )


async def leave_by(tx: Tx, account_id: int, team_id: int, provider_name: str) -> None:
    """Take the account out of the team, as far as the provider put it there."""
    await tx.run(END_MEMBER_BY, account_id=account_id, team_id=team_id, provider=provider_name)


async def leave_all(tx: Tx, account_id: int, provider_name: str) -> None:
    """Take the account out of every team that the provider put it into."""
    await tx.run(LEAVE_ALL_BY, account_id=account_id, provider=provider_name)
