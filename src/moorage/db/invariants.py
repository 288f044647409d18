"""Pages of every table, in the order of keys, with what breaks an invariant in each row.

Each page is one statement, which sees one moment of the database: what is being changed breaks
nothing. The numbers are those of docs/verification.md.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.db.engine import EMPTY, Query, Row, Tx
from moorage.db.repositories import LIVE
from moorage.db.schema import (
    audit,
    blob,
    blob_digest,
    delete_queue,
    event_feed,
    manifest,
    manifest_digest,
    manifest_reference,
    repository,
    repository_blob,
    tag,
    tag_change,
    upload,
)
from moorage.db.verifications import Finding
from moorage.oci.digest import Digest

_ONE: sa.ColumnClause[int] = sa.literal_column("1")


class Look(msgspec.Struct, frozen=True):
    """One table that is looked through, by its key; `about` is how its rows are called.

    A row has its key, the number of its problem or 0, and what `about` is filled in with.
    """

    query: Query
    key: Mapping[str, Any]
    about: str
    problems: Mapping[int, tuple[str, str]]


class Broken(msgspec.Struct, frozen=True):
    """A row that breaks an invariant, by its problem's number and key."""

    number: int
    key: tuple[Any, ...]
    finding: Finding


def _none(rows: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Return whether there is no row; EXISTS may be answered by reading the whole table once."""
    return rows.limit(_ONE).scalar_subquery().is_(None)


def _look(
    title: str,
    columns: tuple[Any, ...],
    source: sa.FromClause,
    about: str,
    problems: Mapping[int, tuple[str, str]],
    *,
    key: tuple[sa.Column[Any], ...],
) -> Look:
    names = [f"after_{each.name}" for each in key]
    first = {name: _before(each) for name, each in zip(names, key, strict=True)}
    marks = [sa.bindparam(name, type_=each.type) for name, each in zip(names, key, strict=True)]
    behind = key[0] > marks[0] if len(key) == 1 else sa.tuple_(*key) > sa.tuple_(*marks)
    statement = (
        sa.select(*key, *columns)
        .select_from(source)
        .where(behind)
        .order_by(*key)
        .limit(sa.bindparam("limit"))
    )
    return Look(Query(title, statement), first, about, problems)


def _before(column: sa.Column[Any]) -> Any:
    if isinstance(column.type, sa.Integer):
        return -1
    return b"" if isinstance(column.type, sa.LargeBinary) else ""


def _one_of(table: sa.FromClause, *rules: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(_ONE).select_from(table).where(*rules)


def _case(*rules: tuple[sa.ColumnElement[bool], int]) -> sa.Case[int]:
    return sa.case(*((rule, sa.literal_column(str(number))) for rule, number in rules), else_=LIVE)


def _of(column: sa.Column[Any], number: sa.ColumnElement[int]) -> sa.ScalarSelect[Any]:
    """Return a column of what has that id; a join would have PostgreSQL read all of both."""
    return sa.select(column).where(column.table.c.id == number).scalar_subquery()


def _absent(table: sa.FromClause) -> sa.ColumnElement[bool]:
    return _of(repository.c.id, table.c.repository_id).is_(None)


def _going(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return whether its repository is being removed: in parts, which then break everything."""
    return _of(repository.c.trash_until, table.c.repository_id) < LIVE


def _name(table: sa.FromClause) -> sa.ColumnElement[str]:
    return _of(repository.c.name, table.c.repository_id).label("repository_name")


_later = tag_change.alias("later")
_change = tag_change.alias("change")
TAGS = _look(
    "look_at_tags",
    (
        _case(
            (_absent(tag), 5),
            (_going(tag), 0),
            (
                _none(
                    _one_of(
                        manifest,
                        manifest.c.id == tag.c.manifest_id,
                        manifest.c.repository_id == tag.c.repository_id,
                        manifest.c.trash_until == LIVE,
                    )
                ),
                1,
            ),
            (
                _none(
                    _one_of(
                        manifest_digest,
                        manifest_digest.c.repository_id == tag.c.repository_id,
                        manifest_digest.c.digest == tag.c.digest,
                        manifest_digest.c.manifest_id == tag.c.manifest_id,
                    )
                ),
                2,
            ),
            (
                _none(
                    _one_of(
                        _change,
                        _change.c.repository_id == tag.c.repository_id,
                        _change.c.name == tag.c.name,
                        _change.c.version == tag.c.version,
                        _change.c.digest == tag.c.digest,
                    )
                ),
                3,
            ),
            (
                sa.not_(
                    _none(
                        _one_of(
                            _later,
                            _later.c.repository_id == tag.c.repository_id,
                            _later.c.name == tag.c.name,
                            _later.c.version == tag.c.version + _ONE,
                        )
                    )
                ),
                4,
            ),
        ),
        _name(tag),
        tag.c.name.label("tag_name"),
    ),
    tag,
    "{0}:{1}",
    {
        1: ("I1", "the tag names no live manifest of its repository"),
        2: ("I1", "the tag's digest is not one of its manifest"),
        3: ("I12", "the tag's history has not the change that made it so"),
        4: ("I12", "the tag's history has a later change"),
        5: ("I1", "the tag is of a repository that is gone"),
    },
    key=(tag.c.repository_id, tag.c.name),
)

_earlier = tag_change.alias("earlier")
_next = _none(
    _one_of(
        _later,
        _later.c.repository_id == tag_change.c.repository_id,
        _later.c.name == tag_change.c.name,
        _later.c.version == tag_change.c.version + _ONE,
    )
)
_untagged = _none(
    _one_of(tag, tag.c.repository_id == tag_change.c.repository_id, tag.c.name == tag_change.c.name)
)
CHANGES = _look(
    "look_at_history",
    (
        _case(
            (_absent(tag_change), 4),
            (_going(tag_change), 0),
            (
                sa.and_(
                    tag_change.c.version > _ONE,
                    _none(
                        _one_of(
                            _earlier,
                            _earlier.c.repository_id == tag_change.c.repository_id,
                            _earlier.c.name == tag_change.c.name,
                            _earlier.c.version == tag_change.c.version - _ONE,
                        )
                    ),
                ),
                1,
            ),
            (sa.and_(_next, tag_change.c.digest != EMPTY, _untagged), 2),
            (sa.and_(_next, tag_change.c.digest == EMPTY, sa.not_(_untagged)), 3),
        ),
        _name(tag_change),
        tag_change.c.name.label("tag_name"),
        tag_change.c.version.label("tag_version"),
    ),
    tag_change,
    "{0}:{1} version {2}",
    {
        1: ("I12", "the change before it is not there"),
        2: ("I12", "by its history the tag is there, and it is not"),
        3: ("I12", "by its history the tag was deleted, and it is there"),
        4: ("I12", "the history is of a repository that is gone"),
    },
    key=(tag_change.c.repository_id, tag_change.c.name, tag_change.c.version),
)

_child = manifest.alias("child")
REFERENCES = _look(
    "look_at_references",
    (
        _case(
            (_of(manifest.c.id, manifest_reference.c.manifest_id).is_(None), 1),
            (_of(manifest.c.trash_until, manifest_reference.c.manifest_id) != LIVE, 0),
            (
                sa.and_(
                    manifest_reference.c.kind == sa.literal_column("'blob'"),
                    _none(
                        _one_of(
                            repository_blob,
                            repository_blob.c.repository_id == manifest_reference.c.repository_id,
                            repository_blob.c.blob_id == manifest_reference.c.child_id,
                            repository_blob.c.trash_until == LIVE,
                        )
                    ),
                ),
                2,
            ),
            (
                sa.and_(
                    manifest_reference.c.kind == sa.literal_column("'manifest'"),
                    _none(
                        _one_of(
                            _child,
                            _child.c.id == manifest_reference.c.child_id,
                            _child.c.repository_id == manifest_reference.c.repository_id,
                        )
                    ),
                ),
                3,
            ),
        ),
        _name(manifest_reference),
        _of(manifest.c.identity, manifest_reference.c.manifest_id).label("parent"),
        manifest_reference.c.child_digest,
    ),
    manifest_reference,
    "{0}@{1} naming {2}",
    {
        1: ("I2", "the manifest that names it is not there"),
        2: ("I2", "the repository has not the blob that the manifest names"),
        3: ("I2", "the repository has not the manifest that the index names"),
    },
    key=(manifest_reference.c.manifest_id, manifest_reference.c.position),
)

_queued = sa.not_(_none(_one_of(delete_queue, delete_queue.c.location == blob.c.location)))
_identity = (
    sa.select(blob_digest.c.digest)
    .where(blob_digest.c.blob_id == blob.c.id)
    .where(blob_digest.c.digest < sa.bindparam("beyond", type_=sa.LargeBinary))
    .limit(_ONE)
    .scalar_subquery()
)
TO_BE_DELETED, NO_IDENTITY, LOST = 1, 2, 3
BLOBS = _look(
    "look_at_blobs",
    (
        _case(
            (_queued, TO_BE_DELETED),
            (_identity.is_(None), NO_IDENTITY),
            (blob.c.state == sa.literal_column("'lost'"), LOST),
        ),
        _identity.label("identity"),
        blob.c.location,
    ),
    blob,
    "blob {0} at {1}",
    {
        TO_BE_DELETED: ("I6", "the blob's object is to be deleted"),
        NO_IDENTITY: ("I3", "the blob has no sha256"),
        LOST: ("I5", "the blob is lost: its bytes are damaged or gone, push it again"),
    },
    key=(blob.c.id,),
)
LINKS = _look(
    "look_at_links",
    (
        _case(
            (
                _none(_one_of(blob, blob.c.id == repository_blob.c.blob_id)),
                1,
            ),
            (_absent(repository_blob), 2),
            (
                _of(repository.c.namespace_id, repository_blob.c.repository_id)
                != repository_blob.c.namespace_id,
                3,
            ),
        ),
        _name(repository_blob),
        repository_blob.c.blob_id.label("number"),
    ),
    repository_blob,
    "{0}, blob number {1}",
    {
        1: ("I3", "the repository has a blob that is not there"),
        2: ("I3", "a repository that is gone has a blob"),
        3: ("I3", "the blob is counted in another namespace"),
    },
    key=(repository_blob.c.repository_id, repository_blob.c.blob_id),
)
DIGESTS = _look(
    "look_at_digests",
    (
        _case((_none(_one_of(blob, blob.c.id == blob_digest.c.blob_id)), 1)),
        blob_digest.c.digest.label("name"),
    ),
    blob_digest,
    "{0}",
    {1: ("I3", "the digest leads to a blob that is not there")},
    key=(blob_digest.c.digest,),
)
NAMES = _look(
    "look_at_names_of_manifests",
    (
        _case(
            (
                _none(
                    _one_of(
                        manifest,
                        manifest.c.id == manifest_digest.c.manifest_id,
                        manifest.c.repository_id == manifest_digest.c.repository_id,
                    )
                ),
                1,
            )
        ),
        _name(manifest_digest),
        manifest_digest.c.digest.label("name_of_manifest"),
    ),
    manifest_digest,
    "{0}@{1}",
    {1: ("I1", "the digest leads to a manifest that is not there")},
    key=(manifest_digest.c.repository_id, manifest_digest.c.digest),
)
UPLOADS = _look(
    "look_at_uploads",
    (
        _case(
            (
                sa.and_(
                    upload.c.state != EMPTY,
                    sa.or_(_absent(upload), upload.c.owner == sa.literal_column("''")),
                ),
                1,
            )
        ),
        upload.c.created_at,
    ),
    upload,
    "an upload of {0}",
    {1: ("I13", "the upload belongs to nobody, or to no repository")},
    key=(upload.c.id,),
)
_before_it = event_feed.alias("before_it")
_long_before = event_feed.alias("long_before")
# The oldest are forgotten, so the first that is there has none before it.
FEED = _look(
    "look_at_feed",
    (
        _case(
            (
                sa.and_(
                    _none(_one_of(_before_it, _before_it.c.place == event_feed.c.place - _ONE)),
                    sa.not_(
                        _none(_one_of(_long_before, _long_before.c.place < event_feed.c.place))
                    ),
                ),
                1,
            )
        ),
        event_feed.c.place.label("number"),
    ),
    event_feed,
    "event {0}",
    {1: ("I11", "the event before it is not there")},
    key=(event_feed.c.place,),
)
_sealed_before = audit.alias("sealed_before")
TRAIL = _look(
    "look_at_trail",
    (
        _case(
            (
                sa.and_(
                    audit.c.place > _ONE,
                    _none(_one_of(_sealed_before, _sealed_before.c.place == audit.c.place - _ONE)),
                ),
                1,
            )
        ),
        audit.c.place.label("number"),
    ),
    audit,
    "entry {0} of the trail",
    {1: ("I11", "the entry before it is not there; see moorage audit verify")},
    key=(audit.c.place,),
)
LOOKS = (
    TAGS,
    CHANGES,
    REFERENCES,
    NAMES,
    BLOBS,
    LINKS,
    DIGESTS,
    UPLOADS,
    FEED,
    TRAIL,
)
_QUERIES = tuple(look.query for look in LOOKS)
_BEYOND_IDENTITIES = b"\x02"


async def list_page(
    tx: Tx, look: Look, after: tuple[Any, ...], limit: int
) -> tuple[list[Broken], int, tuple[Any, ...]]:
    """Return what is wrong on the page behind a key, its rows, and its last key; empty at the end.

    An empty key begins at the first.
    """
    values = dict(zip(look.key, after, strict=True)) if after else dict(look.key)
    if "beyond" in look.query.names:
        values["beyond"] = _BEYOND_IDENTITIES
    rows = await tx.many(look.query, limit=limit, **values)
    broken = [_broken(look, row) for row in rows if row[len(look.key)]]
    last = tuple(rows[-1][: len(look.key)]) if len(rows) == limit else ()
    return broken, len(rows), last


def _broken(look: Look, row: Row) -> Broken:
    size = len(look.key)
    number = row[size]
    rule, problem = look.problems[number]
    return Broken(
        number, tuple(row[:size]), Finding(rule, _subject(look, row[size + 1 :]), problem)
    )


def _subject(look: Look, values: Row) -> str:
    return look.about.format(*("nothing" if each is None else _shown(each) for each in values))


def _shown(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return Digest.from_key(value)
    except (KeyError, IndexError):
        return value.hex()
