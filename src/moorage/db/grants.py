"""Grants: who has which role where, and the catalogue's candidates that follow from them."""

import sqlalchemy as sa

from moorage.db.access_schema import grant, principal, team_member
from moorage.db.engine import NO_TEXT, ONE, ZERO, Query, Row, Tx, insert
from moorage.db.repositories import END_READER, LIVE, PUT_READER
from moorage.db.schema import namespace, repository
from moorage.model.access import Role
from moorage.model.people import GrantRecord

_put = insert(grant).values(
    principal_id=sa.bindparam("principal_id"),
    namespace_id=sa.bindparam("namespace_id"),
    repository_id=sa.bindparam("repository_id"),
    role=sa.bindparam("role"),
    rank=sa.bindparam("rank"),
    audits=sa.bindparam("audits"),
    granted_at=sa.bindparam("now"),
    granted_by=sa.bindparam("granted_by"),
)
PUT_GRANT = Query(
    "put_grant",
    _put.on_conflict_do_update(
        index_elements=["principal_id", "namespace_id", "repository_id"],
        set_={
            "role": _put.excluded.role,
            "rank": _put.excluded.rank,
            "audits": _put.excluded.audits,
            "granted_at": _put.excluded.granted_at,
            "granted_by": _put.excluded.granted_by,
        },
    ),
)
END_GRANT = Query(
    "end_grant",
    sa.delete(grant)
    .where(grant.c.principal_id == sa.bindparam("principal_id"))
    .where(grant.c.namespace_id == sa.bindparam("namespace_id"))
    .where(grant.c.repository_id == sa.bindparam("repository_id")),
)
_records = (
    sa.select(
        grant.c.principal_id,
        principal.c.name,
        principal.c.kind,
        grant.c.repository_id,
        sa.func.coalesce(repository.c.name, NO_TEXT),
        grant.c.role,
        grant.c.granted_at,
        grant.c.granted_by,
    )
    .select_from(grant)
    .join(principal, principal.c.id == grant.c.principal_id)
    .outerjoin(repository, repository.c.id == grant.c.repository_id)
)
FIND_GRANT = Query(
    "find_grant",
    _records.where(grant.c.principal_id == sa.bindparam("principal_id"))
    .where(grant.c.namespace_id == sa.bindparam("namespace_id"))
    .where(grant.c.repository_id == sa.bindparam("repository_id")),
)
LIST_GRANTS_AT = Query(
    "list_grants_at",
    _records.where(grant.c.namespace_id == sa.bindparam("namespace_id"))
    .where(grant.c.repository_id == sa.bindparam("repository_id"))
    .where(grant.c.principal_id > sa.bindparam("after"))
    .order_by(grant.c.principal_id)
    .limit(sa.bindparam("limit")),
)
LIST_GRANTS_IN = Query(
    "list_grants_in",
    _records.where(grant.c.namespace_id == sa.bindparam("namespace_id"))
    .where(
        sa.tuple_(grant.c.repository_id, grant.c.principal_id)
        > sa.tuple_(
            sa.bindparam("after_repository", type_=sa.BigInteger),
            sa.bindparam("after", type_=sa.BigInteger),
        )
    )
    .order_by(grant.c.repository_id, grant.c.principal_id)
    .limit(sa.bindparam("limit")),
)
# What an account's rights at a place come from: its own grants, and those of its teams.
LIST_PATHS = Query(
    "list_paths",
    _records.where(
        grant.c.principal_id.in_(
            sa.union_all(
                sa.select(sa.cast(sa.bindparam("principal_id"), sa.BigInteger)),
                sa.select(team_member.c.team_id).where(
                    team_member.c.account_id == sa.bindparam("principal_id")
                ),
            )
        )
    )
    .where(grant.c.namespace_id == sa.bindparam("namespace_id"))
    .where(sa.or_(grant.c.repository_id == ZERO, grant.c.repository_id == sa.bindparam("number")))
    .limit(sa.bindparam("limit")),
)
# A principal's own, wherever they are, with the namespace's name first.
LIST_GRANTS_OF = Query(
    "list_grants_of",
    sa.select(namespace.c.id, namespace.c.name, grant.c.repository_id, grant.c.role, grant.c.rank)
    .select_from(grant)
    .join(namespace, namespace.c.id == grant.c.namespace_id)
    .where(grant.c.principal_id == sa.bindparam("principal_id"))
    .where(
        sa.tuple_(grant.c.namespace_id, grant.c.repository_id)
        > sa.tuple_(
            sa.bindparam("after_namespace", type_=sa.BigInteger),
            sa.bindparam("after", type_=sa.BigInteger),
        )
    )
    .order_by(grant.c.namespace_id, grant.c.repository_id)
    .limit(sa.bindparam("limit")),
)
_member = sa.alias(principal, "member")
# A value, not an `EXISTS`: PostgreSQL would look at all members of all teams at once.
_has_member = (
    sa.select(team_member.c.account_id)
    .select_from(team_member.join(_member, _member.c.id == team_member.c.account_id))
    .where(team_member.c.team_id == principal.c.id)
    .where(_member.c.enabled == ONE)
    .where(_member.c.ended_at == LIVE)
    .correlate(principal)
    .limit(ONE)
    .scalar_subquery()
)
FIND_OWNER = Query(
    "find_owner",
    sa.select(grant.c.principal_id)
    .select_from(grant)
    .join(principal, principal.c.id == grant.c.principal_id)
    .where(grant.c.namespace_id == sa.bindparam("namespace_id"))
    .where(grant.c.repository_id == ZERO)
    .where(grant.c.role == sa.literal_column("'owner'"))
    .where(principal.c.enabled == ONE)
    .where(principal.c.ended_at == LIVE)
    .where(sa.or_(principal.c.kind == sa.literal_column("'account'"), _has_member > ZERO))
    .limit(ONE),
)
FIND_RIGHT = Query(
    "find_right_of_principal",
    sa.select(grant.c.rank)
    .where(grant.c.principal_id == sa.bindparam("principal_id"))
    .where(grant.c.namespace_id == sa.bindparam("namespace_id"))
    .where(sa.or_(grant.c.repository_id == ZERO, grant.c.repository_id == sa.bindparam("number")))
    .limit(ONE),
)


def _record_of(row: Row) -> GrantRecord:
    number, who, kind, repository_id, name, role, at, by = row
    return GrantRecord(number, who, kind, repository_id, name, Role(role), at, by)


async def put_grant(
    tx: Tx, principal_id: int, place: tuple[int, int], role: Role, granted_by: str, now: int
) -> None:
    """Give the principal the role at a place, whatever it had there before.

    A place is the id of a namespace and that of a repository in it, 0 for all of them.
    """
    await tx.run(
        PUT_GRANT,
        principal_id=principal_id,
        namespace_id=place[0],
        repository_id=place[1],
        role=role.value,
        rank=role.rank,
        audits=int(role.audits),
        granted_by=granted_by,
        now=now,
    )


async def end_grant(tx: Tx, principal_id: int, place: tuple[int, int]) -> None:
    """Take the principal's role at the place, if it has one."""
    await tx.run(
        END_GRANT, principal_id=principal_id, namespace_id=place[0], repository_id=place[1]
    )


async def find_grant(tx: Tx, principal_id: int, place: tuple[int, int]) -> GrantRecord | None:
    """Return the principal's grant at exactly the place."""
    row = await tx.one(
        FIND_GRANT, principal_id=principal_id, namespace_id=place[0], repository_id=place[1]
    )
    return _record_of(row) if row else None


async def list_grants_at(
    tx: Tx, place: tuple[int, int], after: int, limit: int
) -> list[GrantRecord]:
    """Return up to `limit` grants at exactly the place, of principals with ids above `after`."""
    rows = await tx.many(
        LIST_GRANTS_AT,
        namespace_id=place[0],
        repository_id=place[1],
        after=after,
        limit=limit,
    )
    return [_record_of(row) for row in rows]


async def list_grants_in(
    tx: Tx, namespace_id: int, after: tuple[int, int], limit: int
) -> list[GrantRecord]:
    """Return up to `limit` grants in the namespace, those on all of it first.

    `after` is the last one's repository and principal; (0, 0) begins at the first.
    """
    rows = await tx.many(
        LIST_GRANTS_IN,
        namespace_id=namespace_id,
        after_repository=after[0],
        after=after[1],
        limit=limit,
    )
    return [_record_of(row) for row in rows]


async def list_paths(
    tx: Tx, principal_id: int, place: tuple[int, int], limit: int
) -> list[GrantRecord]:
    """Return up to `limit` grants, the principal's and its teams', that count at the place."""
    rows = await tx.many(
        LIST_PATHS,
        principal_id=principal_id,
        namespace_id=place[0],
        number=place[1],
        limit=limit,
    )
    return [_record_of(row) for row in rows]


async def list_grants_of(
    tx: Tx, principal_id: int, after: tuple[int, int], limit: int
) -> list[tuple[int, str, int, Role]]:
    """Return up to `limit` of the principal's own grants behind a namespace and repository.

    Each is the namespace's id and name, the repository's id, and the role.
    """
    rows = await tx.many(
        LIST_GRANTS_OF,
        principal_id=principal_id,
        after_namespace=after[0],
        after=after[1],
        limit=limit,
    )
    return [(row[0], row[1], row[2], Role(row[3])) for row in rows]


async def has_owner(tx: Tx, namespace_id: int) -> bool:
    """Tell whether a person in force owns the namespace, by itself or through a team."""
    return await tx.one(FIND_OWNER, namespace_id=namespace_id) is not None


async def keep_reader(
    tx: Tx, principal_id: int, namespace_id: int, repository_id: int, name: str
) -> None:
    """Have the principal find the repository if a grant of its own lets it read that."""
    right = await tx.one(
        FIND_RIGHT, principal_id=principal_id, namespace_id=namespace_id, number=repository_id
    )
    if right is not None:
        await tx.run(PUT_READER, principal_id=principal_id, name=name, number=repository_id)
    else:
        await tx.run(END_READER, principal_id=principal_id, name=name)
