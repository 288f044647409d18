"""What `tag_change` tells: how a tag came to be what it is, and what all were at some time.

The table is only ever added to, by the statements of `db/tags.py`, and has no index but its key:
what is rarely asked for costs the pushes nothing.
"""

from typing import Any

import sqlalchemy as sa

from moorage.db.engine import BEYOND_ALL, ONE, Query, Row, Tx
from moorage.db.repositories import LIVE
from moorage.db.schema import manifest, manifest_digest, tag, tag_change
from moorage.model.artifacts import TagChange
from moorage.model.history import EndedTag, TagMove, TagState
from moorage.oci.digest import Digest
from moorage.oci.names import Tag

_details = (
    tag_change.c.version,
    tag_change.c.digest,
    tag_change.c.at,
    tag_change.c.actor,
    tag_change.c.credential,
    tag_change.c.request_id,
    tag_change.c.cause,
    tag_change.c.cause_id,
)
_DETAILS = len(_details)
# What the change had the tag name may have been deleted since: then there is no such row.
_live = (
    sa.select(manifest.c.id)
    .select_from(manifest_digest.join(manifest, manifest.c.id == manifest_digest.c.manifest_id))
    .where(manifest_digest.c.repository_id == tag_change.c.repository_id)
    .where(manifest_digest.c.digest == tag_change.c.digest)
    .where(manifest.c.trash_until == LIVE)
    .correlate(tag_change)
    .scalar_subquery()
)
LIST_CHANGES = Query(
    "list_tag_changes",
    sa.select(*_details, _live)
    .where(tag_change.c.repository_id == sa.bindparam("repository_id"))
    .where(tag_change.c.name == sa.bindparam("name"))
    .where(tag_change.c.version < sa.bindparam("before"))
    .order_by(tag_change.c.version.desc())
    .limit(sa.bindparam("limit")),
)
FIND_CHANGE_TO = Query(
    "find_tag_change_to",
    sa.select(*_details)
    .where(tag_change.c.repository_id == sa.bindparam("repository_id"))
    .where(tag_change.c.name == sa.bindparam("name"))
    .where(tag_change.c.digest == sa.bindparam("digest"))
    .order_by(tag_change.c.version.desc())
    .limit(ONE),
)
# Of the tag as it is, the change that made it so has its version.
LIST_STATES = Query(
    "list_tag_states",
    sa.select(tag.c.name, *_details)
    .join(
        tag_change,
        sa.and_(
            tag_change.c.repository_id == tag.c.repository_id,
            tag_change.c.name == tag.c.name,
            tag_change.c.version == tag.c.version,
        ),
    )
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.name > sa.bindparam("after"))
    .order_by(tag.c.name)
    .limit(sa.bindparam("limit")),
)


def _names() -> sa.CTE:
    """Return the names of all tags that there ever were, each found by the one before it.

    The database makes them one by one, as many as the page takes, and never goes through all the
    changes of a name.
    """
    names = (
        sa.select(sa.func.min(tag_change.c.name).label("name"))
        .where(tag_change.c.repository_id == sa.bindparam("repository_id"))
        .where(tag_change.c.name > sa.bindparam("after"))
        .cte(recursive=True)
    )
    following = tag_change.alias("following")
    behind = (
        sa.select(sa.func.min(following.c.name))
        .where(following.c.repository_id == sa.bindparam("repository_id"))
        .where(following.c.name > names.c.name)
        .scalar_subquery()
    )
    return names.union_all(
        sa.select(behind).select_from(names).where(names.c.name.is_not(sa.null()))
    )


def _states_then() -> sa.Select[Any]:
    names = _names()
    earlier = tag_change.alias("earlier")
    version = (
        sa.select(earlier.c.version)
        .where(earlier.c.repository_id == sa.bindparam("repository_id"))
        .where(earlier.c.name == names.c.name)
        .where(earlier.c.at <= sa.bindparam("moment"))
        .order_by(earlier.c.version.desc())
        .limit(ONE)
        .scalar_subquery()
        .label("version")
    )
    page = (
        sa.select(names.c.name, version)
        .where(names.c.name.is_not(sa.null()))
        .limit(sa.bindparam("limit"))
        .subquery()
    )
    return sa.select(page.c.name, *_details, _live).select_from(
        page.outerjoin(
            tag_change,
            sa.and_(
                tag_change.c.repository_id == sa.bindparam("repository_id"),
                tag_change.c.name == page.c.name,
                tag_change.c.version == page.c.version,
            ),
        )
    )


LIST_STATES_THEN = Query("list_tag_states_then", _states_then())


async def list_moves(
    tx: Tx, repository_id: int, name: Tag, before: int, limit: int
) -> list[TagMove]:
    """Return up to `limit` changes of the tag with versions below `before`, newest first."""
    rows = await tx.many(
        LIST_CHANGES, repository_id=repository_id, name=name, before=before, limit=limit + 1
    )
    # Versions have no gaps: what a move came from is in the next row.
    befores = [*((row[1], _is_deleted(row)) for row in rows[1:]), (b"", False)]
    moves = [
        TagMove(
            row[0],
            _digest(key),
            _digest(row[1]),
            row[2],
            _by(row),
            before_is_deleted=before_is_deleted,
            after_is_deleted=_is_deleted(row),
        )
        for row, (key, before_is_deleted) in zip(rows, befores, strict=False)
    ]
    return moves[:limit]


async def find_move_to(tx: Tx, repository_id: int, name: Tag, digest: Digest) -> TagMove | None:
    """Return the last change by which the tag came to name that digest, None if it never did.

    What it named just before is left out.
    """
    row = await tx.one(FIND_CHANGE_TO, repository_id=repository_id, name=name, digest=digest.key)
    return TagMove(row[0], None, _digest(row[1]), row[2], _by(row)) if row else None


async def find_end(tx: Tx, repository_id: int, name: Tag) -> EndedTag | None:
    """Return how the tag ended, None if it is there or never was."""
    for move in await list_moves(tx, repository_id, name, BEYOND_ALL, 1):
        if move.after is None and move.before is not None:
            named, is_deleted = move.before, move.before_is_deleted
            return EndedTag(name, move.version, named, move.at, move.by, is_deleted)
    return None


async def list_states(tx: Tx, repository_id: int, after: str, limit: int) -> list[TagState]:
    """Return up to `limit` tags behind `after`, in ASCII order, as they are."""
    rows = await tx.many(LIST_STATES, repository_id=repository_id, after=after, limit=limit)
    return [_state(row) for row in rows]


async def list_states_at(
    tx: Tx, repository_id: int, moment: int, after: str, limit: int
) -> list[TagState]:
    """Return what up to `limit` tags behind `after` were at that moment, in ASCII order.

    Those are among them that there were only before or afterwards, without a digest.
    """
    rows = await tx.many(
        LIST_STATES_THEN, repository_id=repository_id, moment=moment, after=after, limit=limit
    )
    return [
        _state(row, is_deleted=_is_deleted(row[1:]))
        for row in sorted(rows, key=lambda row: str(row[0]))
    ]


def _state(row: Row, *, is_deleted: bool = False) -> TagState:
    name, *details = row
    if details[0] is None:
        return TagState(Tag(name), 0, None, 0, TagChange("", "", "", ""))
    digest = _digest(details[1])
    return TagState(Tag(name), details[0], digest, details[2], _by(details), is_deleted)


def _is_deleted(row: Any) -> bool:
    """Tell whether what the change had the tag name is there no more; False for its end."""
    return bool(row[1]) and row[_DETAILS] is None


def _digest(key: bytes) -> Digest | None:
    return Digest.from_key(key) if key else None


def _by(row: Any) -> TagChange:
    return TagChange(*row[3:_DETAILS])
