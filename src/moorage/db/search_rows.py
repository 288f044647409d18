"""Keeps what can be searched for: one transaction at a time changes it, always a job's."""

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from moorage.db.engine import ONE, Query, Tx, insert
from moorage.db.locks import lock_search
from moorage.db.repositories import EVERYBODY, LIVE, SIGNED_IN, repository_of
from moorage.db.schema import (
    event_outbox,
    manifest,
    manifest_digest,
    repository,
    tag,
)
from moorage.db.search_schema import search_entry, search_piece, search_state
from moorage.model.artifacts import Repository
from moorage.model.words import pieces_of
from moorage.oci.digest import Digest

FILL, FEED = "fill", "feed"


class Kept(msgspec.Struct, frozen=True):
    """An entry as it is kept; `subject` and `folded` are its text as written and as compared."""

    id: int
    kind: int
    subject: str
    manifest_id: int
    scope: int
    folded: str


class Wanted(msgspec.Struct, frozen=True):
    """An entry as it is to be."""

    kind: int
    subject: str
    folded: str
    manifest_id: int = 0


class Content(msgspec.Struct, frozen=True):
    """A manifest as it is searched through; `is_live` is at the moment that it was read."""

    id: int
    identity: Digest
    media_type: str
    raw: bytes
    is_live: bool


_kept = sa.select(
    search_entry.c.id,
    search_entry.c.kind,
    search_entry.c.subject,
    search_entry.c.manifest_id,
    search_entry.c.scope,
    search_entry.c.folded,
).where(search_entry.c.repository_id == sa.bindparam("repository_id"))
FIND_KEPT = Query(
    "find_kept_entry",
    _kept.where(search_entry.c.kind == sa.bindparam("kind")).where(
        search_entry.c.subject == sa.bindparam("subject")
    ),
)
LIST_KEPT = Query(
    "list_kept_entries",
    _kept.where(search_entry.c.id > sa.bindparam("after"))
    .order_by(search_entry.c.id)
    .limit(sa.bindparam("limit")),
)
ADD_ENTRY = Query(
    "add_search_entry",
    insert(search_entry)
    .values(
        repository_id=sa.bindparam("repository_id"),
        kind=sa.bindparam("kind"),
        subject=sa.bindparam("subject"),
        manifest_id=sa.bindparam("manifest_id"),
        scope=sa.bindparam("scope"),
        folded=sa.bindparam("folded"),
    )
    .returning(search_entry.c.id),
)
CHANGE_ENTRY = Query(
    "change_search_entry",
    sa.update(search_entry)
    .where(search_entry.c.id == sa.bindparam("entry_id"))
    .values(
        manifest_id=sa.bindparam("new_manifest"),
        scope=sa.bindparam("new_scope"),
        folded=sa.bindparam("new_folded"),
    ),
)
END_ENTRY = Query(
    "end_search_entry",
    sa.delete(search_entry).where(search_entry.c.id == sa.bindparam("entry_id")),
)
ADD_PIECE = Query(
    "add_search_piece",
    insert(search_piece)
    .values(
        piece=sa.bindparam("piece"),
        kind=sa.bindparam("kind"),
        scope=sa.bindparam("scope"),
        entry_id=sa.bindparam("entry_id"),
    )
    .on_conflict_do_nothing(),
)
END_PIECE = Query(
    "end_search_piece",
    sa.delete(search_piece)
    .where(search_piece.c.piece == sa.bindparam("piece"))
    .where(search_piece.c.kind == sa.bindparam("kind"))
    .where(search_piece.c.scope == sa.bindparam("scope"))
    .where(search_piece.c.entry_id == sa.bindparam("entry_id")),
)
FIND_STATE = Query(
    "find_search_state",
    sa.select(search_state.c.place).where(search_state.c.name == sa.bindparam("name")),
)
_state = insert(search_state).values(name=sa.bindparam("name"), place=sa.bindparam("place"))
PUT_STATE = Query(
    "put_search_state",
    _state.on_conflict_do_update(
        index_elements=[search_state.c.name], set_={"place": _state.excluded.place}
    ),
)
IS_WAITING = Query(
    "is_any_event_waiting",
    sa.select(event_outbox.c.id).where(event_outbox.c.id > LIVE).limit(ONE),
)
FIND_REPOSITORY = Query(
    "find_repository_to_search",
    sa.select(
        repository.c.id, repository.c.namespace_id, repository.c.name, repository.c.visibility
    )
    .where(repository.c.id == sa.bindparam("number"))
    .where(repository.c.trash_until == LIVE),
)
LIST_REPOSITORIES = Query(
    "list_repositories_to_search",
    sa.select(repository.c.id)
    .where(repository.c.id > sa.bindparam("after"))
    .order_by(repository.c.id)
    .limit(sa.bindparam("limit")),
)
_content = sa.select(
    manifest.c.id,
    manifest.c.identity,
    manifest.c.media_type,
    manifest.c.raw,
    sa.case((manifest.c.trash_until == LIVE, ONE), else_=LIVE),
)
FIND_CONTENT = Query(
    "find_content_to_search",
    _content.select_from(
        manifest_digest.join(manifest, manifest.c.id == manifest_digest.c.manifest_id)
    )
    .where(manifest_digest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest_digest.c.digest == sa.bindparam("digest")),
)
LIST_CONTENT = Query(
    "list_content_to_search",
    _content.where(manifest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest.c.identity > sa.bindparam("after"))
    .order_by(manifest.c.identity)
    .limit(sa.bindparam("limit")),
)
IS_LIVE = Query(
    "is_manifest_live",
    sa.select(manifest.c.id)
    .where(manifest.c.id == sa.bindparam("manifest_id"))
    .where(manifest.c.trash_until == LIVE),
)
IS_TAG = Query(
    "is_tag",
    sa.select(tag.c.version)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.name == sa.bindparam("name")),
)


def scope_of(place: Repository) -> int:
    """Return whose the repository's entries are to find (`search_schema.py`)."""
    shared = {"public": EVERYBODY, "internal": SIGNED_IN}
    return shared.get(place.visibility, place.namespace_id)


async def hold(tx: Tx) -> None:
    """Let nobody else change what is searched until the transaction ends."""
    await lock_search(tx)


async def find_state(tx: Tx, name: str) -> int | None:
    """Return how far the index is in that, None if it has not begun."""
    row = await tx.one(FIND_STATE, name=name)
    return row[0] if row else None


async def put_state(tx: Tx, name: str, place: int) -> None:
    """Note how far the index is in that."""
    await tx.run(PUT_STATE, name=name, place=place)


async def is_waiting(tx: Tx) -> bool:
    """Tell whether there are events that are not in the feed yet."""
    return await tx.one(IS_WAITING) is not None


async def find_repository(tx: Tx, number: int) -> Repository | None:
    """Return the live repository of that id."""
    row = await tx.one(FIND_REPOSITORY, number=number)
    return repository_of((row[0], row[1], row[2], row[3])) if row else None


async def list_repositories(tx: Tx, after: int, limit: int) -> list[int]:
    """Return up to `limit` ids of repositories above `after`, live or not."""
    return [row[0] for row in await tx.many(LIST_REPOSITORIES, after=after, limit=limit)]


async def find_content(tx: Tx, repository_id: int, digest: Digest) -> Content | None:
    """Return the repository's manifest of that digest, live or not."""
    row = await tx.one(FIND_CONTENT, repository_id=repository_id, digest=digest.key)
    return _content_of(row) if row else None


async def list_content(tx: Tx, repository_id: int, after: bytes, limit: int) -> list[Content]:
    """Return up to `limit` manifests with identities behind the key `after`, live or not."""
    rows = await tx.many(LIST_CONTENT, repository_id=repository_id, after=after, limit=limit)
    return [_content_of(row) for row in rows]


async def is_live(tx: Tx, manifest_id: int) -> bool:
    """Tell whether the manifest is there and not in the trash."""
    return await tx.one(IS_LIVE, manifest_id=manifest_id) is not None


async def is_tag(tx: Tx, repository_id: int, name: str) -> bool:
    """Tell whether the repository has the tag."""
    return await tx.one(IS_TAG, repository_id=repository_id, name=name) is not None


async def list_kept(tx: Tx, repository_id: int, after: int, limit: int) -> list[Kept]:
    """Return up to `limit` of the repository's entries with ids above `after`."""
    rows = await tx.many(LIST_KEPT, repository_id=repository_id, after=after, limit=limit)
    return [Kept(*row) for row in rows]


async def find_kept(tx: Tx, repository_id: int, kind: int, subject: str) -> Kept | None:
    """Return the repository's entry of that kind and subject."""
    row = await tx.one(FIND_KEPT, repository_id=repository_id, kind=kind, subject=subject)
    return Kept(*row) if row else None


async def put(tx: Tx, repository_id: int, scope: int, entries: Iterable[Wanted]) -> None:
    """Have entries as they are to be. The caller holds the index, as for all below."""
    for wanted in entries:
        found = await find_kept(tx, repository_id, wanted.kind, wanted.subject)
        if found is None:
            await _add(tx, repository_id, scope, wanted)
        else:
            await _change(tx, found, scope, wanted.folded, wanted.manifest_id)


async def move(tx: Tx, entries: Sequence[Kept], scope: int) -> None:
    """Have entries in another scope."""
    for each in entries:
        await _change(tx, each, scope, each.folded, each.manifest_id)


async def end(tx: Tx, entries: Iterable[Kept]) -> None:
    """Forget entries."""
    for each in entries:
        await tx.run_many(END_PIECE, _rows(each.kind, each.folded, each.scope, each.id))
        await tx.run(END_ENTRY, entry_id=each.id)


async def _add(tx: Tx, repository_id: int, scope: int, wanted: Wanted) -> None:
    row = await tx.one(
        ADD_ENTRY,
        repository_id=repository_id,
        kind=wanted.kind,
        subject=wanted.subject,
        manifest_id=wanted.manifest_id,
        scope=scope,
        folded=wanted.folded,
    )
    assert row is not None  # noqa: S101 - it was added, or the statement has raised
    await tx.run_many(ADD_PIECE, _rows(wanted.kind, wanted.folded, scope, row[0]))


async def _change(tx: Tx, kept: Kept, scope: int, folded: str, manifest_id: int) -> None:
    if (kept.scope, kept.folded, kept.manifest_id) == (scope, folded, manifest_id):
        return
    if (kept.scope, kept.folded) != (scope, folded):
        await tx.run_many(END_PIECE, _rows(kept.kind, kept.folded, kept.scope, kept.id))
        await tx.run_many(ADD_PIECE, _rows(kept.kind, folded, scope, kept.id))
    await tx.run(
        CHANGE_ENTRY,
        entry_id=kept.id,
        new_manifest=manifest_id,
        new_scope=scope,
        new_folded=folded,
    )


def _rows(kind: int, folded: str, scope: int, number: int) -> list[dict[str, object]]:
    return [
        {"piece": piece, "kind": kind, "scope": scope, "entry_id": number}
        for piece in sorted(pieces_of(kind, folded))
    ]


def _content_of(row: tuple[int, bytes, str, bytes, int]) -> Content:
    number, identity, media_type, raw, is_live = row
    return Content(number, Digest.from_key(identity), media_type, raw, bool(is_live))
