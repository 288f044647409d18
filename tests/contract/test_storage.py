"""What is stored for whom, on both databases."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from contract.conftest import Registries
from contract.test_images import APP, BASE, CONFIG, NOBODY, Place
from moorage.db import blobs
from moorage.errors import SignInNeeded
from moorage.model.access import Actor
from moorage.oci.digest import digest_of
from moorage.registry import storage
from moorage.registry.services import Services
from racing import ALICE, Client

OPERATOR = Actor("operator", "root", "socket")
WHOLE = len(BASE) + len(APP) + len(CONFIG)


def within(registries: Registries, use: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
    async def body(s: Services) -> None:
        place = Place(s)
        await place.fill()
        await Client(s, "web/only").blob(b"alone" * 1000)
        await Client(s, "ops/other").blob(BASE)
        await use(place)

    registries.run(body)


def test_what_repositories_have_and_what_is_theirs_alone(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_PAGE", 2)

    async def use(place: Place) -> None:
        found = await storage.list_repositories(place.s, ALICE, "web", "", 2)
        assert [(each.name, each.bytes, each.own, each.blobs) for each in found.rows] == [
            ("web/cart", WHOLE, 0, 3),
            ("web/only", 5_000, 5_000, 1),
        ]
        assert found.after == "web/only"
        rest = await storage.list_repositories(place.s, ALICE, "web", found.after, 2)
        assert [each.name for each in rest.rows] == ["web/shop"]
        assert rest.after == ""
        # What another namespace has as well is the namespace's own all the same.
        other = await storage.list_repositories(place.s, ALICE, "ops", "", 2)
        assert [(each.own, each.more) for each in other.rows] == [(len(BASE), False)]
        monkeypatch.setattr(storage, "_MOST_PAGES", 1)
        (row,) = (await storage.list_repositories(place.s, ALICE, "web", "", 1)).rows
        assert row.more

    within(registries, use)


def test_namespaces_with_their_bytes(registries: Registries) -> None:
    async def use(place: Place) -> None:
        found = await storage.list_namespaces(place.s, ALICE, "", 10)
        assert [(each.name, each.bytes) for each in found] == [
            ("ops", len(BASE)),
            ("web", WHOLE + 5_000),
        ]
        with pytest.raises(SignInNeeded):
            await storage.list_namespaces(place.s, NOBODY, "", 10)
        with pytest.raises(SignInNeeded):
            await storage.list_repositories(place.s, NOBODY, "web", "", 2)
        with pytest.raises(SignInNeeded):
            await storage.list_largest(place.s, NOBODY, "web", 2)

    within(registries, use)


def test_the_largest_blobs_and_who_shares_them(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_PAGE", 2)

    async def use(place: Place) -> None:
        found = await storage.list_largest(place.s, ALICE, "web", 3)
        assert not found.more
        assert [(each.size, each.repositories) for each in found.rows] == [
            (5_000, ("web/only",)),
            (len(BASE), ("web/cart", "web/shop")),
            (len(CONFIG), ("web/cart", "web/shop")),
        ]
        assert found.rows[1].digest == digest_of(BASE)

    within(registries, use)


def test_what_a_clean_up_would_free(registries: Registries) -> None:
    async def use(place: Place) -> None:
        # What was pushed twice has left its first bytes behind.
        before = await storage.plan_clean_up(place.s, OPERATOR)
        assert (before.due_bytes, before.later_bytes) == (0, WHOLE + len(BASE))
        for number, location in enumerate(("gone", "going", "staying")):
            await _queue(place.s, location, (1, 2, 10**15)[number], 100 + number)
        found = await storage.plan_clean_up(place.s, OPERATOR)
        assert (found.due_objects, found.due_bytes) == (2, 201)
        assert found.later_objects == before.later_objects + 1
        assert (found.later_bytes, found.last_at) == (before.later_bytes + 102, 10**15)
        assert (found.candidates, found.paused, found.more) == (0, "", False)
        with pytest.raises(SignInNeeded):
            await storage.plan_clean_up(place.s, NOBODY)

    within(registries, use)


async def _queue(s: Services, location: str, at: int, size: int) -> None:
    await s.db.write(lambda tx: blobs.queue_deletes(tx, {location: size}, at, "test"))
