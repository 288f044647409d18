"""Repositories that were deleted: found by name for a restore, listed, taken out of sight and back.

Nothing in them changes: every statement that serves asks for a live repository first.
"""

import msgspec
import sqlalchemy as sa

from moorage.db.access import FACTS, Found, found_of, subject_of
from moorage.db.access_schema import grant, readable
from moorage.db.engine import ONE, Query, Raced, Tx
from moorage.db.repositories import ADD_READERS, LIVE, put_readers, readers_by
from moorage.db.schema import namespace, repository
from moorage.model.access import Subject
from moorage.model.artifacts import Repository
from moorage.oci.names import RepositoryName


class Removed(msgspec.Struct, frozen=True):
    """A repository in the trash; names are used again, ids never."""

    id: int
    name: RepositoryName
    visibility: str
    until: int


_older = repository.alias("older")
# The one that was deleted last, unless one of them is asked for by its id.
_wanted = (
    sa.select(_older.c.id)
    .where(_older.c.name == sa.bindparam("name"))
    .where(_older.c.trash_until > LIVE)
    .where(
        sa.or_(
            sa.bindparam("number", type_=sa.BigInteger) == LIVE,
            _older.c.id == sa.bindparam("number", type_=sa.BigInteger),
        )
    )
    .order_by(_older.c.trash_until.desc())
    .limit(ONE)
    .scalar_subquery()
)
FIND_REMOVED = Query(
    "find_removed_target",
    sa.select(*FACTS, repository.c.trash_until).select_from(
        sa.select(ONE.label("one"))
        .subquery("here")
        .outerjoin(namespace, namespace.c.name == sa.bindparam("namespace"))
        .outerjoin(repository, repository.c.id == _wanted)
    ),
)
LAST_UNTIL = Query(
    "last_end_of_trash",
    sa.select(repository.c.trash_until)
    .where(repository.c.name == sa.bindparam("name"))
    .where(repository.c.trash_until > LIVE)
    .order_by(repository.c.trash_until.desc())
    .limit(ONE),
)
# Twice: the index is used where its rule stands word for word, and what is being collected has an
# end before all time.
LIST_REMOVED = Query(
    "list_removed_repositories",
    sa.select(repository.c.id, repository.c.name, repository.c.visibility, repository.c.trash_until)
    .where(repository.c.namespace_id == sa.bindparam("namespace_id"))
    .where(repository.c.trash_until != LIVE)
    .where(repository.c.trash_until > LIVE)
    .where(repository.c.id > sa.bindparam("after"))
    .order_by(repository.c.id)
    .limit(sa.bindparam("limit")),
)
REMOVE = Query(
    "remove_repository",
    sa.update(repository)
    .where(repository.c.id == sa.bindparam("number"))
    .where(repository.c.trash_until == LIVE)
    .values(trash_until=sa.bindparam("until")),
)
BRING_BACK = Query(
    "bring_back_repository",
    sa.update(repository)
    .where(repository.c.id == sa.bindparam("number"))
    .where(repository.c.trash_until == sa.bindparam("seen"))
    .values(trash_until=LIVE, name=sa.bindparam("new_name")),
)
# Another repository may get the name, and whoever reads that has to find that one.
END_READERS = Query(
    "end_readers_of_repository",
    sa.delete(readable).where(readable.c.repository_id == sa.bindparam("number")),
)
ADD_OWN_READERS = put_readers(
    "add_own_readers_of_repository", readers_by(grant.c.repository_id == repository.c.id)
)


async def find_removed(
    tx: Tx, subject: Subject, name: RepositoryName, number: int
) -> tuple[Found, int]:
    """Return the deleted repository of that name, and until when it is in the trash.

    It is the one of that id, or with 0 the one deleted last. The facts are those of the subject in
    it; without one they are those of its namespace.
    """
    row = await tx.one(
        FIND_REMOVED, name=name, namespace=name.namespace, number=number, **subject_of(subject)
    )
    assert row is not None  # noqa: S101 - it begins at a row that is always there
    return found_of(row), row[6] or 0


async def list_removed(tx: Tx, namespace_id: int, after: int, limit: int) -> list[Removed]:
    """Return up to `limit` deleted repositories of the namespace with ids above `after`."""
    rows = await tx.many(LIST_REMOVED, namespace_id=namespace_id, after=after, limit=limit)
    return [Removed(row[0], RepositoryName(row[1]), row[2], row[3]) for row in rows]


async def remove(tx: Tx, repository_id: int, name: RepositoryName, until: int) -> int:
    """Put the repository into the trash until then or a little later, and return until when.

    No two of one name end at once. The caller has taken the namespace (`locks.py`).
    """
    row = await tx.one(LAST_UNTIL, name=name)
    until = max(until, row[0] + 1) if row else until
    await tx.run(REMOVE, number=repository_id, until=until)
    await tx.run(END_READERS, number=repository_id)
    return until


async def bring_back(tx: Tx, kept: Repository, until: int, name: RepositoryName) -> None:
    """Take the repository out of the trash under that name, which no other one has.

    The caller has taken the namespace; `repositories.put_everybody` is to follow.

    Raises:
        Raced: it is no longer there until then: collection has begun with it.
    """
    if not await tx.run(BRING_BACK, number=kept.id, seen=until, new_name=name):
        raise Raced
    for query in (ADD_READERS, ADD_OWN_READERS):
        await tx.run(query, name=name, number=kept.id, namespace_id=kept.namespace_id)
