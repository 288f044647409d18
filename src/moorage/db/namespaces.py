"""Namespaces as such: made, listed, set, and ended once they are empty."""

import sqlalchemy as sa

from moorage.db.access_schema import grant, principal, tag_rule, team_member, trust
from moorage.db.engine import ONE, ZERO, Query, Tx
from moorage.db.repositories import ADD_NAMESPACE, LIVE
from moorage.db.schema import namespace, repository
from moorage.model.access import Subject
from moorage.model.people import NamespaceRecord

_records = sa.select(namespace.c.id, namespace.c.name, namespace.c.kind, namespace.c.visibility)
FIND_NAMESPACE_RECORD = Query(
    "find_namespace_record", _records.where(namespace.c.name == sa.bindparam("name"))
)
LIST_NAMESPACES = Query(
    "list_namespaces",
    _records.where(namespace.c.name > sa.bindparam("after"))
    .order_by(namespace.c.name)
    .limit(sa.bindparam("limit")),
)
# A value, not an `EXISTS`, so that the page comes in the order of the index.
_theirs = (
    sa.select(grant.c.principal_id)
    .where(grant.c.namespace_id == namespace.c.id)
    .where(
        grant.c.principal_id.in_(
            sa.union_all(
                sa.select(sa.cast(sa.bindparam("principal_id"), sa.BigInteger)),
                sa.select(team_member.c.team_id).where(
                    team_member.c.account_id == sa.bindparam("principal_id")
                ),
            )
        )
    )
    .correlate(namespace)
    .limit(ONE)
    .scalar_subquery()
)
LIST_OWN_NAMESPACES = Query(
    "list_own_namespaces",
    _records.where(namespace.c.name > sa.bindparam("after"))
    .where(_theirs > ZERO)
    .order_by(namespace.c.name)
    .limit(sa.bindparam("limit")),
)
SET_NAMESPACE_VISIBILITY = Query(
    "set_namespace_visibility",
    sa.update(namespace)
    .where(namespace.c.id == sa.bindparam("number"))
    .values(visibility=sa.bindparam("new_visibility")),
)
SET_REPOSITORY_VISIBILITY = Query(
    "set_repository_visibility",
    sa.update(repository)
    .where(repository.c.id == sa.bindparam("number"))
    .values(visibility=sa.bindparam("new_visibility")),
)
FIND_ANY_REPOSITORY = Query(
    "find_any_repository",
    sa.select(repository.c.id)
    .where(repository.c.namespace_id == sa.bindparam("namespace_id"))
    .limit(ONE),
)
LIST_LIVE_REPOSITORIES = Query(
    "list_live_repositories",
    sa.select(repository.c.id, repository.c.name)
    .where(repository.c.namespace_id == sa.bindparam("namespace_id"))
    .where(repository.c.name > sa.bindparam("after"))
    .where(repository.c.trash_until == LIVE)
    .order_by(repository.c.name)
    .limit(sa.bindparam("limit")),
)
FIND_ANY_BELONGING = Query(
    "find_any_belonging",
    sa.select(principal.c.id)
    .where(principal.c.kind == sa.bindparam("kind"))
    .where(principal.c.namespace_id == sa.bindparam("namespace_id"))
    .where(principal.c.ended_at == LIVE)
    .limit(ONE),
)
END_GRANTS_IN = Query(
    "end_grants_in", sa.delete(grant).where(grant.c.namespace_id == sa.bindparam("namespace_id"))
)
END_RULES_IN = Query(
    "end_rules_in",
    sa.delete(tag_rule).where(tag_rule.c.namespace_id == sa.bindparam("namespace_id")),
)
END_TRUSTS_IN = Query(
    "end_trusts_in", sa.delete(trust).where(trust.c.namespace_id == sa.bindparam("namespace_id"))
)
# No repository came into it meanwhile: one that is being made waits for the lock on the name.
END_NAMESPACE = Query(
    "end_namespace", sa.delete(namespace).where(namespace.c.id == sa.bindparam("namespace_id"))
)


async def find_namespace(tx: Tx, name: str) -> NamespaceRecord | None:
    """Return the namespace of that name."""
    row = await tx.one(FIND_NAMESPACE_RECORD, name=name)
    return NamespaceRecord(*row) if row else None


async def list_namespaces(tx: Tx, after: str, limit: int) -> list[NamespaceRecord]:
    """Return up to `limit` namespaces behind `after`, in ASCII order."""
    rows = await tx.many(LIST_NAMESPACES, after=after, limit=limit)
    return [NamespaceRecord(*row) for row in rows]


async def list_own_namespaces(
    tx: Tx, subject: Subject, after: str, limit: int
) -> list[NamespaceRecord]:
    """Return up to `limit` namespaces behind `after` in which the subject was given anything."""
    rows = await tx.many(
        LIST_OWN_NAMESPACES, principal_id=subject.principal_id, after=after, limit=limit
    )
    return [NamespaceRecord(*row) for row in rows]


async def add_namespace(tx: Tx, name: str, kind: str, visibility: str, now: int) -> int | None:
    """Add a namespace and return its id, None if there is one of that name."""
    added = await tx.run(ADD_NAMESPACE, name=name, kind=kind, visibility=visibility, now=now)
    found = await find_namespace(tx, name) if added else None
    return found.id if found else None


async def set_default_visibility(tx: Tx, namespace_id: int, visibility: str) -> None:
    """Say how visible the repositories are that pushes will make in the namespace."""
    await tx.run(SET_NAMESPACE_VISIBILITY, number=namespace_id, new_visibility=visibility)


async def set_visibility(tx: Tx, repository_id: int, visibility: str) -> None:
    """Say how visible a repository is; `repositories.put_everybody` is to follow."""
    await tx.run(SET_REPOSITORY_VISIBILITY, number=repository_id, new_visibility=visibility)


async def list_repositories_in(
    tx: Tx, namespace_id: int, after: str, limit: int
) -> list[tuple[int, str]]:
    """Return ids and names of up to `limit` live repositories of the namespace behind `after`."""
    rows = await tx.many(
        LIST_LIVE_REPOSITORIES, namespace_id=namespace_id, after=after, limit=limit
    )
    return [(row[0], row[1]) for row in rows]


async def is_in_use(tx: Tx, namespace_id: int) -> str:
    """Return what the namespace still has, empty if it has nothing that would be lost."""
    if await tx.many(LIST_LIVE_REPOSITORIES, namespace_id=namespace_id, after="", limit=1):
        return "repositories"
    if await tx.one(FIND_ANY_REPOSITORY, namespace_id=namespace_id) is not None:
        return "repositories in its trash"
    for kind in ("robot", "team"):
        if await tx.one(FIND_ANY_BELONGING, kind=kind, namespace_id=namespace_id) is not None:
            return f"{kind}s"
    return ""


async def end_namespace(tx: Tx, namespace_id: int) -> None:
    """Remove an empty namespace with the grants, rules and trusts of it; ids are never re-used."""
    for query in (END_GRANTS_IN, END_RULES_IN, END_TRUSTS_IN, END_NAMESPACE):
        await tx.run(query, namespace_id=namespace_id)
