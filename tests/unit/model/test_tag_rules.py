"""Which rule counts where several are for a tag."""

import pytest

from moorage.model.access import Role
from moorage.model.patterns import TagPattern
from moorage.model.tag_rules import Effect, Needs, TagRule, strictest
from moorage.oci.names import Tag


def rule(number: int, pattern: str, needs: Needs, *exceptions: str) -> TagRule:
    """Return a rule of a namespace."""
    told = tuple(map(TagPattern.parse, exceptions))
    return TagRule(number, 1, 0, TagPattern.parse(pattern), told, needs, 0, "ann")


RELEASES = rule(1, "v*", Needs.immutable(), "v*-dev", "v0.*")
STABLE = rule(2, "*", Needs.protected(Role.MAINTAINER), "latest")


@pytest.mark.parametrize(
    ("tag", "effect", "found"),
    [
        ("v1", Effect.MOVE, RELEASES),
        ("v1", Effect.DELETE, RELEASES),
        ("v1", Effect.CREATE, STABLE),
        ("v1-dev", Effect.MOVE, STABLE),
        ("v0.9", Effect.DELETE, STABLE),
        ("latest", Effect.MOVE, None),
    ],
)
def test_the_strictest_of_all_counts(tag: str, effect: Effect, found: TagRule | None) -> None:
    assert strictest((RELEASES, STABLE), Tag.parse(tag), effect) is found
    assert strictest((STABLE, RELEASES), Tag.parse(tag), effect) is found


def test_each_effect_has_its_own_need() -> None:
    needs = Needs(2, 3, 4)
    assert [needs.of(effect) for effect in Effect] == [2, 3, 4]
