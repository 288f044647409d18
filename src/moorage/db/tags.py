"""Tags and their history. Conditions are part of the statement that writes."""

import enum

import msgspec
import sqlalchemy as sa

from moorage.db.engine import Query, Raced, Tx, insert
from moorage.db.schema import manifest_digest, namespace, tag, tag_change
from moorage.model.artifacts import TagChange
from moorage.oci.digest import Digest
from moorage.oci.names import Tag


class Present(enum.Enum):
    """A condition on whether the tag is there at all."""

    ANY = "any"
    REQUIRED = "required"  # If-Match: *
    FORBIDDEN = "forbidden"  # If-None-Match: *


class Condition(msgspec.Struct, frozen=True):
    """What must hold of a tag for it to be written: `If-Match` and `If-None-Match`.

    `match` and `unless` are digests of manifests, compared by identity: any digest of the same
    manifest will do.
    """

    present: Present = Present.ANY
    match: tuple[Digest, ...] = ()
    unless: tuple[Digest, ...] = ()


class Guard(msgspec.Struct, frozen=True):
    """What the namespace's rules, as they were read, let somebody do to one tag.

    `rules_version` is the one that was read; the statements write nothing once there is another.
    """

    namespace_id: int
    rules_version: int
    may_create: bool = True
    may_move: bool = True
    may_delete: bool = True


class Outcome(enum.Enum):
    """What became of a tag."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"  # by the request's own condition
    RESERVED = "reserved"  # it is not there, and a rule keeps it from being made
    PROTECTED = "protected"  # it is there, and a rule keeps it as it is


def _manifest_of(parameter: str) -> sa.ScalarSelect[int]:
    return (
        sa.select(manifest_digest.c.manifest_id)
        .where(manifest_digest.c.repository_id == sa.bindparam("repository_key"))
        .where(manifest_digest.c.digest == sa.bindparam(parameter))
        .scalar_subquery()
    )


def _rules_are_as_read() -> sa.ColumnElement[bool]:
    return sa.exists(
        sa.select(namespace.c.id)
        .where(namespace.c.id == sa.bindparam("namespace_id"))
        .where(namespace.c.rules_version == sa.bindparam("rules_version"))
    )


# -1 is no manifest's id: a condition that names an unknown digest matches nothing.
_NONE: sa.ColumnClause[int] = sa.literal_column("-1")
_holds = sa.and_(
    tag.c.repository_id == sa.bindparam("repository_key"),
    tag.c.name == sa.bindparam("tag_name"),
    sa.or_(
        sa.bindparam("any", type_=sa.Integer) == sa.literal_column("1"),
        tag.c.manifest_id == sa.func.coalesce(_manifest_of("expected"), _NONE),
    ),
    tag.c.manifest_id != sa.func.coalesce(_manifest_of("unwanted"), _NONE),
    _rules_are_as_read(),
)
MOVE_TAG = Query(
    "move_tag",
    sa.update(tag)
    .where(_holds)
    .where(
        sa.or_(
            tag.c.manifest_id != sa.bindparam("new_manifest"),
            tag.c.digest != sa.bindparam("new_digest"),
        )
    )
    .values(
        manifest_id=sa.bindparam("new_manifest"),
        digest=sa.bindparam("new_digest"),
        version=tag.c.version + sa.literal_column("1"),
        updated_at=sa.bindparam("now"),
    )
    .returning(tag.c.version),
)
_last_version = (
    sa.select(sa.func.coalesce(sa.func.max(tag_change.c.version), sa.literal_column("0")))
    .where(tag_change.c.repository_id == sa.bindparam("repository_id"))
    .where(tag_change.c.name == sa.bindparam("name"))
    .scalar_subquery()
)
CREATE_TAG = Query(
    "create_tag",
    insert(tag)
    .from_select(
        ["repository_id", "name", "manifest_id", "digest", "version", "updated_at"],
        sa.select(
            sa.cast(sa.bindparam("repository_id"), sa.BigInteger),
            sa.cast(sa.bindparam("name"), sa.Text),
            sa.cast(sa.bindparam("manifest_id"), sa.BigInteger),
            sa.cast(sa.bindparam("digest"), sa.LargeBinary),
            _last_version + sa.literal_column("1"),
            sa.cast(sa.bindparam("now"), sa.BigInteger),
        ).where(_rules_are_as_read()),
    )
    .on_conflict_do_nothing()
    .returning(tag.c.version),
)
DELETE_TAG = Query("delete_tag", sa.delete(tag).where(_holds).returning(tag.c.version))
FIND_TAG = Query(
    "find_tag",
    sa.select(tag.c.manifest_id, tag.c.digest)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.name == sa.bindparam("name")),
)
FIND_RULES_VERSION = Query(
    "find_rules_version",
    sa.select(namespace.c.rules_version).where(namespace.c.id == sa.bindparam("namespace_id")),
)
LIST_TAGS = Query(
    "list_tags",
    sa.select(tag.c.name)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.name > sa.bindparam("after"))
    .order_by(tag.c.name)
    .limit(sa.bindparam("limit")),
)
LIST_TAGS_OF = Query(
    "list_tags_of_manifest",
    sa.select(tag.c.name)
    .where(tag.c.repository_id == sa.bindparam("repository_id"))
    .where(tag.c.manifest_id == sa.bindparam("manifest_id")),
)
ADD_CHANGE = Query(
    "add_tag_change",
    insert(tag_change)
    .values(
        repository_id=sa.bindparam("repository_id"),
        name=sa.bindparam("name"),
        version=sa.bindparam("version"),
        digest=sa.bindparam("digest"),
        at=sa.bindparam("now"),
        actor=sa.bindparam("actor"),
        credential=sa.bindparam("credential"),
        request_id=sa.bindparam("request_id"),
        cause=sa.bindparam("cause"),
        cause_id=sa.bindparam("cause_id"),
    )
    .on_conflict_do_nothing(),
)


async def put_tag(  # noqa: PLR0913 - a tag, where it goes, on what condition, by whom
    tx: Tx,
    repository_id: int,
    name: Tag,
    manifest_id: int,
    digest: Digest,
    *,
    condition: Condition,
    guard: Guard,
    change: TagChange,
    now: int,
) -> Outcome:
    """Point the tag at the manifest if condition and guard let it, and write its history.

    What is already as asked is unchanged, whatever these say, so that a client may send a request
    again when it lost the answer.

    Raises:
        Raced: another transaction made, moved or deleted the tag between two statements, or
            changed the rules since they were read.
    """
    may_create = condition.present is not Present.REQUIRED and not condition.match
    may_move = condition.present is not Present.FORBIDDEN
    place = {"repository_key": repository_id, "tag_name": name}
    values = {"new_manifest": manifest_id, "new_digest": digest.key, "now": now}
    found = None
    for _ in range(2):  # again when another replica made the tag after it was to be moved
        version = None
        if may_move and guard.may_move:
            values_of_move = {**place, **values}
            version = await _on_condition(tx, MOVE_TAG, condition, guard, values_of_move)
        if version is None and may_create and guard.may_create:
            row = await tx.one(
                CREATE_TAG,
                repository_id=repository_id,
                name=name,
                manifest_id=manifest_id,
                digest=digest.key,
                now=now,
                namespace_id=guard.namespace_id,
                rules_version=guard.rules_version,
            )
            version = row[0] if row else None
        if version is not None:
            await _add_change(tx, repository_id, name, version, digest.key, change=change, now=now)
            return Outcome.CHANGED
        found = await tx.one(FIND_TAG, repository_id=repository_id, name=name)
        if found is not None and (found[0], found[1]) == (manifest_id, digest.key):
            return Outcome.UNCHANGED
        refused = _refused_put(condition, guard, is_there=found is not None)
        if refused is not None:
            await _check_rules(tx, guard)
            return refused
    await _check_rules(tx, guard)
    if found is not None and condition.unless:
        return Outcome.REFUSED
    raise Raced


def _refused_put(condition: Condition, guard: Guard, *, is_there: bool) -> Outcome | None:
    """Return why a tag that is not as asked stays so; None if nothing that is known forbids it."""
    if is_there and not guard.may_move:
        return Outcome.PROTECTED
    if condition.present is Present.REQUIRED or condition.match:
        return Outcome.REFUSED
    if is_there and condition.present is Present.FORBIDDEN:
        return Outcome.REFUSED
    return None if is_there or guard.may_create else Outcome.RESERVED


async def delete_tag(  # noqa: PLR0913 - a tag, on what condition, by whom
    tx: Tx,
    repository_id: int,
    name: Tag,
    *,
    condition: Condition,
    guard: Guard,
    change: TagChange,
    now: int,
) -> Outcome:
    """Delete the tag if condition and guard let it, and write its history.

    A tag that is not there is unchanged, whatever these say.

    Raises:
        Raced: another transaction made the tag between two statements, or changed the rules since
            they were read.
    """
    place = {"repository_key": repository_id, "tag_name": name}
    version = None
    if condition.present is not Present.FORBIDDEN and guard.may_delete:
        version = await _on_condition(tx, DELETE_TAG, condition, guard, place)
    if version is not None:
        await _add_change(tx, repository_id, name, version + 1, b"", change=change, now=now)
        return Outcome.CHANGED
    if await tx.one(FIND_TAG, repository_id=repository_id, name=name) is None:
        return Outcome.UNCHANGED
    await _check_rules(tx, guard)
    if not guard.may_delete:
        return Outcome.PROTECTED
    if condition == Condition():
        raise Raced  # it was made after it was to be deleted
    return Outcome.REFUSED


async def _check_rules(tx: Tx, guard: Guard) -> None:
    """Start again rather than refuse by rules that are no longer those that were read."""
    row = await tx.one(FIND_RULES_VERSION, namespace_id=guard.namespace_id)
    if row is None or row[0] != guard.rules_version:
        raise Raced


async def find_tag(tx: Tx, repository_id: int, name: Tag) -> Digest | None:
    """Return the digest that the tag was pushed with, None if there is no such tag."""
    row = await tx.one(FIND_TAG, repository_id=repository_id, name=name)
    return Digest.from_key(row[1]) if row else None


async def list_tags(tx: Tx, repository_id: int, after: str, limit: int) -> list[str]:
    """Return up to `limit` tags behind `after`, in ASCII order."""
    rows = await tx.many(LIST_TAGS, repository_id=repository_id, after=after, limit=limit)
    return [row[0] for row in rows]


async def list_tags_of(tx: Tx, repository_id: int, manifest_id: int) -> list[Tag]:
    """Return the tags that point at the manifest."""
    rows = await tx.many(LIST_TAGS_OF, repository_id=repository_id, manifest_id=manifest_id)
    return [Tag(row[0]) for row in rows]


async def _on_condition(
    tx: Tx, query: Query, condition: Condition, guard: Guard, values: dict[str, object]
) -> int | None:
    unwanted = condition.unless[0].key if condition.unless else b""
    for expected in condition.match or (None,):
        row = await tx.one(
            query,
            **values,
            any=int(expected is None),
            expected=expected.key if expected else b"",
            unwanted=unwanted,
            namespace_id=guard.namespace_id,
            rules_version=guard.rules_version,
        )
        if row is not None:
            version: int = row[0]
            return version
    return None


async def _add_change(  # noqa: PLR0913 - one row
    tx: Tx,
    repository_id: int,
    name: Tag,
    version: int,
    digest: bytes,
    *,
    change: TagChange,
    now: int,
) -> None:
    added = await tx.run(
        ADD_CHANGE,
        repository_id=repository_id,
        name=name,
        version=version,
        digest=digest,
        now=now,
        actor=change.actor,
        credential=change.credential,
        request_id=change.request_id,
        cause=change.cause,
        cause_id=change.cause_id,
    )
    if not added:
        raise Raced  # the tag was made and deleted since its last version was looked for
