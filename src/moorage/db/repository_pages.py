"""The list of images: which repositories are on a page, and what is shown of one.

Repositories come as candidates, with what they can be told apart by, in the order of their names or
of their last changes: a page for each principal whose rows the subject reads (`db/readable.py`),
of which the first ones of all are the page. Whoever sees all has pages of the repositories
themselves. Numbers that are shown are counted up to a bound.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.db.access_schema import readable
from moorage.db.engine import ONE, Query, Tx
from moorage.db.pulls_schema import pull_day
from moorage.db.readable import list_whose, shown
from moorage.db.schema import blob, repository, repository_blob, tag
from moorage.model.access import Subject

_TRASH: sa.ColumnClause[int] = sa.literal_column("0")
# Of so many tags of the newest image it is the one that was set last.
_FEW: sa.ColumnClause[int] = sa.literal_column("20")
# So many rows are counted, and whether there is one more.
MOST = 1_000
_BOUND: sa.ColumnClause[int] = sa.literal_column(str(MOST + 1))


class Candidate(msgspec.Struct, frozen=True):
    """A repository that may be on a page, with what it can be chosen by.

    `kind` is one of `oci/kinds.py` or empty; `is_pulled` says that there was a pull since the day
    that was asked about.
    """

    id: int
    name: str
    changed_at: int
    visibility: str
    kind: str
    created_at: int
    is_pulled: int


class Span(msgspec.Struct, frozen=True):
    """Which candidates are wanted: so many behind a place, from a day on that pulls count.

    By name, `bounds` are the first name and one that all are before; by change, the time and the
    name that all are before.
    """

    bounds: tuple[Any, str]
    since: int
    limit: int


class Summary(msgspec.Struct, frozen=True):
    """The newest tag, since when it is what it is, and what there is of tags and bytes.

    `tags` and `links` are counted up to one more than `MOST`, and `bytes` are those of so many.
    """

    newest: str
    newest_at: int
    tags: int
    links: int
    bytes: int


_some_tags = (
    sa.select(ONE.label("one"))
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .limit(_BOUND)
    .subquery()
)
_some_links = (
    sa.select(repository_blob.c.blob_id)
    .where(repository_blob.c.repository_id == sa.bindparam("repository_id"))
    .where(repository_blob.c.trash_until == _TRASH)
    .limit(_BOUND)
    .subquery()
)
_size = sa.select(blob.c.size).where(blob.c.id == _some_links.c.blob_id).scalar_subquery()
COUNT_TAGS = Query(
    "count_some_tags",
    sa.select(sa.func.count().label("counted")).select_from(_some_tags),
)
SUM_LINKS = Query(
    "sum_some_links",
    sa.select(sa.func.sum(ONE), sa.func.sum(_size)).select_from(_some_links),
)
LIST_NEWEST = Query(
    "list_tags_of_newest",
    sa.select(tag.c.manifest_id, tag.c.updated_at, tag.c.name)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .order_by(tag.c.manifest_id.desc())
    .limit(_FEW),
)


def _pulled(number: sa.ColumnElement[int], of: sa.FromClause) -> sa.ColumnElement[int]:
    counted = sa.exists(
        sa.select(ONE)
        .where(pull_day.c.repository_id == number)
        .where(pull_day.c.day >= sa.bindparam("since"))
        .correlate(of)
    )
    return sa.case((counted, ONE), else_=_TRASH)


def _of(column: sa.Column[Any]) -> sa.ScalarSelect[Any]:
    # By a look-up each, not a join: the page comes in the order of the index.
    return (
        sa.select(column)
        .where(repository.c.id == readable.c.repository_id)
        .correlate(readable)
        .scalar_subquery()
    )


_readable = (
    sa.select(
        readable.c.repository_id,
        readable.c.name,
        readable.c.changed_at,
        _of(repository.c.visibility),
        _of(repository.c.content_kind),
        _of(repository.c.created_at),
        _pulled(readable.c.repository_id, readable),
    )
    .where(readable.c.principal_id == sa.bindparam("whose"))
    .where(shown(readable) == ONE)
    .limit(sa.bindparam("limit"))
)
_all = (
    sa.select(
        repository.c.id,
        repository.c.name,
        repository.c.changed_at,
        repository.c.visibility,
        repository.c.content_kind,
        repository.c.created_at,
        _pulled(repository.c.id, repository),
    )
    .where(repository.c.trash_until == _TRASH)
    .limit(sa.bindparam("limit"))
)


def _by_name(title: str, rows: sa.Select[Any], name: sa.Column[str]) -> Query:
    # With a bound on either side PostgreSQL takes what is between for little, gathers it all, and
    # sorts: 50 ms for 500 of 33,000.
    return Query(title, rows.where(name >= sa.bindparam("first")).order_by(name))


def _by_change(title: str, rows: sa.Select[Any], at: sa.Column[int], name: sa.Column[str]) -> Query:
    before = sa.tuple_(
        sa.bindparam("first", type_=sa.BigInteger), sa.bindparam("second", type_=sa.Text)
    )
    return Query(title, rows.where(sa.tuple_(at, name) < before).order_by(at.desc(), name.desc()))


# By name, and by change.
LIST_READABLE = (
    _by_name("list_readable_rows", _readable, readable.c.name),
    _by_change("list_readable_rows_by_change", _readable, readable.c.changed_at, readable.c.name),
)
LIST_ALL = (
    _by_name("list_repository_rows", _all, repository.c.name),
    _by_change("list_repository_rows_by_change", _all, repository.c.changed_at, repository.c.name),
)


async def list_candidates(
    tx: Tx, subject: Subject | None, span: Span, *, by_change: bool
) -> list[Candidate]:
    """Return the next repositories that the subject may read, or with None the next of all.

    In ASCII order of their names, or by their last changes from the newest on, those of one moment
    in the reverse order of names.
    """
    first, second = span.bounds
    values = {"first": first, "since": span.since, "limit": span.limit}
    if by_change:
        values["second"] = second
    if subject is None:
        pages = [await tx.many(LIST_ALL[by_change], **values)]
    else:
        values["principal_id"] = subject.principal_id
        pages = [
            await tx.many(LIST_READABLE[by_change], whose=whose, **values)
            for whose in await list_whose(tx, subject)
        ]
    found = [[Candidate(*row) for row in page] for page in pages]
    if not by_change:
        found = [[each for each in page if each.name < second] for page in found]
    return merged(found, span.limit, by_change=by_change)


def merged(pages: Iterable[Sequence[Candidate]], limit: int, *, by_change: bool) -> list[Candidate]:
    """Return the first `limit` of all pages together, each repository once."""
    found = {each.name: each for page in pages for each in page}
    if not by_change:
        return sorted(found.values(), key=lambda each: each.name)[:limit]
    return sorted(found.values(), key=lambda each: (each.changed_at, each.name), reverse=True)[
        :limit
    ]


async def find_summary(tx: Tx, repository_id: int) -> Summary:
    """Return what is shown of the repository."""
    tags = await tx.many(LIST_NEWEST, repository_id=repository_id)
    _, at, newest = max(tags, default=(0, 0, ""))
    counted = await tx.one(COUNT_TAGS, repository_id=repository_id) or (0,)
    summed = await tx.one(SUM_LINKS, repository_id=repository_id) or (0, 0)
    # A sum of whole numbers is a decimal one on PostgreSQL.
    return Summary(newest, at, counted[0], int(summed[0] or 0), int(summed[1] or 0))
