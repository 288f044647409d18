"""Which repositories a subject finds: pages of `readable`, with the grants looked at again.

The table has a row for each principal that may read a repository; whoever asks is itself, its
teams, everybody and, once signed in, everybody who is. Each of them has its own page in the order
of names, and the first names of all pages together are the page that is shown.
"""

import sqlalchemy as sa

from moorage.db.access import rights
from moorage.db.access_schema import readable, team_member
from moorage.db.engine import ONE, Query, Tx
from moorage.db.repositories import EVERYBODY, LIVE, SIGNED_IN
from moorage.db.schema import blob_digest, repository, repository_blob
from moorage.model.access import Subject
from moorage.oci.digest import Digest

_PRIVATE: sa.ColumnClause[str] = sa.literal_column("'private'")

LIST_TEAMS = Query(
    "list_teams_of",
    sa.select(team_member.c.team_id)
    .where(team_member.c.account_id == sa.bindparam("principal_id"))
    .order_by(team_member.c.team_id),
)


def shown(candidates: sa.FromClause) -> sa.ScalarSelect[int]:
    """Return 1 where whoever asks may read a row's repository at this moment."""
    # Only candidates: what is shown is what the visibility or a grant says at this moment. A value,
    # not a join, so that the page comes in the order of the index.
    theirs = rights(repository.c.namespace_id, repository.c.id)
    return (
        sa.select(ONE)
        .where(repository.c.id == candidates.c.repository_id)
        .where(repository.c.name == candidates.c.name)
        .where(repository.c.trash_until == LIVE)
        .where(sa.or_(repository.c.visibility != _PRIVATE, theirs > LIVE))
        .correlate(candidates)
        .scalar_subquery()
    )


def _page(title: str, *bounds: sa.ColumnElement[bool]) -> Query:
    return Query(
        title,
        sa.select(readable.c.name)
        .where(readable.c.principal_id == sa.bindparam("whose"))
        .where(*bounds)
        .where(shown(readable) == ONE)
        .order_by(readable.c.name)
        .limit(sa.bindparam("limit")),
    )


LIST_READABLE = _page("list_readable", readable.c.name > sa.bindparam("after"))
# With a bound on either side PostgreSQL takes what is between for little, and sorts all of it.
LIST_READABLE_FROM = _page("list_readable_from", readable.c.name >= sa.bindparam("first"))
# From what the subject may read, and never from who has the blob: the time that takes would tell
# of the others that have it.
_candidates = (
    sa.select(readable.c.repository_id, readable.c.name)
    .where(readable.c.principal_id == sa.bindparam("whose"))
    .order_by(readable.c.name)
    .limit(sa.bindparam("window"))
    .subquery()
)
_blob_id = (
    sa.select(blob_digest.c.blob_id)
    .where(blob_digest.c.digest == sa.bindparam("digest"))
    .scalar_subquery()
)
_has_it = (
    sa.select(ONE)
    .where(repository_blob.c.repository_id == _candidates.c.repository_id)
    .where(repository_blob.c.blob_id == _blob_id)
    .where(repository_blob.c.trash_until == LIVE)
    .correlate(_candidates)
    .scalar_subquery()
)
LIST_READABLE_WITH = Query(
    "list_readable_with_blob",
    sa.select(_candidates.c.name)
    .where(_has_it == ONE)
    .where(shown(_candidates) == ONE)
    .limit(sa.bindparam("limit")),
)
LIST_WITH = Query(
    "list_repositories_with_blob",
    sa.select(repository.c.name)
    .select_from(repository_blob)
    .join(repository, repository.c.id == repository_blob.c.repository_id)
    .where(repository_blob.c.blob_id == _blob_id)
    .where(repository_blob.c.trash_until == LIVE)
    .where(repository.c.trash_until == LIVE)
    .limit(sa.bindparam("limit")),
)


async def list_names(tx: Tx, subject: Subject, after: str, limit: int) -> list[str]:
    """Return up to `limit` names behind `after`, in ASCII order, that the subject may read."""
    found: set[str] = set()
    for whose in await list_whose(tx, subject):
        rows = await tx.many(
            LIST_READABLE,
            whose=whose,
            after=after,
            limit=limit,
            principal_id=subject.principal_id,
        )
        found.update(row[0] for row in rows)
    return sorted(found)[:limit]


async def list_names_from(
    tx: Tx, subject: Subject, prefix: str, first: str, limit: int
) -> list[str]:
    """Return up to `limit` names from `first` on that begin so and that the subject may read."""
    found: set[str] = set()
    for whose in await list_whose(tx, subject):
        rows = await tx.many(
            LIST_READABLE_FROM,
            whose=whose,
            first=first,
            limit=limit,
            principal_id=subject.principal_id,
        )
        found.update(row[0] for row in rows if row[0].startswith(prefix))
    return sorted(found)[:limit]


async def list_with(tx: Tx, subject: Subject, digest: Digest, limit: int, window: int) -> list[str]:
    """Return names of repositories that the subject may read and that have the blob, in no order.

    Up to `limit` for the subject itself, for each of its teams, and for everybody, of the first
    `window` that each of them reads.
    """
    found: set[str] = set()
    for whose in await list_whose(tx, subject):
        rows = await tx.many(
            LIST_READABLE_WITH,
            whose=whose,
            digest=digest.key,
            limit=limit,
            window=window,
            principal_id=subject.principal_id,
        )
        found.update(row[0] for row in rows)
    return sorted(found)


async def list_all_with(tx: Tx, digest: Digest, limit: int) -> list[str]:
    """Return names of up to `limit` repositories that have the blob, whoever may read them."""
    return [row[0] for row in await tx.many(LIST_WITH, digest=digest.key, limit=limit)]


async def list_whose(tx: Tx, subject: Subject) -> list[int]:
    """Return the principals whose rows the subject reads: itself, its teams, and everybody."""
    if not subject.principal_id:
        return [EVERYBODY]
    teams = await tx.many(LIST_TEAMS, principal_id=subject.principal_id)
    return [EVERYBODY, SIGNED_IN, subject.principal_id, *(row[0] for row in teams)]
