"""Pages of a repository's tags for people: by name, or the image that was pushed last first.

The second order is that of `tag_by_manifest`: ids of manifests ascend, so what was pushed later
comes first, and the tags of one image stand together, in the order of their names.
"""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from moorage.db.engine import EMPTY, ONE, ZERO, Query, Row, Tx
from moorage.db.images import content_of
from moorage.db.schema import manifest, manifest_reference, tag, tag_change
from moorage.db.tags import LIST_TAGS_OF
from moorage.model.artifacts import TagChange
from moorage.oci.digest import Digest
from moorage.oci.media_types import INDEXES

_MANIFEST: sa.ColumnClause[str] = sa.literal_column("'manifest'")
# An index of so many bytes lists about 300 platforms; what is longer is not read for a table.
_LONGEST: sa.ColumnClause[int] = sa.literal_column("65536")
# What the tag before is looked for among, and how cosign calls what belongs to a digest.
_NEAR: sa.ColumnClause[int] = sa.literal_column("50")
_COSIGN: sa.ColumnClause[str] = sa.literal_column("'sha256-'")
_BEYOND_COSIGN: sa.ColumnClause[str] = sa.literal_column("'sha256.'")


class TagLine(msgspec.Struct, frozen=True):
    """A tag with what its image is; `earlier` is the content of the one before, if there is one.

    `raw` is that of an index; empty where that is too long to be read for a table.
    """

    name: str
    manifest_id: int
    digest: Digest
    at: int
    by: TagChange
    media_type: str
    artifact_type: str
    raw: bytes
    bytes: int
    earlier: int | None


def _bytes_of(number: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Return the content of a manifest and of those that it lists."""
    listed = manifest_reference.alias("listed")
    of_listed = (
        sa.select(sa.func.sum(content_of(listed.c.child_id)))
        .where(listed.c.manifest_id == number)
        .where(listed.c.kind == _MANIFEST)
        .where(listed.c.role == _MANIFEST)
        .scalar_subquery()
    )
    return sa.func.coalesce(content_of(number), ZERO) + sa.func.coalesce(of_listed, ZERO)


class _Before(sa.ColumnElement[Any]):
    """Whether a tag stands before another one in the order of `tag_by_manifest`.

    SQLite looks within the repository. PostgreSQL compares both columns at once: without statistics
    it takes an equality for one that leaves a few rows, and then sorts them all. What it finds of
    the repository before is left to whoever asks.
    """

    inherit_cache = False
    # Of none: SQLite would compare a boolean with 1, and look no further in the index.
    type = sa.types.NULLTYPE

    def __init__(self, near: sa.FromClause, of: sa.FromClause) -> None:
        self.near = near
        self.of = of


@compiles(_Before, "sqlite")
def _within(element: _Before, compiler: SQLCompiler, **options: Any) -> str:
    near, of = element.near, element.of
    is_before = sa.and_(
        near.c.repository_id == of.c.repository_id, near.c.manifest_id < of.c.manifest_id
    )
    return f"({compiler.process(is_before, **options)})"


@compiles(_Before, "postgresql")
def _at_once(element: _Before, compiler: SQLCompiler, **options: Any) -> str:
    both = [
        sa.tuple_(each.c.repository_id, each.c.manifest_id) for each in (element.near, element.of)
    ]
    return f"({compiler.process(both[0] < both[1], **options)})"


def _earlier() -> sa.ScalarSelect[int]:
    """Return the last image of the kind that was pushed before and has a tag.

    By a look-up each, not a join: without statistics, as in the minute after the first pushes,
    PostgreSQL would begin with all manifests, for each of the tags.
    """
    near = tag.alias("near")
    before = (
        sa.select(near.c.repository_id, near.c.manifest_id)
        .where(_Before(near, tag))
        .where(sa.or_(near.c.name < _COSIGN, near.c.name >= _BEYOND_COSIGN))
        .order_by(near.c.repository_id.desc(), near.c.manifest_id.desc())
        .limit(_NEAR)
        .correlate(tag)
        .subquery()
    )
    of_it = manifest.alias("of_it")
    is_alike = (
        sa.select(ONE)
        .where(of_it.c.id == before.c.manifest_id)
        .where(of_it.c.media_type == manifest.c.media_type)
        .where(of_it.c.artifact_type == manifest.c.artifact_type)
        .correlate(before, manifest)
        .scalar_subquery()
    )
    return (
        sa.select(sa.func.max(before.c.manifest_id))
        .where(before.c.repository_id == tag.c.repository_id)
        .where(is_alike == ONE)
        .correlate(tag, manifest)
        .scalar_subquery()
    )


_is_index = sa.or_(
    *(manifest.c.media_type == sa.literal_column(f"'{each}'") for each in sorted(INDEXES))
)
_short_raw = sa.case((sa.and_(_is_index, manifest.c.size <= _LONGEST), manifest.c.raw), else_=EMPTY)
_rows = (
    sa.select(
        tag.c.name,
        tag.c.manifest_id,
        tag.c.digest,
        tag.c.updated_at,
        tag_change.c.actor,
        tag_change.c.credential,
        tag_change.c.request_id,
        tag_change.c.cause,
        tag_change.c.cause_id,
        manifest.c.media_type,
        manifest.c.artifact_type,
        _short_raw,
        _bytes_of(tag.c.manifest_id),
        _earlier(),
    )
    .select_from(tag)
    .join(
        tag_change,
        sa.and_(
            tag_change.c.repository_id == tag.c.repository_id,
            tag_change.c.name == tag.c.name,
            tag_change.c.version == tag.c.version,
        ),
    )
    .join(manifest, manifest.c.id == tag.c.manifest_id)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
)
LIST_ROWS = Query(
    "list_tag_rows",
    _rows.where(tag.c.name >= sa.bindparam("first"))
    .where(tag.c.name <= sa.bindparam("last"))
    .order_by(tag.c.name)
    .limit(sa.bindparam("limit")),
)
FIND_ROW = Query("find_tag_row", _rows.where(tag.c.name == sa.bindparam("name")))
LIST_ROWS_OF = Query(
    "list_tag_rows_of_manifests",
    _rows.where(tag.c.manifest_id >= sa.bindparam("oldest"))
    .where(tag.c.manifest_id <= sa.bindparam("newest"))
    .limit(sa.bindparam("limit")),
)
SIZE_OF = Query(
    "find_size_of_content",
    sa.select(_bytes_of(manifest.c.id)).where(manifest.c.id == sa.bindparam("manifest_id")),
)
LIST_NAMES = Query(
    "list_tags_between",
    sa.select(tag.c.name)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.name >= sa.bindparam("first"))
    .where(tag.c.name <= sa.bindparam("last"))
    .order_by(tag.c.name)
    .limit(sa.bindparam("limit")),
)
LIST_NEWEST = Query(
    "list_newest_tags",
    sa.select(tag.c.name, tag.c.manifest_id)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.manifest_id < sa.bindparam("before"))
    .order_by(tag.c.manifest_id.desc())
    .limit(sa.bindparam("limit")),
)


async def list_names(tx: Tx, repository_id: int, first: str, last: str, limit: int) -> list[str]:
    """Return up to `limit` tags from `first` to `last`, in ASCII order."""
    rows = await tx.many(
        LIST_NAMES, repository_id=repository_id, first=first, last=last, limit=limit
    )
    return [row[0] for row in rows]


async def list_newest(tx: Tx, repository_id: int, before: int, limit: int) -> list[tuple[str, int]]:
    """Return tags of the images before a manifest's id, each with that of its own, newest first.

    So many that there are `limit` of them, and then all that the last of the images has.
    """
    rows = await tx.many(LIST_NEWEST, repository_id=repository_id, before=before, limit=limit)
    if not rows:
        return []
    last = rows[-1][1]
    of_last = await list_names_of(tx, repository_id, last)
    found = [(name, number) for name, number in rows if number != last]
    return sorted(found, key=lambda each: (-each[1], each[0])) + [(each, last) for each in of_last]


async def list_names_of(tx: Tx, repository_id: int, manifest_id: int) -> list[str]:
    """Return all tags of a manifest, in ASCII order."""
    rows = await tx.many(LIST_TAGS_OF, repository_id=repository_id, manifest_id=manifest_id)
    return sorted(row[0] for row in rows)


async def list_rows(tx: Tx, repository_id: int, first: str, last: str, limit: int) -> list[TagLine]:
    """Return up to `limit` tags from `first` to `last`, in ASCII order, with their images."""
    rows = await tx.many(
        LIST_ROWS, repository_id=repository_id, first=first, last=last, limit=limit
    )
    return await _lines(tx, rows)


async def find_rows(
    tx: Tx, repository_id: int, wanted: list[tuple[str, int]], limit: int
) -> list[TagLine]:
    """Return those of the tags, each with the id of its manifest, that are still there.

    Up to `limit` tags of these manifests are read at once, the rest of them one by one.
    """
    known: dict[str, Row] = {}
    if wanted and limit:
        numbers = [number for _, number in wanted]
        rows = await tx.many(
            LIST_ROWS_OF,
            repository_id=repository_id,
            oldest=min(numbers),
            newest=max(numbers),
            limit=limit,
        )
        known = {row[0]: row for row in rows}
    found = []
    for name, _ in wanted:
        row = known.get(name) or await tx.one(FIND_ROW, repository_id=repository_id, name=name)
        if row is not None:
            found.append(row)
    return await _lines(tx, found)


async def find_size(tx: Tx, manifest_id: int) -> int:
    """Return the bytes of all that a manifest stands for, 0 if it is gone."""
    found = await tx.one(SIZE_OF, manifest_id=manifest_id)
    return int(found[0]) if found is not None else 0


async def _lines(tx: Tx, rows: list[Row]) -> list[TagLine]:
    """Return what the rows say; the images before are mostly on the same page."""
    sizes = {row[1]: int(row[12]) for row in rows}
    for row in rows:
        if row[13] is not None and row[13] not in sizes:
            sizes[row[13]] = await find_size(tx, row[13])
    return [_line(row, sizes.get(row[13])) for row in rows]


def _line(row: Row, earlier: int | None) -> TagLine:
    return TagLine(
        name=row[0],
        manifest_id=row[1],
        digest=Digest.from_key(row[2]),
        at=row[3],
        by=TagChange(*row[4:9]),
        media_type=row[9],
        artifact_type=row[10],
        raw=row[11],
        bytes=int(row[12]),
        earlier=earlier,
    )
