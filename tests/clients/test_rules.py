"""What people read when a rule for tags refuses their push."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cast import NAMESPACE, PASSWORD, Cast
from clients.copiers import Client
from clients.engines import Ctr
from clients.marks import ENGINES, given
from moorage.db import rules
from moorage.db.engine import Tx
from moorage.db.repositories import FIND_NAMESPACE
from moorage.model.patterns import TagPattern
from moorage.model.tag_rules import Needs, TagRule
from registry import unique

# Rights are the same on every store; with real clients, once is enough.
pytestmark = pytest.mark.on("sqlite")

# This one shows no more of any refusal.
WORDS = {"ctr": ("403 Forbidden",)}


async def make(tx: Tx) -> None:
    """Make releases immutable in the namespace."""
    row = await tx.one(FIND_NAMESPACE, name=NAMESPACE)
    assert row is not None
    await rules.add_rule(
        tx, TagRule(0, row[0], 0, TagPattern.parse("v*"), (), Needs.immutable(), 1, "owner")
    )


@pytest.fixture(scope="module")
def cast() -> Iterator[Cast]:
    """Return a registry with a writer and the rule."""
    with Cast() as running:
        running.change(make)
        yield running


@pytest.mark.parametrize("who", given(*ENGINES, "skopeo"))
def test_a_release_is_pushed_once(
    who: str,
    client: Callable[[str], Client],
    small: Callable[[str], Path],
    cast: Cast,
) -> None:
    """The second image of the name is refused in words, the first may be pushed again."""
    someone, there = client(who), cast.asked_by["writer"].repository(f"{NAMESPACE}/{unique()}")
    authority = there.registry.authority
    name = f"{authority}/{there.name}:v1"
    user: list[str] = []
    if isinstance(someone, Ctr):
        user = ["--user", f"writer:{PASSWORD}"]
    else:
        someone.login(authority, "writer", PASSWORD).ok()
    someone.load(small(f"rule-{who}"), name)
    someone.push(name, *user).ok()
    someone.push(name, *user).ok()
    first = there.tagged("v1")
    someone.forget(name)
    someone.load(small(f"rule-other-{who}"), name)
    said = someone.push(name, *user).refused()
    for words in WORDS.get(who, ("can't be moved", "nobody may do that")):
        assert words in said, said
    assert there.tagged("v1") == first
    someone.forget(name)
    if not isinstance(someone, Ctr):
        someone.logout(authority)
