"""Namespaces and repositories."""

import sqlalchemy as sa

from moorage.db.engine import Query, Raced, Tx, insert
from moorage.db.schema import namespace, repository
from moorage.model.artifacts import Repository
from moorage.oci.names import RepositoryName

LIVE: sa.ColumnClause[int] = sa.literal_column("0")

FIND_REPOSITORY = Query(
    "find_repository",
    sa.select(
        repository.c.id,
        repository.c.namespace_id,
        repository.c.name,
        repository.c.visibility,
    )
    .where(repository.c.name == sa.bindparam("name"))
    .where(repository.c.trash_until == LIVE),
)
FIND_NAMESPACE = Query(
    "find_namespace",
    sa.select(namespace.c.id).where(namespace.c.name == sa.bindparam("name")),
)
ADD_NAMESPACE = Query(
    "add_namespace",
    insert(namespace)
    .values(
        name=sa.bindparam("name"),
        kind=sa.bindparam("kind"),
        created_at=sa.bindparam("now"),
    )
    .on_conflict_do_nothing(),
)
ADD_REPOSITORY = Query(
    "add_repository",
    insert(repository)
    .values(
        namespace_id=sa.bindparam("namespace_id"),
        name=sa.bindparam("name"),
        kind=sa.literal_column("'hosted'"),
        visibility=sa.bindparam("visibility"),
        generation=sa.literal_column("1"),
        created_at=sa.bindparam("now"),
        trash_until=LIVE,
    )
    .on_conflict_do_nothing(),
)
LIST_REPOSITORIES = Query(
    "list_repositories",
    sa.select(repository.c.name)
    .where(repository.c.name > sa.bindparam("after"))
    .where(repository.c.trash_until == LIVE)
    .order_by(repository.c.name)
    .limit(sa.bindparam("limit")),
)
LIST_REPOSITORIES_FROM = Query(
    "list_repositories_from",
    sa.select(repository.c.name)
    .where(repository.c.name >= sa.bindparam("first"))
    .where(repository.c.name < sa.bindparam("beyond"))
    .where(repository.c.trash_until == LIVE)
    .order_by(repository.c.name)
    .limit(sa.bindparam("limit")),
)


def repository_of(row: tuple[int, int, str, str]) -> Repository:
    """Return the struct of a row's first four columns."""
    number, namespace_id, name, visibility = row
    return Repository(number, namespace_id, RepositoryName(name), visibility)


async def find_repository(tx: Tx, name: RepositoryName) -> Repository | None:
    """Return the live repository of that name."""
    row = await tx.one(FIND_REPOSITORY, name=name)
    return repository_of(row) if row else None


async def put_repository(
    tx: Tx, name: RepositoryName, visibility: str, now: int
) -> tuple[Repository, bool]:
    """Return the repository of that name and whether this call made it, its namespace too.

    Raises:
        Raced: another transaction has just made and removed it.
    """
    found = await find_repository(tx, name)
    if found is not None:
        return found, False
    await tx.run(ADD_NAMESPACE, name=name.namespace, kind="organisation", now=now)
    owner = await tx.one(FIND_NAMESPACE, name=name.namespace)
    assert owner is not None  # noqa: S101 - added two lines above, and namespaces are never deleted
    made = await tx.run(
        ADD_REPOSITORY, namespace_id=owner[0], name=name, visibility=visibility, now=now
    )
    found = await find_repository(tx, name)
    if found is None:
        raise Raced
    return found, bool(made)


async def list_repositories(tx: Tx, after: str, limit: int) -> list[str]:
    """Return up to `limit` names behind `after`, in ASCII order."""
    return [row[0] for row in await tx.many(LIST_REPOSITORIES, after=after, limit=limit)]


async def list_repositories_from(tx: Tx, prefix: str, limit: int) -> list[str]:
    """Return up to `limit` names that begin with the prefix, in ASCII order."""
    rows = await tx.many(LIST_REPOSITORIES_FROM, first=prefix, beyond=prefix + "\x7f", limit=limit)
    return [row[0] for row in rows]
