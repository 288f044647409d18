"""Which repositories a subject finds: pages of `readable`, with the grants looked at again.

The table has a row for each principal that may read a repository; whoever asks is itself, its
teams, everybody and, once signed in, everybody who is. Each of them has its own page in the order
of names, and the first names of all pages together are the page that is shown.
"""

import sqlalchemy as sa

from moorage.db.access import rights
from moorage.db.access_schema import readable, team_member
from moorage.db.engine import Query, Tx
from moorage.db.repositories import EVERYBODY, LIVE, SIGNED_IN
from moorage.db.schema import repository
from moorage.model.access import Subject

_ONE: sa.ColumnClause[int] = sa.literal_column("1")
_PRIVATE: sa.ColumnClause[str] = sa.literal_column("'private'")

LIST_TEAMS = Query(
    "list_teams_of",
    sa.select(team_member.c.team_id)
    .where(team_member.c.account_id == sa.bindparam("principal_id"))
    .order_by(team_member.c.team_id),
)


def _page(title: str, *bounds: sa.ColumnElement[bool]) -> Query:
    # Only candidates: what is shown is what the visibility or a grant says at this moment. A value,
    # not a join, so that the page comes in the order of the index.
    theirs = rights(repository.c.namespace_id, repository.c.id)
    shown = (
        sa.select(_ONE)
        .where(repository.c.id == readable.c.repository_id)
        .where(repository.c.name == readable.c.name)
        .where(repository.c.trash_until == LIVE)
        .where(sa.or_(repository.c.visibility != _PRIVATE, theirs > LIVE))
        .correlate(readable)
        .scalar_subquery()
    )
    return Query(
        title,
        sa.select(readable.c.name)
        .where(readable.c.principal_id == sa.bindparam("whose"))
        .where(*bounds)
        .where(shown == _ONE)
        .order_by(readable.c.name)
        .limit(sa.bindparam("limit")),
    )


LIST_READABLE = _page("list_readable", readable.c.name > sa.bindparam("after"))
LIST_READABLE_FROM = _page(
    "list_readable_from",
    readable.c.name >= sa.bindparam("first"),
    readable.c.name < sa.bindparam("beyond"),
)


async def list_names(tx: Tx, subject: Subject, after: str, limit: int) -> list[str]:
    """Return up to `limit` names behind `after`, in ASCII order, that the subject may read."""
    found: set[str] = set()
    for whose in await _whose(tx, subject):
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
    for whose in await _whose(tx, subject):
        rows = await tx.many(
            LIST_READABLE_FROM,
            whose=whose,
            first=first,
            beyond=prefix + "\x7f",
            limit=limit,
            principal_id=subject.principal_id,
        )
        found.update(row[0] for row in rows)
    return sorted(found)[:limit]


async def _whose(tx: Tx, subject: Subject) -> list[int]:
    if not subject.principal_id:
        return [EVERYBODY]
    teams = await tx.many(LIST_TEAMS, principal_id=subject.principal_id)
    return [EVERYBODY, SIGNED_IN, subject.principal_id, *(row[0] for row in teams)]
