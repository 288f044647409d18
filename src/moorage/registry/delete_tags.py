"""Takes several tags away at once, tells before what goes, and after what became of each.

One transaction for all. A tag that a rule keeps, that was moved since it was chosen or that is not
there stays as it is, and the others go.
"""

from collections.abc import Sequence

import msgspec

from moorage.auth.policy import require
from moorage.db import access, images
from moorage.db.engine import Tx
from moorage.db.tags import FIND_TAG, Condition, Outcome, Present
from moorage.errors import Conflicting, Invalid, NotFound, PreconditionFailed, TagProtected
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.artifacts import TagChange
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.registry.delete import end_tag, hold_tags
from moorage.registry.restore import restore_tag
from moorage.registry.services import Services
from moorage.registry.tag_guard import TagGuard, tag_guard

# So that the transaction stays short.
MOST = 100
_MOVED = "it names another image since it was chosen"
_GONE = "it is not there any more"
# Tags that an image keeps are told up to so many.
_MOST_OTHERS = 3


class TagEnd(msgspec.Struct, frozen=True):
    """A tag that is to be deleted, and `why` it stays, empty if it goes.

    `digest` is what it names, None if it is not there or names another one since it was chosen.
    `others` are some of the tags that its image has besides those that go, and `more_others` says
    that there are more.
    """

    tag: Tag
    digest: Digest | None = None
    why: str = ""
    others: tuple[Tag, ...] = ()
    more_others: bool = False


async def preview(
    s: Services, actor: Actor, name: RepositoryName, wanted: Sequence[Tag]
) -> list[TagEnd]:
    """Return what deleting the tags would do now; changes nothing.

    Raises:
        Unauthorized, NotPermitted: the actor may not delete there.
        NotFound: there is no such repository.
        Invalid: there are none, or too many.
    """
    chosen = _chosen(wanted)

    async def read(tx: Tx) -> list[TagEnd]:
        found = await access.find_target(tx, actor.subject, name)
        require(actor, Action.DELETE, RepositoryTarget(name), found.facts)
        if found.repository is None:
            raise NotFound(f"there is no repository {name}")
        guard = await tag_guard(tx, actor, found, found.repository)
        kept = {tag for tag in chosen if guard.kept(tag) is not None}
        going = set(chosen) - kept
        return [await _planned(tx, guard, tag, going) for tag in chosen]

    return await s.db.read(read, pages=True)


async def delete_tags(
    s: Services,
    actor: Actor,
    name: RepositoryName,
    wanted: Sequence[tuple[Tag, Digest]],
    by: TagChange,
) -> list[TagEnd]:
    """Delete each tag if it still names the digest and no rule keeps it; their images stay.

    Raises:
        Unauthorized, NotPermitted: the actor may not delete there.
        NameUnknown: there is no such repository.
        Invalid: there are none, or too many.
    """
    digests = dict(wanted)
    # Rows are locked in the order of their keys, by whomever.
    chosen = sorted(_chosen([tag for tag, _ in wanted]))

    async def write(tx: Tx) -> list[TagEnd]:
        guard = await hold_tags(tx, actor, name)
        ends = []
        for tag in chosen:
            condition = Condition(match=(digests[tag],))
            outcome = await end_tag(s, tx, guard, tag, condition, by)
            # What it named when it was chosen, and does not any more, may have been deleted.
            is_other = outcome in (Outcome.REFUSED, Outcome.UNCHANGED)
            digest = None if is_other else digests[tag]
            ends.append(TagEnd(tag, digest, _why(guard, tag, outcome)))
        return ends

    return await s.db.write(write)


async def restore_tags(
    s: Services,
    actor: Actor,
    name: RepositoryName,
    wanted: Sequence[Tag],
    by: TagChange,
    *,
    digest: Digest | None = None,
) -> list[TagEnd]:
    """Have each tag name again what it named when it was deleted, and return those that don't.

    With a digest, they are to name that, which each must have named before. Each is a transaction
    of its own; a tag that was made anew meanwhile stays as it is.

    Raises:
        Unauthorized, NotPermitted: the actor may not push there.
        Invalid: there are none, or too many.
    """
    is_gone = Condition(present=Present.FORBIDDEN)
    failed = []
    for tag in _chosen(wanted):
        try:
            await restore_tag(s, actor, name, tag, by, digest=digest, condition=is_gone)
        except (Conflicting, NotFound, PreconditionFailed, TagProtected) as refused:
            failed.append(TagEnd(tag, why=refused.message))
    return failed


def _chosen(wanted: Sequence[Tag]) -> list[Tag]:
    chosen = list(dict.fromkeys(wanted))
    if not chosen:
        raise Invalid("no tag is chosen", hint="Tick the box beside each tag that is to go")
    if len(chosen) > MOST:
        raise Invalid(f"up to {MOST} tags can be deleted at once", hint="Choose fewer")
    return chosen


async def _planned(tx: Tx, guard: TagGuard, tag: Tag, going: set[Tag]) -> TagEnd:
    number = guard.repository.id
    row = await tx.one(FIND_TAG, repository_id=number, name=tag)
    if row is None:
        return TagEnd(tag, why=_GONE)
    # Those that go may come first in what is read.
    listed = await images.list_tags_of(tx, number, row[0], len(going) + _MOST_OTHERS + 1)
    others = [each for each, _ in listed if each not in going and each != tag]
    return TagEnd(
        tag,
        Digest.from_key(row[1]),
        _kept(guard, tag),
        tuple(others[:_MOST_OTHERS]),
        len(others) > _MOST_OTHERS,
    )


def _why(guard: TagGuard, tag: Tag, outcome: Outcome) -> str:
    """Return why a tag stays as it is, empty if it went."""
    if outcome is Outcome.PROTECTED:
        return _kept(guard, tag)
    return {Outcome.REFUSED: _MOVED, Outcome.UNCHANGED: _GONE}.get(outcome, "")


def _kept(guard: TagGuard, tag: Tag) -> str:
    refused = guard.kept(tag)
    return refused.message if refused is not None else ""
