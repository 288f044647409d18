"""What a subject may, as columns of the statement that resolves what it asks for.

Rights are never remembered: each request reads them with its target, in one statement. Every such
statement begins at a row that is always there, so that what is missing and what is hidden take
the same way, and the rights in the namespace are known for a repository that is yet to be made.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from moorage.clock import DAY
from moorage.db.access_schema import account, grant, principal, team_member, token
from moorage.db.engine import NO_TEXT, ONE, ZERO, Query, Row, Tx
from moorage.db.repositories import LIVE, repository_of
from moorage.db.schema import namespace, repository, repository_alias
from moorage.model.access import BEFORE_ACCOUNTS, Facts, Subject
from moorage.model.artifacts import Repository
from moorage.model.people import NamespaceRecord
from moorage.oci.names import RepositoryName

_NOWHERE: sa.ColumnClause[int] = sa.literal_column("-1")
# Both halves of what grants come to, in one number.
_AUDITS = 16
_BIT: sa.ColumnClause[int] = sa.literal_column(str(_AUDITS))

# By letters: SQLite's statements are looked for by all of their text, 1.7 µs for 1,000 characters.
_principal, _token, _account = principal.alias("p"), token.alias("k"), account.alias("a")
_grant, _member = grant.alias("h"), team_member.alias("m")

_token_holds = sa.exists(
    sa.select(_token.c.id)
    .where(_token.c.id == sa.bindparam("token_id"))
    .where(_token.c.principal_id == _principal.c.id)
    .where(_token.c.revoked_at == LIVE)
    .correlate(_principal)
)
# Whose provider has been silent for so long is nobody any more, whatever it signs in with.
CONFIRMED = DAY
_is_unconfirmed = sa.exists(
    sa.select(_account.c.principal_id)
    .where(_account.c.principal_id == _principal.c.id)
    .where(_account.c.provider != NO_TEXT)
    .where(_account.c.confirmed_at <= sa.bindparam("unconfirmed"))
    .correlate(_principal)
)
_standing = (
    sa.select(ONE + _principal.c.administrator)
    .where(_principal.c.id == sa.bindparam("principal_id"))
    .where(
        sa.or_(
            sa.bindparam("generation", type_=sa.BigInteger) == ZERO,
            _principal.c.generation == sa.bindparam("generation"),
        )
    )
    .where(_principal.c.enabled == ONE)
    .where(_principal.c.ended_at == LIVE)
    .where(sa.or_(sa.bindparam("token_id", type_=sa.BigInteger) == ZERO, _token_holds))
    .where(~_is_unconfirmed)
    .scalar_subquery()
)
# Any principal will do: an account comes before all else, and rows are never removed.
_somebodys = sa.exists(sa.select(_principal.c.id).where(_principal.c.id > ZERO).correlate(None))
_of_nobody = sa.case((_somebodys, ZERO), else_=sa.literal_column(str(BEFORE_ACCOUNTS)))
_STANDING = sa.func.coalesce(_standing, _of_nobody)


def _granted(
    namespace_id: sa.ColumnElement[int], place: sa.ColumnElement[int], *, by_team: bool
) -> sa.Select[int, int]:
    found = sa.select(_grant.c.rank, _grant.c.audits)
    holder: sa.ColumnElement[int] = _grant.c.principal_id
    if by_team:
        found = found.join(_member, _member.c.team_id == _grant.c.principal_id)
        holder = _member.c.account_id
    return (
        found.where(holder == sa.bindparam("principal_id"))
        .where(_grant.c.namespace_id == sa.func.coalesce(namespace_id, _NOWHERE))
        .where(_grant.c.repository_id == place)
        .correlate(namespace, repository)
    )


def rights(
    namespace_id: sa.ColumnElement[int], repository_id: sa.ColumnElement[int]
) -> sa.ColumnElement[int]:
    """Return what the subject's own grants and its teams' come to, as one number (`found_of`).

    Of a place that is not there, grants are looked for as of one that is, or the time that takes
    would tell which it is. Each kind of grant is a look-up of its own: with `OR` and `IN` instead,
    SQLite gathers what it is to look for first, which takes 4 of 13 µs of a pull's statement.
    """
    places = (ZERO, sa.func.coalesce(repository_id, _NOWHERE))
    found = sa.union_all(
        *(
            _granted(namespace_id, place, by_team=by_team)
            for by_team in (False, True)
            for place in places
        )
    ).subquery()
    theirs = sa.select(sa.func.max(found.c.rank) + _BIT * sa.func.max(found.c.audits))
    return sa.func.coalesce(theirs.scalar_subquery(), ZERO)


# What `found_of` reads, in front of a statement's own columns.
FACTS: tuple[sa.ColumnElement[Any], ...] = (
    repository.c.id,
    namespace.c.id,
    repository.c.name,
    repository.c.visibility,
    _STANDING,
    rights(namespace.c.id, repository.c.id),
)
# The same where only reading is decided on: whoever may read for the repository's visibility needs
# no right, and looking for one is a third of what such a statement takes.
FACTS_TO_READ: tuple[sa.ColumnElement[Any], ...] = (
    *FACTS[:5],
    sa.case((repository.c.visibility != sa.literal_column("'private'"), ZERO), else_=FACTS[5]),
)
# The same for nobody, who has no rights: without asking for any, a statement takes half as long.
FACTS_OF_NOBODY: tuple[sa.ColumnElement[Any], ...] = (*FACTS[:4], ZERO, ZERO)
# The same for nobody as long as it isn't known whether somebody has an account.
FACTS_OF_ANYBODY: tuple[sa.ColumnElement[Any], ...] = (*FACTS[:4], _of_nobody, ZERO)
# The row that is always there, with the namespace and the live repository where there are any.
HERE: sa.Join = (
    sa.select(ONE.label("one"))
    .subquery("here")
    .outerjoin(namespace, namespace.c.name == sa.bindparam("namespace"))
    .outerjoin(
        repository,
        sa.and_(repository.c.name == sa.bindparam("name"), repository.c.trash_until == LIVE),
    )
)
# With no repository's name, it is the namespace alone that is looked at.
FIND_NAMESPACE_TARGET = Query(
    "find_namespace_target",
    sa.select(*FACTS, namespace.c.name, namespace.c.kind, namespace.c.visibility).select_from(HERE),
)


def _as_row(facts: Sequence[sa.ColumnElement[Any]]) -> sa.Subquery:
    columns = (each.label(f"f{place}") for place, each in enumerate(facts))
    # The limit is so that no database merges it into the statement, and asks for rights twice.
    return sa.select(*columns).select_from(HERE).limit(ONE).subquery()


# Facts as a row of their own, for a statement that uses them itself.
FOUND = _as_row(FACTS)
FOUND_TO_READ = _as_row(FACTS_TO_READ)
FIND_STANDING = Query("find_standing", sa.select(_STANDING))
# By who asks (`family_of`).
FIND_TARGET = tuple(
    Query(title, sa.select(*facts, namespace.c.rules_version).select_from(HERE))
    for title, facts in (
        ("find_target_of_nobody", FACTS_OF_NOBODY),
        ("find_target", FACTS),
        ("find_target_of_anybody", FACTS_OF_ANYBODY),
    )
)
# What a repository is called now that was called so before.
FIND_ALIAS = Query(
    "find_alias",
    sa.select(repository.c.name)
    .select_from(repository_alias)
    .join(repository, repository.c.id == repository_alias.c.repository_id)
    .where(repository_alias.c.name == sa.bindparam("name"))
    .where(repository.c.trash_until == LIVE),
)


def readable_id(facts: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[int]:
    """Return the repository's id if the facts let the subject pull, as far as look-ups go.

    `auth/policy.py` decides; this only keeps what it will refuse from being looked for, since the
    time that takes would tell that it is there.
    """
    return sa.case((_may_read(facts), facts[0]))


def _may_read(facts: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[bool]:
    _, _, _, visibility, standing, rights = facts
    is_public = visibility == sa.literal_column("'public'")
    if facts is FACTS_OF_NOBODY:
        return is_public
    if facts is FACTS_OF_ANYBODY:
        is_local = sa.bindparam("is_local", type_=sa.Integer) == ONE
        return sa.or_(is_public, sa.and_(is_local, ~_somebodys))
    return sa.or_(
        is_public,
        rights > ZERO,
        standing > ONE,
        sa.and_(visibility == sa.literal_column("'internal'"), standing > ZERO),
    )


class Found(msgspec.Struct, frozen=True):
    """A repository as it was found, or not, with the facts for the decision about it.

    `namespace_id` is 0 where there is no such namespace. `rules_version` is known where a write
    looked (`find_target`), and 0 means that no rule for tags was ever made there.
    """

    repository: Repository | None
    facts: Facts
    namespace_id: int = 0
    rules_version: int = 0


class FoundNamespace(msgspec.Struct, frozen=True):
    """A namespace as it was found, or not, with the facts for the decision about it."""

    namespace: NamespaceRecord | None
    facts: Facts


def place_of(subject: Subject, name: RepositoryName) -> dict[str, Any]:
    """Return the parameters of `HERE` and `FACTS`; for nobody, those of `HERE` alone."""
    place = subject_of(subject) if subject.principal_id else {}
    place["name"], place["namespace"] = name, name.namespace
    return place


def family_of(subject: Subject) -> int:
    """Return whose facts the subject's are, as the place in a tuple of three statements.

    0 for `FACTS_OF_NOBODY`, 1 for `FACTS`, 2 for `FACTS_OF_ANYBODY`.
    """
    if subject.principal_id:
        return 1
    return 2 if subject.is_early else 0


def subject_of(subject: Subject) -> dict[str, Any]:
    """Return the parameters of `FACTS` alone."""
    return {
        "principal_id": subject.principal_id,
        "token_id": subject.token_id,
        "generation": subject.generation,
        "unconfirmed": subject.asked_at - CONFIRMED,
    }


def found_of(row: Row) -> Found:
    """Return what the first six columns of a row say."""
    number, namespace_id, name, visibility, standing, rights = row[:6]
    facts = Facts(
        exists=number is not None,
        has_namespace=namespace_id is not None,
        visibility=visibility or "private",
        standing=standing,
        rank=rights % _AUDITS,
        audits=rights >= _AUDITS,
    )
    if number is None:
        return Found(None, facts, namespace_id or 0)
    return Found(repository_of((number, namespace_id, name, visibility)), facts, namespace_id)


async def find_target(tx: Tx, subject: Subject, name: RepositoryName) -> Found:
    """Return the repository of that name, if there is one, and what the subject may with it.

    The name may be one that it had before. Of a name without a repository, the facts are those of
    its namespace.
    """
    found = await _find_target(tx, subject, place_of(subject, name))
    renamed = await find_renamed(tx, found, name)
    return found if renamed is None else await _find_target(tx, subject, place_of(subject, renamed))


async def find_renamed(
    tx: Tx, found: Found, name: RepositoryName, *, is_local: bool = False
) -> RepositoryName | None:
    """Return what the repository is called now that had that name, where none has it.

    It is looked for as well where there is one that the subject may not read: the time that takes
    would tell the two apart. Whoever may read what was found does not wait for it.
    """
    facts = found.facts
    may_read = facts.exists and (
        facts.visibility == "public"
        or facts.rank > 0
        or facts.standing > 1
        or (facts.visibility == "internal" and facts.standing > 0)
        or (is_local and facts.standing == BEFORE_ACCOUNTS)
    )
    if may_read:
        return None
    row = await tx.one(FIND_ALIAS, name=name)
    return RepositoryName(row[0]) if row is not None and found.repository is None else None


async def find_namespace(tx: Tx, subject: Subject, name: str) -> Found:
    """Return what the subject may in the namespace of that name, and no repository."""
    # No repository has an empty name.
    place = {**place_of(subject, RepositoryName("")), "namespace": name}
    return await _find_target(tx, subject, place)


async def _find_target(tx: Tx, subject: Subject, place: dict[str, Any]) -> Found:
    row = await tx.one(FIND_TARGET[family_of(subject)], **place)
    assert row is not None  # noqa: S101 - the row that is always there
    return msgspec.structs.replace(found_of(row), rules_version=row[6] or 0)


async def find_namespace_target(tx: Tx, subject: Subject, name: str) -> FoundNamespace:
    """Return the namespace of that name, if there is one, and what the subject may with all of it.

    Rights in single repositories of it do not count.
    """
    row = await tx.one(FIND_NAMESPACE_TARGET, name="", namespace=name, **subject_of(subject))
    assert row is not None  # noqa: S101 - the row that is always there
    found = None if row[1] is None else NamespaceRecord(row[1], *row[6:])
    return FoundNamespace(found, found_of(row).facts)


async def find_standing(tx: Tx, subject: Subject) -> Facts:
    """Return the facts about the subject alone."""
    row = await tx.one(FIND_STANDING, **subject_of(subject))
    return Facts(standing=row[0] if row else 0)
