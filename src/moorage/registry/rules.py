"""The rules for tags themselves: list, try out, add, remove. `registry/tag_guard.py` applies them.

Whoever changes them waits for the writes in the namespace that go on, and has the next ones read
the new rules.
"""

from collections.abc import Sequence

import msgspec

from moorage.auth.policy import require
from moorage.db import access, locks, rules, tags
from moorage.db.access import Found
from moorage.db.engine import Tx
from moorage.errors import Denied, NameUnknown
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, Namespace, RepositoryTarget
from moorage.model.artifacts import TagChange
from moorage.model.patterns import TagPattern
from moorage.model.tag_rules import Proposal, TagRule, covers
from moorage.oci.names import RepositoryName, Tag
from moorage.registry.services import Services
from moorage.registry.tag_guard import MAX_RULES

Place = Namespace | RepositoryTarget
MAX_EXCEPTIONS = 20
# How many tags one page of a trial looks at.
_TRIED = 1_000


class Trial(msgspec.Struct, frozen=True):
    """The tags among those looked at that a pattern is for; `after` begins the next page.

    It is empty behind the last page. A page may have no tag at all and not be the last.
    """

    tags: list[str]
    after: str


async def list_rules(
    s: Services, actor: Actor, place: Place, after: int = 0, limit: int = MAX_RULES
) -> list[TagRule]:
    """Return up to `limit` rules of the namespace or of the repository itself, by their ids.

    Raises:
        Unauthorized, NotPermitted: the actor may not configure the place.
        NameUnknown: there is no such place.
    """

    async def read(tx: Tx) -> list[TagRule]:
        found = await _find(tx, actor, place)
        return await rules.list_rules(tx, found.namespace_id, _number(found), after, limit)

    return await s.db.read(read)


async def add_rule(
    s: Services, actor: Actor, place: Place, wanted: Proposal, by: TagChange
) -> TagRule:
    """Add a rule; once this returns, no write goes on that has not seen it.

    Raises:
        Unauthorized, NotPermitted: the actor may not configure the place.
        NameUnknown: there is no such place.
        Denied: it has as many rules as there may be, or the rule has too many exceptions.
    """
    if len(wanted.exceptions) > MAX_EXCEPTIONS:
        raise Denied(f"a rule has at most {MAX_EXCEPTIONS} exceptions")

    async def write(tx: Tx) -> TagRule:
        found = await _take(tx, actor, place)
        kept = await rules.list_rules(tx, found.namespace_id, _number(found), 0, MAX_RULES)
        if len(kept) >= MAX_RULES:
            raise Denied(f"{place.name} has {MAX_RULES} rules for tags", hint="Remove some first")
        now = s.clock.now()
        rule = await rules.add_rule(
            tx,
            TagRule(
                0,
                found.namespace_id,
                _number(found),
                wanted.pattern,
                tuple(dict.fromkeys(wanted.exceptions)),
                wanted.needs,
                now,
                actor.name,
            ),
        )
        await s.events.publish(tx, _event("tag-rule.added", place, rule, by, now))
        return rule

    return await s.db.write(write)


async def remove_rule(
    s: Services, actor: Actor, place: Place, rule_id: int, by: TagChange
) -> TagRule | None:
    """Remove a rule of exactly that place and return it, None if it has no such rule.

    Raises:
        Unauthorized, NotPermitted: the actor may not configure the place.
        NameUnknown: there is no such place.
    """

    async def write(tx: Tx) -> TagRule | None:
        found = await _take(tx, actor, place)
        rule = await rules.end_rule(tx, found.namespace_id, _number(found), rule_id)
        if rule is not None:
            now = s.clock.now()
            await s.events.publish(tx, _event("tag-rule.removed", place, rule, by, now))
        return rule

    return await s.db.write(write)


async def try_rule(
    s: Services,
    actor: Actor,
    name: RepositoryName,
    pattern: TagPattern,
    exceptions: Sequence[TagPattern],
    after: str = "",
) -> Trial:
    """Return which tags of the repository a rule with that pattern would be for.

    Raises:
        Unauthorized, NotPermitted: the actor may not configure the repository.
        NameUnknown: there is no such repository.
    """

    async def read(tx: Tx) -> list[str]:
        found = await _find(tx, actor, RepositoryTarget(name))
        return await tags.list_tags(tx, _number(found), after, _TRIED + 1)

    seen = await s.db.read(read, pages=True)
    page = [Tag(each) for each in seen[:_TRIED]]
    held = [str(tag) for tag in page if covers(pattern, exceptions, tag)]
    return Trial(held, str(page[-1]) if len(seen) > _TRIED else "")


async def _find(tx: Tx, actor: Actor, place: Place) -> Found:
    if isinstance(place, Namespace):
        found = await access.find_namespace(tx, actor.subject, place.name)
    else:
        found = await access.find_target(tx, actor.subject, place.name)
    require(actor, Action.CONFIGURE, place, found.facts)
    is_there = bool(found.namespace_id)
    if isinstance(place, RepositoryTarget):
        is_there = found.repository is not None
    if not is_there:
        raise NameUnknown(f"there is no {place.name}", detail={"name": place.name})
    return found


async def _take(tx: Tx, actor: Actor, place: Place) -> Found:
    namespace = place.name
    if isinstance(place, RepositoryTarget):
        namespace = place.name.namespace
    await locks.share_principal(tx, actor.subject.principal_id)
    await locks.take_namespace(tx, namespace)
    return await _find(tx, actor, place)


def _number(found: Found) -> int:
    return found.repository.id if found.repository is not None else 0


def _event(kind: str, place: Place, rule: TagRule, by: TagChange, now: int) -> Event:
    data = {
        "namespace": place.name if isinstance(place, Namespace) else place.name.namespace,
        "repository": place.name if isinstance(place, RepositoryTarget) else "",
        "rule": rule.id,
        "pattern": rule.pattern,
        "exceptions": list(rule.exceptions),
        "needs": msgspec.to_builtins(rule.needs),
    }
    return Event(kind, rule.repository_id, now, by, data, rule.namespace_id)
