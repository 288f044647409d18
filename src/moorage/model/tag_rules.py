"""Rules for tags: who may make, move and delete which."""

import enum
from collections.abc import Iterable
from typing import Self

import msgspec

from moorage.model.access import Role
from moorage.model.patterns import TagPattern
from moorage.oci.names import Tag

# What takes this rank is for nobody, whatever their role: the rule must be changed first.
NOBODY_RANK = 9


class Effect(enum.StrEnum):
    """What a write does to a tag."""

    CREATE = "create"
    MOVE = "move"
    DELETE = "delete"


class Needs(msgspec.Struct, frozen=True):
    """The rank (`Role.rank`) that each effect takes: 1 is everybody who may push or delete."""

    create: int = 1
    move: int = 1
    delete: int = 1

    @classmethod
    def immutable(cls) -> Self:
        """Return the needs of tags that stay for ever where they were put first."""
        return cls(1, NOBODY_RANK, NOBODY_RANK)

    @classmethod
    def protected(cls, role: Role) -> Self:
        """Return the needs of tags that are in the hands of that role and those above."""
        return cls(role.rank, role.rank, role.rank)

    def of(self, effect: Effect) -> int:
        """Return the rank that the effect takes."""
        if effect is Effect.CREATE:
            return self.create
        return self.move if effect is Effect.MOVE else self.delete


class Proposal(msgspec.Struct, frozen=True):
    """A rule as somebody wants it, before it has a place."""

    pattern: TagPattern
    exceptions: tuple[TagPattern, ...] = ()
    needs: Needs = Needs.immutable()


class TagRule(msgspec.Struct, frozen=True):
    """One rule of a namespace or, with `repository_id`, of one repository."""

    id: int
    namespace_id: int
    repository_id: int
    pattern: TagPattern
    exceptions: tuple[TagPattern, ...]
    needs: Needs
    created_at: int
    created_by: str

    def covers(self, tag: Tag) -> bool:
        """Tell whether the rule is for the tag."""
        return covers(self.pattern, self.exceptions, tag)


def covers(pattern: TagPattern, exceptions: Iterable[TagPattern], tag: Tag) -> bool:
    """Tell whether the pattern is for the tag, and no exception is."""
    return pattern.matches(tag) and not any(each.matches(tag) for each in exceptions)


def strictest(rules: Iterable[TagRule], tag: Tag, effect: Effect) -> TagRule | None:
    """Return the rule that asks most for the effect on the tag, None if none is for the tag.

    All rules hold together: one of a repository can't loosen what its namespace says.
    """
    held = [rule for rule in rules if rule.covers(tag)]
    return max(held, key=lambda rule: rule.needs.of(effect), default=None)
