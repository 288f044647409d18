"""Namespaces and repositories."""

from typing import Any

import sqlalchemy as sa

from moorage.db.access_schema import grant, readable
from moorage.db.engine import Query, Raced, Tx, insert
from moorage.db.schema import namespace, repository
from moorage.model.artifacts import Repository
from moorage.oci.names import RepositoryName

LIVE: sa.ColumnClause[int] = sa.literal_column("0")
# In `readable`: the principals that are no one's in particular.
EVERYBODY, SIGNED_IN = 0, -1

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
    sa.select(namespace.c.id, namespace.c.visibility).where(
        namespace.c.name == sa.bindparam("name")
    ),
)
ADD_NAMESPACE = Query(
    "add_namespace",
    insert(namespace)
    .values(
        name=sa.bindparam("name"),
        kind=sa.bindparam("kind"),
        created_at=sa.bindparam("now"),
        visibility=sa.bindparam("visibility"),
        rules_version=LIVE,
    )
    .on_conflict_do_nothing(),
)
# Whoever may read all of the namespace finds what is made in it; of a name that is used again, the
# repository that has it now.
_NAME: sa.ColumnElement[str] = sa.cast(sa.bindparam("name"), sa.Text)
# It stays as it is until then: a change that is noted at this moment would pass the new row by.
_reader = (
    sa.select(
        sa.cast(sa.bindparam("principal_id"), sa.BigInteger),
        _NAME,
        repository.c.id,
        repository.c.changed_at,
    )
    .where(repository.c.id == sa.bindparam("number"))
    .with_for_update(read=True, of=repository)
)


def readers_by(grants: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return rows for those who have such grants in a namespace; `put_readers` puts them in."""
    return (
        sa.select(grant.c.principal_id, _NAME, repository.c.id, repository.c.changed_at)
        .select_from(grant.join(repository, repository.c.id == sa.bindparam("number")))
        .where(grant.c.namespace_id == sa.bindparam("namespace_id"))
        .where(grants)
    )


def put_readers(title: str, rows: sa.Select[Any]) -> Query:
    """Return the statement that has those rows in `readable`, whatever was there."""
    put = insert(readable).from_select(
        ["principal_id", "name", "repository_id", "changed_at"], rows
    )
    return Query(
        title,
        put.on_conflict_do_update(
            index_elements=[readable.c.principal_id, readable.c.name],
            set_={
                "repository_id": put.excluded.repository_id,
                "changed_at": put.excluded.changed_at,
            },
        ),
    )


ADD_READERS = put_readers("add_readers_of_repository", readers_by(grant.c.repository_id == LIVE))
PUT_READER = put_readers("put_reader", _reader)
END_READER = Query(
    "end_reader",
    sa.delete(readable)
    .where(readable.c.principal_id == sa.bindparam("principal_id"))
    .where(readable.c.name == sa.bindparam("name")),
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
        changed_at=sa.bindparam("now"),
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

    It is as visible as its namespace says; `visibility` is for a namespace that is made as well.

    Raises:
        Raced: another transaction has just made and removed it.
    """
    found = await find_repository(tx, name)
    if found is not None:
        return found, False
    await tx.run(
        ADD_NAMESPACE, name=name.namespace, kind="organisation", visibility=visibility, now=now
    )
    owner = await tx.one(FIND_NAMESPACE, name=name.namespace)
    assert owner is not None  # noqa: S101 - added above; no one ends it while its name is held
    made = await tx.run(
        ADD_REPOSITORY, namespace_id=owner[0], name=name, visibility=owner[1], now=now
    )
    found = await find_repository(tx, name)
    if found is None:
        raise Raced
    if made:
        await tx.run(ADD_READERS, namespace_id=found.namespace_id, name=name, number=found.id)
        await put_everybody(tx, found)
    return found, bool(made)


async def put_everybody(tx: Tx, repository: Repository) -> None:
    """Have everybody, or everybody who is signed in, find the repository as its visibility says."""
    for visibility, principal in (("public", EVERYBODY), ("internal", SIGNED_IN)):
        place = {"principal_id": principal, "name": repository.name}
        if repository.visibility == visibility:
            await tx.run(PUT_READER, **place, number=repository.id)
        else:
            await tx.run(END_READER, **place)


async def list_repositories(tx: Tx, after: str, limit: int) -> list[str]:
    """Return up to `limit` names behind `after`, in ASCII order."""
    return [row[0] for row in await tx.many(LIST_REPOSITORIES, after=after, limit=limit)]


async def list_repositories_from(tx: Tx, prefix: str, first: str, limit: int) -> list[str]:
    """Return up to `limit` names from `first` on that begin with the prefix, in ASCII order."""
    rows = await tx.many(LIST_REPOSITORIES_FROM, first=first, beyond=prefix + "\x7f", limit=limit)
    return [row[0] for row in rows]
