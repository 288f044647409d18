"""What the rules for tags let somebody do, for the transaction that makes, moves or deletes one.

Every such transaction asks here, with the right that it holds, and hands the answer to the writing
statement, which writes nothing once there are other rules (`db/tags.py`).
"""

import msgspec

from moorage.auth.policy import rank_of, role_of
from moorage.db import rules
from moorage.db.access import Found
from moorage.db.engine import Tx
from moorage.db.tags import Guard, Outcome
from moorage.errors import TagProtected
from moorage.model.access import Actor
from moorage.model.artifacts import Repository
from moorage.model.tag_rules import Effect, TagRule, strictest
from moorage.oci.names import Tag

# Of a namespace, and of each of its repositories: all are read by a push.
MAX_RULES = 100
_DONE = {Effect.CREATE: "made", Effect.MOVE: "moved", Effect.DELETE: "deleted"}


class TagGuard(msgspec.Struct, frozen=True):
    """The rules of one repository as they were read, and how much the actor counts for them."""

    repository: Repository
    rules_version: int
    rank: int
    rules: tuple[TagRule, ...]

    def of(self, tag: Tag) -> Guard:
        """Return what the actor may do to the tag."""
        namespace_id = self.repository.namespace_id
        if not self.rules:
            return Guard(namespace_id, self.rules_version)
        return Guard(
            namespace_id,
            self.rules_version,
            *(self._forbidden(tag, effect) is None for effect in Effect),
        )

    def check(self, tag: Tag, outcome: Outcome) -> None:
        """Raise the refusal if a rule kept the tag as it is.

        Raises:
            TagProtected: it did; names the rule.
        """
        effects: tuple[Effect, ...] = ()
        if outcome is Outcome.RESERVED:
            effects = (Effect.CREATE,)
        if outcome is Outcome.PROTECTED:
            effects = (Effect.MOVE, Effect.DELETE)
        refused = self._refusal(tag, effects)
        if refused is not None:
            raise refused

    def kept(self, tag: Tag) -> TagProtected | None:
        """Return what names the rule that keeps the tag from being deleted, None if none does."""
        return self._refusal(tag, (Effect.DELETE,))

    def _forbidden(self, tag: Tag, effect: Effect) -> TagRule | None:
        rule = strictest(self.rules, tag, effect)
        return rule if rule is not None and rule.needs.of(effect) > self.rank else None

    def _refusal(self, tag: Tag, effects: tuple[Effect, ...]) -> TagProtected | None:
        name = self.repository.name
        for effect in effects:
            rule = self._forbidden(tag, effect)
            if rule is None:
                continue
            whose = f"repository {name}" if rule.repository_id else f"namespace {name.namespace}"
            role = role_of(rule.needs.of(effect))
            told = f"only who is {role} or more may do that" if role else "nobody may do that"
            return TagProtected(
                f"{name}:{tag} can't be {_DONE[effect]}: of tags like {rule.pattern} "
                f"the {whose} says that {told}",
                detail={"tag": tag, "pattern": rule.pattern, "rule": rule.id},
                hint="Use another tag, or ask a maintainer of the namespace to change the rule",
            )
        return None


async def tag_guard(tx: Tx, actor: Actor, found: Found, repository: Repository) -> TagGuard:
    """Return the rules of the repository for the actor, whose right `found` has been held.

    `found` is what `rights.hold` returned; a namespace without rules costs nothing more.
    """
    kept: list[TagRule] = []
    if found.rules_version:
        for repository_id in (0, repository.id):
            kept += await rules.list_rules(tx, repository.namespace_id, repository_id, 0, MAX_RULES)
    return TagGuard(repository, found.rules_version, rank_of(actor, found.facts), tuple(kept))
