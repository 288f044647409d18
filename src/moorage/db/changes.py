"""When repositories last changed, and what is in them: kept beside the history that says so.

`repository.changed_at` is for whoever sees all, `readable.changed_at` the same for each who reads
the repository, so that pages in that order are on an index for everybody. Both say nothing that is
not elsewhere, and a push writes neither.
"""

import msgspec
import sqlalchemy as sa

from moorage.db.access_schema import readable
from moorage.db.engine import Query, Tx
from moorage.db.schema import manifest, repository, tag, tag_change
from moorage.db.settings import ADD_SETTING, GET_SETTING
from moorage.oci.kinds import IMAGE, INDEX, kind_of, kind_of_tag

# In `search_state`: where the feed is read from, and below which id repositories are unread.
FEED, FILL = "changed.feed", "changed.fill"
# The setting that says since when pulls have been counted here.
_COUNTED = "pulls.since"
# Of so many tags of the newest images, one is no signature's.
_FEW: sa.ColumnClause[int] = sa.literal_column("20")


class Known(msgspec.Struct, frozen=True):
    """What is noted of a repository, live or not."""

    created_at: int
    changed_at: int
    kind: str


class Move(msgspec.Struct, frozen=True):
    """A change of a tag."""

    name: str
    version: int
    at: int


def _of_manifest(column: sa.Column[str]) -> sa.ScalarSelect[str]:
    # By a look-up each, not a join: the page comes in the order of the tags' index.
    return (
        sa.select(column).where(manifest.c.id == tag.c.manifest_id).correlate(tag).scalar_subquery()
    )


FIND_KNOWN = Query(
    "find_noted_change",
    sa.select(repository.c.created_at, repository.c.changed_at, repository.c.content_kind).where(
        repository.c.id == sa.bindparam("number")
    ),
)
LIST_UNREAD = Query(
    "list_repositories_unread",
    sa.select(repository.c.id)
    .where(repository.c.id < sa.bindparam("before"))
    .order_by(repository.c.id.desc())
    .limit(sa.bindparam("limit")),
)
LIST_MOVES = Query(
    "list_moves_of_repository",
    sa.select(tag_change.c.name, tag_change.c.version, tag_change.c.at)
    .where(tag_change.c.repository_id == sa.bindparam("number"))
    .where(
        sa.tuple_(tag_change.c.name, tag_change.c.version)
        > sa.tuple_(
            sa.bindparam("after", type_=sa.Text), sa.bindparam("version", type_=sa.BigInteger)
        )
    )
    .order_by(tag_change.c.name, tag_change.c.version)
    .limit(sa.bindparam("limit")),
)
LIST_NEWEST_KINDS = Query(
    "list_kinds_of_newest",
    sa.select(
        tag.c.manifest_id,
        tag.c.updated_at,
        tag.c.name,
        _of_manifest(manifest.c.media_type),
        _of_manifest(manifest.c.artifact_type),
    )
    .where(tag.c.repository_id == sa.bindparam("number"))
    .order_by(tag.c.manifest_id.desc())
    .limit(_FEW),
)
NOTE_CHANGE = Query(
    "note_change_of_repository",
    sa.update(repository)
    .where(repository.c.id == sa.bindparam("number"))
    .values(changed_at=sa.bindparam("new_changed"), content_kind=sa.bindparam("new_kind")),
)
NOTE_FOR_READERS = Query(
    "note_change_for_readers",
    sa.update(readable)
    .where(readable.c.repository_id == sa.bindparam("number"))
    .where(readable.c.changed_at != sa.bindparam("new_changed"))
    .values(changed_at=sa.bindparam("new_changed")),
)


async def find_known(tx: Tx, number: int) -> Known | None:
    """Return what is noted of the repository of that id, None if there is none."""
    row = await tx.one(FIND_KNOWN, number=number)
    return Known(*row) if row else None


async def find_kind(tx: Tx, number: int) -> str:
    """Return what its newest image is, signatures and such aside where there is anything else.

    One of `oci/kinds.py`, an index as the image that it is for several platforms; empty without
    tags.
    """
    rows = await tx.many(LIST_NEWEST_KINDS, number=number)
    own = [row for row in rows if not kind_of_tag(row[2])]
    if not rows:
        return ""
    _, _, name, media_type, artifact_type = max(own or rows)
    kind = kind_of_tag(name) or kind_of(media_type or "", artifact_type or "")
    return IMAGE if kind == INDEX else kind


async def list_unread(tx: Tx, before: int, limit: int) -> list[int]:
    """Return up to `limit` ids of repositories below that one, from above, live or not."""
    return [row[0] for row in await tx.many(LIST_UNREAD, before=before, limit=limit)]


async def list_moves(tx: Tx, number: int, after: tuple[str, int], limit: int) -> list[Move]:
    """Return up to `limit` changes of the repository's tags behind a name and a version."""
    rows = await tx.many(LIST_MOVES, number=number, after=after[0], version=after[1], limit=limit)
    return [Move(*row) for row in rows]


async def note(tx: Tx, number: int, changed_at: int, kind: str) -> None:
    """Have the repository as it is, for all who read it."""
    await tx.run(NOTE_CHANGE, number=number, new_changed=changed_at, new_kind=kind)
    # Behind the row of the repository: who is made a reader meanwhile waits for that one.
    await tx.run(NOTE_FOR_READERS, number=number, new_changed=changed_at)


async def begin_counting(tx: Tx, now: int) -> None:
    """Note that pulls have been counted from now on, unless that is known."""
    await tx.run(ADD_SETTING, key=_COUNTED, value=str(now))


async def counted_since(tx: Tx) -> int | None:
    """Return since when pulls have been counted, None where that is not known."""
    row = await tx.one(GET_SETTING, key=_COUNTED)
    return int(row[0]) if row else None
