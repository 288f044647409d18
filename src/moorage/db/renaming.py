"""Names of repositories: another one is given, and those before it go on leading there."""

import sqlalchemy as sa

from moorage.db.engine import Query, Raced, Tx, insert
from moorage.db.removals import ADD_OWN_READERS, END_READERS
from moorage.db.repositories import ADD_READERS, LIVE
from moorage.db.schema import repository, repository_alias
from moorage.model.artifacts import Repository
from moorage.oci.names import RepositoryName

RENAME = Query(
    "rename_repository",
    sa.update(repository)
    .where(repository.c.id == sa.bindparam("number"))
    .where(repository.c.name == sa.bindparam("seen"))
    .where(repository.c.trash_until == LIVE)
    .values(name=sa.bindparam("new_name")),
)
_alias = insert(repository_alias).values(
    name=sa.bindparam("name"), repository_id=sa.bindparam("number")
)
PUT_ALIAS = Query(
    "put_alias",
    _alias.on_conflict_do_update(
        index_elements=[repository_alias.c.name],
        set_={"repository_id": _alias.excluded.repository_id},
    ),
)
END_ALIAS = Query(
    "end_alias", sa.delete(repository_alias).where(repository_alias.c.name == sa.bindparam("name"))
)


async def rename(tx: Tx, known: Repository, name: RepositoryName) -> None:
    """Give the repository a name that no other one has; the one before leads to it.

    The caller has taken the namespace; `repositories.put_everybody` is to follow.

    Raises:
        Raced: it has gone, or has another name by now.
    """
    if not await tx.run(RENAME, number=known.id, seen=known.name, new_name=name):
        raise Raced
    await tx.run(END_ALIAS, name=name)
    await tx.run(PUT_ALIAS, name=known.name, number=known.id)
    await tx.run(END_READERS, number=known.id)
    for query in (ADD_READERS, ADD_OWN_READERS):
        await tx.run(query, name=name, number=known.id, namespace_id=known.namespace_id)
