"""What the list of images shows of one repository; numbers are counted up to a bound."""

import msgspec
import sqlalchemy as sa

from moorage.db.engine import Query, Tx
from moorage.db.schema import blob, repository_blob, tag

_TRASH: sa.ColumnClause[int] = sa.literal_column("0")
_ONE: sa.ColumnClause[int] = sa.literal_column("1")
# Of so many tags of the newest image it is the one that was set last.
_FEW: sa.ColumnClause[int] = sa.literal_column("20")
# So many rows are counted, and whether there is one more.
MOST = 1_000
_BOUND: sa.ColumnClause[int] = sa.literal_column(str(MOST + 1))


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
    sa.select(_ONE.label("one"))
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
    sa.select(sa.func.sum(_ONE), sa.func.sum(_size)).select_from(_some_links),
)
LIST_NEWEST = Query(
    "list_tags_of_newest",
    sa.select(tag.c.manifest_id, tag.c.updated_at, tag.c.name)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .order_by(tag.c.manifest_id.desc())
    .limit(_FEW),
)


async def find_summary(tx: Tx, repository_id: int) -> Summary:
    """Return what is shown of the repository."""
    tags = await tx.many(LIST_NEWEST, repository_id=repository_id)
    _, at, newest = max(tags, default=(0, 0, ""))
    counted = await tx.one(COUNT_TAGS, repository_id=repository_id) or (0,)
    summed = await tx.one(SUM_LINKS, repository_id=repository_id) or (0, 0)
    # A sum of whole numbers is a decimal one on PostgreSQL.
    return Summary(newest, at, counted[0], int(summed[0] or 0), int(summed[1] or 0))
