"""What tags were, on both databases: every path writes its move, any moment can be asked for."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from contract.conftest import Registries
from contract.test_rules import PUT_GRANT
from moorage.db import principals, repositories
from moorage.db.engine import Tx
from moorage.db.namespaces import set_visibility
from moorage.errors import NotFound, SignInNeeded
from moorage.model.access import Actor, Role, Scope, Subject
from moorage.model.history import TagMove, TagState
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import history
from moorage.registry.services import Services
from racing import ALICE, Client, image, index

NAME = RepositoryName.parse("web/shop")
LAYER, SECOND = b"layer" * 100, b"second" * 100
A, B = image(LAYER), image(LAYER, SECOND)
LATEST = Tag.parse("latest")


class Watch:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.at = 1_000

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.at / 1_000


class Place:
    """A repository with two images, and its clock."""

    def __init__(self, s: Services) -> None:
        self.watch = Watch()
        self.s = msgspec.structs.replace(s, clock=self.watch)
        self.shop = Client(self.s, NAME)

    async def fill(self) -> None:
        for raw in (LAYER, SECOND):
            await self.shop.blob(raw)

    async def at(self, moment: int, step: Coroutine[Any, Any, None]) -> None:
        """Have it done at that moment."""
        self.watch.at = moment
        await step

    async def moves(self, tag: str = LATEST, actor: Actor = ALICE) -> list[TagMove]:
        return await history.list_moves(self.s, actor, NAME, Tag.parse(tag), 0, 100)

    async def then(self, moment: int, actor: Actor = ALICE) -> dict[str, bytes]:
        """Return which image each tag was at that moment."""
        known = {digest_of(raw): raw for raw in (A, B)}
        found: list[TagState] = []
        after = ""
        while True:
            page = await history.list_states_at(self.s, actor, NAME, moment, after, 2)
            assert len(page.tags) <= 2
            found += page.tags
            after = page.after
            if not after:
                break
        assert [each.name for each in found] == sorted({each.name for each in found})
        return {each.name: known[each.digest] for each in found if each.digest}

    async def now(self, actor: Actor = ALICE) -> list[TagState]:
        return (await history.list_states(self.s, actor, NAME, "", 100)).tags


def within(registries: Registries, use: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
    """Run the coroutine function in a registry with a repository."""

    async def body(s: Services) -> None:
        place = Place(s)
        await place.fill()
        await use(place)

    registries.run(body)


def test_every_move_is_told_with_its_cause(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.at(2_000, place.shop.manifest(A, "latest"))
        await place.at(3_000, place.shop.manifest(B, "latest"))
        await place.at(4_000, place.shop.delete_tag("latest"))
        await place.at(5_000, place.shop.manifest(B, "latest"))
        await place.at(6_000, place.shop.manifest(B, "latest"))  # as it is: no move
        await place.at(7_000, place.shop.delete_manifest(B))
        a, b = digest_of(A), digest_of(B)
        told = [(m.version, m.at, m.before, m.after, m.by.cause) for m in await place.moves()]
        assert told == [
            (5, 7_000, b, None, "delete"),
            (4, 5_000, None, b, "push"),
            (3, 4_000, b, None, "delete"),
            (2, 3_000, a, b, "push"),
            (1, 2_000, None, a, "push"),
        ]
        causes = [move.by.cause_id for move in await place.moves()]
        assert causes == [b, "", "", "", ""]
        assert {move.by.actor for move in await place.moves()} == {"alice"}

    within(registries, use)


def test_tags_that_ended_are_told_with_what_they_named(registries: Registries) -> None:
    async def use(place: Place) -> None:
        for tag, raw in (("a", A), ("b", A), ("c", B), ("d", B), ("e", B)):
            await place.shop.manifest(raw, tag)
        for tag in "abe":
            await place.shop.delete_tag(tag)
        await place.at(5_000, place.shop.manifest(A, "b"))  # made anew
        await place.at(6_000, place.shop.delete_manifest(B))
        a, b = digest_of(A), digest_of(B)
        whole = (await history.list_ended(place.s, ALICE, NAME, "", 10)).tags
        told = [(each.name, each.version, each.digest, each.is_deleted) for each in whole]
        assert told == [("a", 2, a, False), *((name, 2, b, True) for name in "cde")]
        assert [each.at for each in whole[1:3]] == [6_000, 6_000]
        paged, after = [], ""
        for _ in range(4):
            page = await history.list_ended(place.s, ALICE, NAME, after, 1)
            paged, after = paged + page.tags, page.after
        assert paged == whole
        assert (await history.list_ended(place.s, ALICE, NAME, after, 1)).tags == []
        names = [Tag.parse(each) for each in "abc"]
        assert await history.find_digests(place.s, ALICE, NAME, names) == {names[1]: a}

    within(registries, use)


def test_pages_of_moves_follow_one_another(registries: Registries) -> None:
    async def use(place: Place) -> None:
        for number in range(5):
            await place.shop.manifest((A, B)[number % 2], "latest")
        whole = await place.moves()
        paged: list[TagMove] = []
        for limit in (2, 2, 2):
            before = paged[-1].version if paged else 0
            paged += await history.list_moves(place.s, ALICE, NAME, LATEST, before, limit)
        assert paged == whole
        assert await history.list_moves(place.s, ALICE, NAME, LATEST, 1, 2) == []

    within(registries, use)


def test_tags_as_they_were(registries: Registries, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each moment, over all that came later, and over pages and windows of any size."""
    monkeypatch.setattr(history, "_WINDOW", 2)

    async def use(place: Place) -> None:
        steps: list[tuple[int, Callable[[], Coroutine[Any, Any, None]], dict[str, bytes]]] = [
            (2_000, lambda: place.shop.manifest(A, "b"), {"b": A}),
            (3_000, lambda: place.shop.manifest(A, "a", "c", "d"), dict.fromkeys("abcd", A)),
            (
                4_000,
                lambda: place.shop.manifest(B, "b", "e"),
                {**dict.fromkeys("acd", A), "b": B, "e": B},
            ),
            (5_000, lambda: place.shop.delete_tag("b"), {**dict.fromkeys("acd", A), "e": B}),
            (6_000, lambda: place.shop.delete_manifest(A), {"e": B}),
            (7_000, lambda: place.shop.manifest(A, "b", "z"), {"e": B, "b": A, "z": A}),
        ]
        for moment, step, _ in steps:
            await place.at(moment, step())
        assert await place.then(1_999) == {}
        for moment, _, wanted in steps:
            assert await place.then(moment) == wanted, moment
            assert await place.then(moment + 999) == wanted, moment
        assert {each.name: each.at for each in await place.now()} == {
            "b": 7_000,
            "e": 4_000,
            "z": 7_000,
        }

    within(registries, use)


def test_a_clock_that_was_set_back_hides_no_move(registries: Registries) -> None:
    """The last of those that had been made by a time counts, in the order in which they were."""

    async def use(place: Place) -> None:
        await place.at(9_000, place.shop.manifest(A, "latest"))
        await place.at(5_000, place.shop.manifest(B, "latest"))
        assert await place.then(4_999) == {}
        assert await place.then(5_000) == {"latest": B}
        assert await place.then(10_000) == {"latest": B}

    within(registries, use)


def test_other_repositories_are_not_told_of(registries: Registries) -> None:
    async def use(place: Place) -> None:
        other = Client(place.s, "web/shop-2")
        await other.blob(LAYER)
        await other.manifest(A, "other")
        await place.shop.manifest(A, "own")
        assert await place.then(10**15) == {"own": A}
        assert [each.name for each in await place.now()] == ["own"]
        with pytest.raises(NotFound):
            await place.moves("other")

    within(registries, use)


def test_who_is_told_who_did_it(registries: Registries) -> None:
    """Names are for those with a role there, by what credential for those who see the trail."""

    async def use(place: Place) -> None:
        await place.shop.manifest(A, "latest")
        actors: dict[str, Actor] = {}

        async def people(tx: Tx) -> None:
            repository, _ = await repositories.put_repository(tx, NAME, "private", 1)
            for name in ("reader", "owner", "auditor", "stranger"):
                number = await principals.add_account(
                    tx, name, password="", administrator=False, now=1
                )
                assert number is not None
                actors[name] = Actor("account", name, "test", subject=Subject(number, 0, 1))
                if name != "stranger":
                    role = Role(name)
                    await tx.run(
                        PUT_GRANT,
                        principal_id=number,
                        namespace_id=repository.namespace_id,
                        role=role.value,
                        rank=role.rank,
                        audits=int(role.audits),
                    )
            await set_visibility(tx, repository.id, "public")

        await place.s.db.write(people)
        pull = (Scope("web/**", frozenset({"pull"})),)
        actors["confined"] = msgspec.structs.replace(actors["owner"], scopes=pull)
        actors["bearer"] = msgspec.structs.replace(actors["owner"], bound=pull)
        actors["nobody"] = Actor("anonymous", "anonymous", "none")
        wanted = {
            "reader": ("alice", ""),
            "owner": ("alice", "loopback"),
            "auditor": ("alice", "loopback"),
            **dict.fromkeys(("stranger", "confined", "bearer", "nobody"), ("", "")),
        }
        for who, (name, credential) in wanted.items():
            (move,) = await place.moves(actor=actors[who])
            (state,) = await place.now(actors[who])
            page = await history.list_states_at(place.s, actors[who], NAME, 10**15, "", 10)
            for by in (move.by, state.by, page.tags[0].by):
                assert (by.actor, by.credential) == (name, credential), who
                assert by.request_id == ("request" if credential else ""), who
                assert by.cause == "push"

    within(registries, use)


def test_who_may_not_read_is_told_nothing(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.manifest(A, "latest")
        nobody = Actor("anonymous", "anonymous", "none")
        for asked in (
            place.moves(actor=nobody),
            place.now(nobody),
            place.then(10**15, nobody),
            history.list_ended(place.s, nobody, NAME, "", 1),
            history.find_digests(place.s, nobody, NAME, [LATEST]),
        ):
            with pytest.raises(SignInNeeded):
                await asked
        with pytest.raises(NotFound):
            await history.list_moves(place.s, ALICE, RepositoryName("web/none"), LATEST, 0, 1)

    within(registries, use)


def test_a_move_and_its_history_are_one(registries: Registries) -> None:
    """Of pushes at once each tells what it moved from: the histories are chains."""

    async def use(place: Place) -> None:
        pushes = [place.shop.manifest(raw, "latest") for raw in (A, B) * 4]
        await asyncio.gather(*pushes)
        await place.shop.manifest(index(A, B), "latest")
        moves = await place.moves()
        assert [move.version for move in moves] == list(range(len(moves), 0, -1))
        for later, earlier in itertools.pairwise(moves):
            assert later.before == earlier.after
            assert later.before != later.after

    within(registries, use)
