"""Looks for what words are in: candidates by their pieces, a slice at a time.

A slice is of one scope (`search_schema.py`), and costs the same whatever others have: what an
entry is, and who may see it, is asked of the few that have all words.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from moorage.db.access_schema import grant
from moorage.db.engine import ONE, Query, Tx
from moorage.db.readable import LIST_TEAMS
from moorage.db.repositories import EVERYBODY, LIVE, SIGNED_IN
from moorage.db.schema import manifest, repository, tag
from moorage.db.search_schema import search_entry, search_piece
from moorage.model.access import Subject
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName, Tag

SLICE = 1_000
# Of more pieces, those at even distances: each makes the rarest one rarer.
_MOST_PIECES = 6
_COMMON = 4_000
# The words that the statement itself compares; further ones are compared by who asks for it.
_MOST_WORDS = 3
_MOST_GRANTS = 1_000
_MOST_TAGS = 5
_MANY: sa.ColumnClause[int] = sa.literal_column(str(_COMMON))


class Scope(msgspec.Struct, frozen=True, order=True):
    """What somebody may find: all there is, a scope of the index, or one repository.

    In this order, and by number, they are gone through.
    """

    family: int
    number: int = 0


ALL, SHARED, SINGLE = range(3)


class Place(msgspec.Struct, frozen=True):
    """How far a look has come: the scope and entry of the last candidate."""

    scope: int = EVERYBODY - 2
    entry: int = 0


class Entry(msgspec.Struct, frozen=True):
    """What was found; `manifest_id` is 0 where it is not about one."""

    kind: int
    repository_id: int
    name: RepositoryName
    subject: str
    manifest_id: int
    folded: str


def _has_words(entry: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(
        *(
            entry.c.folded.like(sa.bindparam(f"word_{number}", type_=sa.Text), escape="\\")
            for number in range(_MOST_WORDS)
        )
    )


def _pieces(title: str, *bounds: sa.ColumnElement[bool]) -> Query:
    candidates = (
        sa.select(search_piece.c.scope, search_piece.c.entry_id)
        .where(search_piece.c.piece == sa.bindparam("piece"))
        .where(search_piece.c.kind == sa.bindparam("kind"))
        .where(*bounds)
        .order_by(search_piece.c.scope, search_piece.c.entry_id)
        .limit(sa.bindparam("limit"))
        .subquery()
    )
    # A value, not a join: candidates come in the order of the index, each looked up by its id.
    has = (
        sa.select(ONE)
        .where(search_entry.c.id == candidates.c.entry_id)
        .where(_has_words(search_entry))
        .correlate(candidates)
        .scalar_subquery()
    )
    return Query(title, sa.select(candidates.c.scope, candidates.c.entry_id, has))


_is_behind = sa.tuple_(search_piece.c.scope, search_piece.c.entry_id) > sa.tuple_(
    sa.bindparam("scope", type_=sa.BigInteger), sa.bindparam("after", type_=sa.BigInteger)
)
LOOK_EVERYWHERE = _pieces("look_everywhere", _is_behind)
LOOK_IN_SCOPE = _pieces(
    "look_in_scope",
    search_piece.c.scope == sa.bindparam("scope"),
    search_piece.c.entry_id > sa.bindparam("after"),
)
_own = (
    sa.select(search_entry.c.id, search_entry.c.kind, search_entry.c.folded)
    .where(search_entry.c.repository_id == sa.bindparam("number"))
    .where(search_entry.c.id > sa.bindparam("after"))
    .order_by(search_entry.c.id)
    .limit(sa.bindparam("limit"))
    .subquery()
)
LOOK_IN_REPOSITORY = Query(
    "look_in_repository",
    sa.select(
        _own.c.id,
        sa.case((sa.and_(_own.c.kind == sa.bindparam("kind"), _has_words(_own)), ONE), else_=LIVE),
    ),
)


def _count(number: int, *bounds: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    some = (
        sa.select(ONE.label("one"))
        .select_from(search_piece)
        .where(search_piece.c.piece == sa.bindparam(f"piece_{number}"))
        .where(search_piece.c.kind == sa.bindparam("kind"))
        .where(*bounds)
        .limit(_MANY)
        .subquery()
    )
    return sa.select(sa.func.count().label("found")).select_from(some).scalar_subquery()


COUNT_EVERYWHERE = Query(
    "count_pieces_everywhere", sa.select(*(_count(each) for each in range(_MOST_PIECES)))
)
COUNT_IN_SCOPE = Query(
    "count_pieces_in_scope",
    sa.select(
        *(
            _count(each, search_piece.c.scope == sa.bindparam("scope"))
            for each in range(_MOST_PIECES)
        )
    ),
)
FIND_ENTRY = Query(
    "find_search_entry",
    sa.select(
        search_entry.c.kind,
        search_entry.c.repository_id,
        repository.c.name,
        search_entry.c.subject,
        search_entry.c.manifest_id,
        search_entry.c.folded,
    )
    .select_from(search_entry.join(repository, repository.c.id == search_entry.c.repository_id))
    .where(search_entry.c.id == sa.bindparam("entry_id"))
    .where(repository.c.trash_until == LIVE),
)
FIND_MANIFEST = Query(
    "find_found_manifest",
    sa.select(manifest.c.identity)
    .where(manifest.c.id == sa.bindparam("manifest_id"))
    .where(manifest.c.trash_until == LIVE),
)
FIND_TAGS = Query(
    "find_found_tags",
    sa.select(tag.c.name)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.manifest_id == sa.bindparam("manifest_id"))
    .limit(sa.literal_column(str(_MOST_TAGS))),
)
LIST_GRANTS = Query(
    "list_places_granted_to",
    sa.select(grant.c.namespace_id, grant.c.repository_id)
    .where(grant.c.principal_id == sa.bindparam("whose"))
    .order_by(grant.c.namespace_id, grant.c.repository_id)
    .limit(sa.literal_column(str(_MOST_GRANTS))),
)


async def list_scopes(tx: Tx, subject: Subject) -> list[Scope]:
    """Return where the subject finds what it may read, in order: at most 1,000 for each team."""
    if not subject.principal_id:
        return [Scope(SHARED, EVERYBODY)]
    teams = await tx.many(LIST_TEAMS, principal_id=subject.principal_id)
    found = {Scope(SHARED, EVERYBODY), Scope(SHARED, SIGNED_IN)}
    for whose in (subject.principal_id, *(row[0] for row in teams)):
        for namespace_id, repository_id in await tx.many(LIST_GRANTS, whose=whose):
            if repository_id:
                found.add(Scope(SINGLE, repository_id))
            else:
                found.add(Scope(SHARED, namespace_id))
    return sorted(found)


async def find_rarest(tx: Tx, scope: Scope, kind: int, pieces: Sequence[str]) -> str:
    """Return the piece that the fewest entries have, empty if one of them has none."""
    asked = [pieces[place * len(pieces) // _MOST_PIECES] for place in range(_MOST_PIECES)]
    values = {f"piece_{number}": piece for number, piece in enumerate(asked)}
    if scope.family == ALL:
        row = await tx.one(COUNT_EVERYWHERE, kind=kind, **values)
    else:
        row = await tx.one(COUNT_IN_SCOPE, kind=kind, scope=scope.number, **values)
    counts = row or (0,)
    fewest = min(counts)
    return asked[counts.index(fewest)] if fewest else ""


async def look(  # noqa: PLR0913 - where, for what, and how far
    tx: Tx, scope: Scope, kind: int, piece: str, words: Sequence[str], place: Place, *, limit: int
) -> tuple[list[tuple[Place, bool]], bool]:
    """Return up to `limit` candidates behind the place, whether each has the words, and the end.

    Of more than three words, the others are for the caller to compare. In a repository all entries
    are candidates, and there is no piece.
    """
    patterns = [f"%{_escaped(word)}%" for word in words[:_MOST_WORDS]]
    patterns += ["%"] * (_MOST_WORDS - len(patterns))
    values: dict[str, object] = {
        f"word_{number}": pattern for number, pattern in enumerate(patterns)
    }
    values |= {"kind": kind, "after": place.entry, "limit": limit}
    if scope.family == SINGLE:
        rows = await tx.many(LOOK_IN_REPOSITORY, number=scope.number, **values)
        found = [(Place(0, row[0]), bool(row[1])) for row in rows]
    else:
        query = LOOK_EVERYWHERE if scope.family == ALL else LOOK_IN_SCOPE
        where = place.scope if scope.family == ALL else scope.number
        rows = await tx.many(query, scope=where, piece=piece, **values)
        found = [(Place(row[0], row[1]), bool(row[2])) for row in rows]
    return sorted(found, key=lambda each: (each[0].scope, each[0].entry)), len(rows) < limit


async def find_entry(tx: Tx, number: int) -> Entry | None:
    """Return the entry if its repository is live."""
    row = await tx.one(FIND_ENTRY, entry_id=number)
    if row is None:
        return None
    return Entry(row[0], row[1], RepositoryName(row[2]), *row[3:])


async def find_manifest(
    tx: Tx, repository_id: int, manifest_id: int
) -> tuple[Digest, list[Tag]] | None:
    """Return the identity of the manifest if it is live, and up to five of its tags."""
    row = await tx.one(FIND_MANIFEST, manifest_id=manifest_id)
    if row is None:
        return None
    names = await tx.many(FIND_TAGS, repository_id=repository_id, manifest_id=manifest_id)
    return Digest.from_key(row[0]), sorted(Tag(each[0]) for each in names)


def _escaped(word: str) -> str:
    for each in ("\\", "%", "_"):
        word = word.replace(each, "\\" + each)
    return word
