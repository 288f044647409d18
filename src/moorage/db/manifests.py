"""Manifests, the digests they can be asked by, and what they name."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.db.access import (
    FACTS_OF_ANYBODY,
    FACTS_OF_NOBODY,
    FOUND_TO_READ,
    HERE,
    Found,
    family_of,
    find_renamed,
    found_of,
    place_of,
    readable_id,
)
from moorage.db.engine import EMPTY, Query, Raced, Row, Tx, insert
from moorage.db.repositories import LIVE
from moorage.db.reviews import put_review
from moorage.db.schema import manifest, manifest_digest, manifest_reference, tag
from moorage.model.access import Subject
from moorage.model.artifacts import StoredManifest
from moorage.oci.digest import Digest
from moorage.oci.names import Reference, RepositoryName

# The rules of the partial indexes, word for word: without them SQLite does not use these.
_HAS_SUBJECT = manifest.c.subject != EMPTY


class Child(msgspec.Struct, frozen=True):
    """What a manifest names: the role it gives it, and what the repository has by that digest."""

    role: str
    digest: Digest
    kind: str
    id: int


def _for_pull(
    title: str,
    by: sa.Table,
    facts: Sequence[sa.ColumnElement[Any]],
    here: sa.FromClause,
    *,
    raw: bool,
) -> Query:
    key = by.c.name if by is tag else by.c.digest
    columns: list[sa.ColumnElement[Any]] = [
        manifest.c.id,
        manifest.c.identity,
        by.c.digest,
        manifest.c.media_type,
        manifest.c.size,
        manifest.c.raw if raw else EMPTY,
    ]
    return Query(
        title,
        sa.select(*facts, *columns).select_from(
            here.outerjoin(
                by,
                sa.and_(
                    by.c.repository_id == readable_id(facts),
                    key == sa.bindparam("reference"),
                ),
            ).outerjoin(
                manifest,
                sa.and_(manifest.c.id == by.c.manifest_id, manifest.c.trash_until == LIVE),
            )
        ),
    )


def _family(
    who: str, facts: Sequence[sa.ColumnElement[Any]], here: sa.FromClause
) -> tuple[tuple[Query, Query], tuple[Query, Query]]:
    by_tag, by_digest = (
        (
            _for_pull(f"{who}_heads_manifest_by_{word}", by, facts, here, raw=False),
            _for_pull(f"{who}_pulls_manifest_by_{word}", by, facts, here, raw=True),
        )
        for word, by in (("tag", tag), ("digest", manifest_digest))
    )
    return by_tag, by_digest


# By who asks (`family_of`), whether by digest, and whether for the bytes too.
FOR_PULL = (
    _family("nobody", FACTS_OF_NOBODY, HERE),
    _family("somebody", tuple(FOUND_TO_READ.c), FOUND_TO_READ),
    _family("anybody", FACTS_OF_ANYBODY, HERE),
)

_by_digest = (
    sa.select(manifest.c.id, manifest.c.size, manifest.c.identity)
    .select_from(manifest_digest)
    .join(manifest, manifest.c.id == manifest_digest.c.manifest_id)
    .where(manifest_digest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest_digest.c.digest == sa.bindparam("digest"))
)
_live = _by_digest.where(manifest.c.trash_until == LIVE)
FIND_LIVE = Query("find_live_manifest", _live)
# For a transaction that names the manifest: it stays until its end. Reads lock nothing.
HOLD_LIVE = Query("hold_live_manifest", _live.with_for_update(read=True, of=manifest))
# For one that deletes it: whoever names it is done, or sees it gone.
TAKE_LIVE = Query("take_live_manifest", _live.with_for_update(of=manifest))
TAKE_ANY = Query(
    "take_manifest_by_identity",
    sa.select(manifest.c.id, manifest.c.media_type, manifest.c.trash_until)
    .where(manifest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest.c.identity == sa.bindparam("identity"))
    .with_for_update(),
)
ADD_MANIFEST = Query(
    "add_manifest",
    insert(manifest)
    .values(
        repository_id=sa.bindparam("repository_id"),
        identity=sa.bindparam("identity"),
        media_type=sa.bindparam("media_type"),
        artifact_type=sa.bindparam("artifact_type"),
        subject=sa.bindparam("subject"),
        listed=sa.bindparam("listed"),
        size=sa.bindparam("size"),
        created_at=sa.bindparam("now"),
        trash_until=LIVE,
        raw=sa.bindparam("raw"),
    )
    .on_conflict_do_nothing()
    .returning(manifest.c.id),
)
REVIVE = Query(
    "revive_manifest",
    sa.update(manifest)
    .where(manifest.c.id == sa.bindparam("manifest_id"))
    .values(trash_until=LIVE),
)
ADD_DIGEST = Query(
    "add_manifest_digest",
    insert(manifest_digest)
    .values(
        repository_id=sa.bindparam("repository_id"),
        digest=sa.bindparam("digest"),
        manifest_id=sa.bindparam("manifest_id"),
    )
    .on_conflict_do_nothing(),
)
ADD_REFERENCE = Query(
    "add_reference",
    sa.insert(manifest_reference).values(
        manifest_id=sa.bindparam("manifest_id"),
        position=sa.bindparam("position"),
        repository_id=sa.bindparam("repository_id"),
        role=sa.bindparam("role"),
        child_digest=sa.bindparam("child_digest"),
        kind=sa.bindparam("kind"),
        child_id=sa.bindparam("child_id"),
    ),
)
_resolve = (
    sa.update(manifest_reference)
    .where(manifest_reference.c.repository_id == sa.bindparam("repository_key"))
    .where(manifest_reference.c.child_digest == sa.bindparam("digest"))
    .where(manifest_reference.c.child_id == LIVE)
    .values(kind=sa.bindparam("new_kind"), child_id=sa.bindparam("new_child"))
)
RESOLVE = Query("resolve_references", _resolve)
# A config or a layer is a blob: a manifest of the same bytes is not what was meant.
RESOLVE_TO_MANIFEST = Query(
    "resolve_references_to_manifest",
    _resolve.where(manifest_reference.c.role != sa.literal_column("'config'")).where(
        manifest_reference.c.role != sa.literal_column("'layer'")
    ),
)
ADOPT_REFERRERS = Query(
    "adopt_referrers",
    sa.update(manifest)
    .where(manifest.c.repository_id == sa.bindparam("repository_key"))
    .where(manifest.c.subject == sa.bindparam("alias"))
    .where(_HAS_SUBJECT)
    .values(subject=sa.bindparam("new_subject")),
)
TRASH = Query(
    "trash_manifest",
    sa.update(manifest)
    .where(manifest.c.id == sa.bindparam("manifest_id"))
    .where(manifest.c.trash_until == LIVE)
    .values(trash_until=sa.bindparam("until"))
    .returning(manifest.c.repository_id),
)
_referrers = (
    sa.select(manifest.c.id, manifest.c.listed)
    .where(manifest.c.repository_id == sa.bindparam("repository_id"))
    .where(manifest.c.subject == sa.bindparam("subject"))
    .where(_HAS_SUBJECT)
    .where(manifest.c.trash_until == LIVE)
    .where(manifest.c.id < sa.bindparam("before"))
    .order_by(manifest.c.id.desc())
    .limit(sa.bindparam("limit"))
)
LIST_REFERRERS = Query("list_referrers", _referrers)
LIST_REFERRERS_OF_TYPE = Query(
    "list_referrers_of_type",
    _referrers.where(manifest.c.artifact_type == sa.bindparam("artifact_type")),
)


def _stored(row: Row) -> StoredManifest:
    number, identity, digest, media_type, size, raw = row
    return StoredManifest(
        number,
        Digest.from_key(identity),
        Digest.from_key(digest),
        media_type,
        size,
        raw,
    )


async def find_for_pull(
    tx: Tx,
    subject: Subject,
    name: RepositoryName,
    reference: Reference,
    *,
    raw: bool,
    is_local: bool,
) -> tuple[Found, StoredManifest | None]:
    """Return the repository and its manifest by tag or digest; `raw` asks for its bytes too.

    The name may be one that it had before. The manifest is looked for only for a subject that may
    have it; `is_local` says that it may have all as long as nobody has an account.
    """
    place = place_of(subject, name)
    family, by_digest = family_of(subject), isinstance(reference, Digest)
    place["reference"] = reference.key if isinstance(reference, Digest) else reference
    if subject.is_early:
        place["is_local"] = int(is_local)
    row = await tx.one(FOR_PULL[family][by_digest][raw], **place)
    assert row is not None  # noqa: S101 - it begins at a row that is always there
    found = found_of(row)
    renamed = await find_renamed(tx, found, name, is_local=is_local)
    if renamed is not None:
        return await find_for_pull(tx, subject, renamed, reference, raw=raw, is_local=is_local)
    return found, _stored(row[6:]) if row[6] is not None else None


async def find_live(tx: Tx, repository_id: int, digest: Digest) -> Digest | None:
    """Return the identity of the repository's live manifest of that digest."""
    row = await tx.one(FIND_LIVE, repository_id=repository_id, digest=digest.key)
    return Digest.from_key(row[2]) if row else None


async def hold_live(tx: Tx, repository_id: int, digest: Digest) -> tuple[int, int, Digest] | None:
    """Return the id, size and identity of the repository's live manifest of that digest.

    It stays until the transaction ends.
    """
    row = await tx.one(HOLD_LIVE, repository_id=repository_id, digest=digest.key)
    return (row[0], row[1], Digest.from_key(row[2])) if row else None


async def take_live(tx: Tx, repository_id: int, digest: Digest) -> int | None:
    """Return the id of the repository's live manifest of that digest, which nobody names now."""
    row = await tx.one(TAKE_LIVE, repository_id=repository_id, digest=digest.key)
    return row[0] if row else None


async def take_any(tx: Tx, repository_id: int, identity: Digest) -> tuple[int, str, int] | None:
    """Return the id, media type and end of trash of a manifest, live or not, for this one push."""
    row = await tx.one(TAKE_ANY, repository_id=repository_id, identity=identity.key)
    return (row[0], row[1], row[2]) if row else None


async def add_manifest(  # noqa: PLR0913 - one row
    tx: Tx,
    repository_id: int,
    identity: Digest,
    *,
    media_type: str,
    artifact_type: str,
    subject: Digest | None,
    listed: bytes,
    raw: bytes,
    now: int,
) -> int:
    """Add the manifest, which is not there yet, and return its id.

    Raises:
        Raced: another transaction has just added it.
    """
    row = await tx.one(
        ADD_MANIFEST,
        repository_id=repository_id,
        identity=identity.key,
        media_type=media_type,
        artifact_type=artifact_type,
        subject=subject.key if subject else b"",
        listed=listed,
        size=len(raw),
        now=now,
        raw=raw,
    )
    if row is None:
        raise Raced
    number: int = row[0]
    return number


async def add_references(
    tx: Tx, repository_id: int, manifest_id: int, children: Sequence[Child]
) -> None:
    """Note what the manifest names, in its own order."""
    rows = [
        {
            "manifest_id": manifest_id,
            "position": position,
            "repository_id": repository_id,
            "role": child.role,
            "child_digest": child.digest.key,
            "kind": child.kind,
            "child_id": child.id,
        }
        for position, child in enumerate(children)
    ]
    await tx.run_many(ADD_REFERENCE, rows)


async def revive(tx: Tx, manifest_id: int) -> None:
    """Take the manifest out of the trash."""
    await tx.run(REVIVE, manifest_id=manifest_id)


async def add_digest(
    tx: Tx, repository_id: int, manifest_id: int, digest: Digest, identity: Digest
) -> None:
    """Let the manifest be asked by the digest: what named it before it was there now finds it.

    The caller has locked the digest's content (`locks.py`).
    """
    await tx.run(
        ADD_DIGEST,
        repository_id=repository_id,
        digest=digest.key,
        manifest_id=manifest_id,
    )
    if digest != identity:
        await tx.run(
            ADOPT_REFERRERS,
            repository_key=repository_id,
            alias=digest.key,
            new_subject=identity.key,
        )
    await resolve(tx, repository_id, digest, "manifest", manifest_id)


async def resolve(tx: Tx, repository_id: int, digest: Digest, kind: str, child_id: int) -> None:
    """Tell the manifests that named absent or foreign content by this digest that it is here.

    The caller has locked the digest's content (`locks.py`).
    """
    await tx.run(
        RESOLVE_TO_MANIFEST if kind == "manifest" else RESOLVE,
        repository_key=repository_id,
        digest=digest.key,
        new_kind=kind,
        new_child=child_id,
    )


async def trash(tx: Tx, manifest_id: int, until: int) -> bool:
    """Put the manifest into the trash until collection takes it; tell whether it was live."""
    row = await tx.one(TRASH, manifest_id=manifest_id, until=until)
    if row is not None:
        await put_review(tx, "manifest", row[0], manifest_id, until, "trashed")
    return row is not None


async def list_referrers(
    tx: Tx,
    repository_id: int,
    subject: Digest,
    artifact_type: str,
    before: int,
    limit: int,
) -> list[tuple[int, bytes]]:
    """Return ids and descriptors of up to `limit` live referrers older than `before`, newest first.

    An empty artifact type is any.
    """
    place = {"repository_id": repository_id, "subject": subject.key, "before": before}
    if artifact_type:
        rows = await tx.many(
            LIST_REFERRERS_OF_TYPE, **place, artifact_type=artifact_type, limit=limit
        )
    else:
        rows = await tx.many(LIST_REFERRERS, **place, limit=limit)
    return [(row[0], row[1]) for row in rows]
