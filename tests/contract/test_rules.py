"""Rules for tags on both databases: every path that makes, moves or deletes a tag obeys them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase, Registries
from moorage.db import access_schema, principals, repositories, tags
from moorage.db.engine import Query, Raced, Tx
from moorage.db.repositories import find_repository
from moorage.db.schema import audit
from moorage.db.tags import Condition, Guard, Outcome, Present
from moorage.errors import (
    Denied,
    NameUnknown,
    NotPermitted,
    PreconditionFailed,
    RegistryError,
    SignInNeeded,
    TagProtected,
    Unsupported,
)
from moorage.model.access import Actor, Namespace, RepositoryTarget, Role, Subject
from moorage.model.artifacts import TagChange
from moorage.model.patterns import TagPattern
from moorage.model.tag_rules import Needs, Proposal
from moorage.oci.digest import digest_of
from moorage.oci.manifest import parse_manifest
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import delete, push, rules, uploads
from moorage.registry.services import Services
from moorage.registry.tag_guard import MAX_RULES
from moorage.registry.uploads import Body
from racing import LATE, chunks, held, image, index, wipe

NAME, OTHER = RepositoryName.parse("web/shop"), RepositoryName.parse("web/blog")
WEB, SHOP = Namespace("web"), RepositoryTarget(NAME)
BY = TagChange("ann", "password", "request")
LAYER, SECOND = b"layer" * 100, b"second" * 100
A, B = image(LAYER), image(LAYER, SECOND)
ROLES = (Role.READER, Role.WRITER, Role.MAINTAINER, Role.OWNER)
IMMUTABLE = Proposal(TagPattern.parse("v*"), (TagPattern.parse("v*-dev"),))
PUT_GRANT = Query(
    "test_put_grant",
    sa.insert(access_schema.grant).values(
        principal_id=sa.bindparam("principal_id"),
        namespace_id=sa.bindparam("namespace_id"),
        repository_id=0,
        role=sa.bindparam("role"),
        rank=sa.bindparam("rank"),
        audits=sa.bindparam("audits"),
        granted_at=1,
        granted_by="test",
    ),
)
LIST_AUDIT = Query("test_audit", sa.select(audit.c.action, audit.c.detail).order_by(audit.c.id))


class Place:
    """A namespace with two repositories, each with two images, and somebody of every role."""

    def __init__(self, s: Services) -> None:
        self.s = s
        self.actors: dict[str, Actor] = {}

    async def fill(self) -> None:
        async def people(tx: Tx) -> None:
            repository, _ = await repositories.put_repository(tx, NAME, "private", 1)
            for name in (*ROLES, "administrator", "stranger"):
                number = await principals.add_account(
                    tx, name, password="", administrator=name == "administrator", now=1
                )
                assert number is not None
                self.actors[name] = Actor("account", name, "test", subject=Subject(number, 0, 1))
                if isinstance(name, Role):
                    await tx.run(
                        PUT_GRANT,
                        principal_id=number,
                        namespace_id=repository.namespace_id,
                        role=name.value,
                        rank=name.rank,
                        audits=int(name.audits),
                    )

        await self.s.db.write(people)
        for name in (NAME, OTHER):
            for raw in (LAYER, SECOND):
                writer, body = self.actors["administrator"], Body(chunks(raw))
                await uploads.push_whole(self.s, writer, name, body, digest_of(raw))

    async def put(
        self,
        who: str,
        raw: bytes,
        *named: str,
        name: RepositoryName = NAME,
        condition: Condition | None = None,
        algorithm: str = "sha256",
    ) -> None:
        prepared = push.prepare(
            name,
            raw,
            parse_manifest(raw, ""),
            digest_of(raw, algorithm),
            tuple(map(Tag.parse, named)),
            condition or Condition(),
        )
        await push.put_manifest(self.s, self.actors[who], prepared, BY)

    async def delete(self, who: str, what: str | bytes, condition: Condition | None = None) -> None:
        actor = self.actors[who]
        if isinstance(what, bytes):
            await delete.delete_manifest(self.s, actor, NAME, digest_of(what), BY)
        else:
            tag = Tag.parse(what)
            await delete.delete_tag(self.s, actor, NAME, tag, condition or Condition(), BY)

    async def add(self, wanted: Proposal, place: rules.Place = WEB, who: str = "maintainer") -> int:
        return (await rules.add_rule(self.s, self.actors[who], place, wanted, BY)).id

    async def tagged(self, name: RepositoryName = NAME) -> dict[str, bytes]:
        """Return the images that the tags name."""

        async def read(tx: Tx) -> dict[str, bytes]:
            repository = await find_repository(tx, name)
            assert repository is not None
            names = await tags.list_tags(tx, repository.id, "", 100)
            found = {
                tag: await tx.one(tags.FIND_TAG, repository_id=repository.id, name=tag)
                for tag in names
            }
            known = {
                digest_of(raw, kind).key: raw for raw in (A, B) for kind in ("sha256", "sha512")
            }
            return {tag: known[row[1]] for tag, row in found.items() if row is not None}

        return await self.s.db.read(read)


Use = Callable[[Place], Coroutine[Any, Any, None]]


def within(registries: Registries, use: Use) -> None:
    """Run the coroutine function in a filled registry."""

    async def body(s: Services) -> None:
        place = Place(s)
        await place.fill()
        await use(place)

    registries.run(body)


async def refused(attempt: Awaitable[None], kind: type[RegistryError] = TagProtected) -> str:
    """Return the words of a refusal, which the attempt must meet."""
    with pytest.raises(kind) as error:
        await attempt
    assert type(error.value) is kind
    return error.value.message


def test_an_immutable_tag_stays_for_everybody_on_every_path(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.put("writer", A, "v1", "v1-dev", "latest")
        await place.add(IMMUTABLE)
        for who in ("writer", "maintainer", "owner", "administrator"):
            said = await refused(place.put(who, B, "v1"))
            assert "web/shop:v1" in said
            assert "v*" in said
            assert "nobody" in said
            # Several tags in one push: none of them moves, and the manifest isn't added.
            await refused(place.put(who, B, "latest", "v1", "v1-dev"))
            # The same manifest under another digest would change what the tag answers.
            await refused(place.put(who, A, "v1", algorithm="sha512"))
            for condition in (Condition(Present.REQUIRED), Condition(match=(digest_of(A),))):
                await refused(place.put(who, B, "v1", condition=condition))
            await refused(place.put(who, B, "v1", condition=Condition(unless=(digest_of(B),))))
            await place.put(who, A, "v1")
            await place.put(who, A, "v1", "latest")
        for who in ("maintainer", "owner", "administrator"):
            await refused(place.delete(who, "v1"))
            await refused(place.delete(who, "v1", Condition(match=(digest_of(A),))))
            assert "web/shop:v1" in await refused(place.delete(who, A))
        assert await place.tagged() == {"v1": A, "v1-dev": A, "latest": A}
        await place.put("writer", B, "v1-dev", "v2")
        await refused(place.put("owner", A, "v2"))
        await place.delete("maintainer", "latest")
        assert await place.tagged() == {"v1": A, "v1-dev": B, "v2": B}

    within(registries, use)


def test_a_protected_tag_is_in_the_hands_of_a_role(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.put("writer", A, "stable")
        await place.add(Proposal(TagPattern.parse("stable*"), (), Needs.protected(Role.OWNER)))
        for who in ("writer", "maintainer"):
            assert "owner" in await refused(place.put(who, B, "stable"))
            assert "owner" in await refused(place.put(who, B, "stable-2"))
            await place.put(who, A, "stable")
        await refused(place.delete("maintainer", "stable"))
        await refused(place.delete("maintainer", A))
        await place.put("owner", B, "stable", "stable-2")
        await place.put("administrator", A, "stable")
        await place.delete("owner", "stable")
        assert await place.tagged() == {"stable-2": B}

    within(registries, use)


def test_a_rule_that_is_not_for_a_tag_gives_no_other_answer(registries: Registries) -> None:
    """Conditions, and tags that are not there, answer as they did before there were rules."""

    async def use(place: Place) -> None:
        await place.put("writer", A, "latest")
        await place.add(IMMUTABLE)
        must_be_b = Condition(match=(digest_of(B),))
        await refused(place.put("writer", B, "latest", condition=must_be_b), PreconditionFailed)
        await refused(place.delete("maintainer", "latest", must_be_b), PreconditionFailed)
        await refused(
            place.put("writer", B, "latest", condition=Condition(Present.FORBIDDEN)),
            PreconditionFailed,
        )
        await refused(place.put("writer", B, "v9", condition=must_be_b), PreconditionFailed)
        await refused(place.put("reader", B, "v1"), NotPermitted)
        await place.put("writer", A, "v1", condition=Condition(Present.FORBIDDEN))
        assert await place.tagged() == {"latest": A, "v1": A}

    within(registries, use)


def test_rules_of_a_repository_are_its_own_and_loosen_nothing(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.put("writer", A, "v1", "one")
        await place.put("writer", A, "v1", "one", name=OTHER)
        await place.add(IMMUTABLE)
        await place.add(Proposal(TagPattern.parse("*"), (), Needs()), SHOP)
        await place.add(Proposal(TagPattern.parse("one")), SHOP)
        await refused(place.put("writer", B, "v1"))
        assert "repository web/shop" in await refused(place.put("writer", B, "one"))
        await place.put("writer", B, "one", name=OTHER)
        assert "namespace web" in await refused(place.put("writer", B, "v1", name=OTHER))

    within(registries, use)


def test_what_a_tag_stands_for_does_not_go_in_pieces(registries: Registries) -> None:
    """What an index names stays where there are rules, although indexes may be sparse."""

    async def use(place: Place) -> None:
        await place.put("writer", A)
        await place.put("writer", index(A), "v1")
        await place.add(IMMUTABLE)
        await refused(place.delete("owner", A), Unsupported)

    within(registries, use)


def test_rules_are_kept_by_who_may_configure(registries: Registries) -> None:
    async def use(place: Place) -> None:
        s = place.s
        for who in ("reader", "writer", "stranger"):
            for where in (WEB, SHOP):
                await refused(place.add(IMMUTABLE, where, who), NotPermitted)
                listing = rules.list_rules(s, place.actors[who], where)
                await refused(listing, NotPermitted)
                ending = rules.remove_rule(s, place.actors[who], where, 1, BY)
                await refused(ending, NotPermitted)
            trial = rules.try_rule(s, place.actors[who], NAME, IMMUTABLE.pattern, ())
            await refused(trial, NotPermitted)
        nobody = Actor("anonymous", "anonymous", "none")
        await refused(rules.add_rule(s, nobody, WEB, IMMUTABLE, BY), SignInNeeded)
        # A missing place is refused in the same words as one that is there.
        stranger = place.actors["stranger"]
        there = await refused(rules.list_rules(s, stranger, WEB), NotPermitted)
        absent = await refused(rules.list_rules(s, stranger, Namespace("gone")), NotPermitted)
        assert there.replace("web", "gone") == absent
        administrator = place.actors["administrator"]
        await refused(rules.list_rules(s, administrator, Namespace("gone")), NameUnknown)
        missing = RepositoryTarget(RepositoryName.parse("web/gone"))
        await refused(rules.add_rule(s, administrator, missing, IMMUTABLE, BY), NameUnknown)

    within(registries, use)


def test_rules_are_listed_and_removed_at_their_own_place(registries: Registries) -> None:
    async def use(place: Place) -> None:
        s, maintainer = place.s, place.actors["maintainer"]
        of_all, of_one = await place.add(IMMUTABLE), await place.add(IMMUTABLE, SHOP)
        [kept] = await rules.list_rules(s, maintainer, WEB)
        assert (kept.id, kept.pattern, kept.exceptions) == (of_all, "v*", ("v*-dev",))
        assert kept.needs == Needs.immutable()
        assert kept.created_by == "maintainer"
        assert [each.id for each in await rules.list_rules(s, maintainer, SHOP)] == [of_one]
        assert await rules.list_rules(s, maintainer, WEB, after=of_all) == []
        await place.put("writer", A, "v1")
        # An id alone is not enough: the place must be the rule's.
        for where, number in ((SHOP, of_all), (WEB, of_one), (RepositoryTarget(OTHER), of_one)):
            assert await rules.remove_rule(s, maintainer, where, number, BY) is None
        await refused(place.put("writer", B, "v1"))
        assert await rules.remove_rule(s, maintainer, WEB, of_all, BY) == kept
        await refused(place.put("writer", B, "v1"))
        assert await rules.remove_rule(s, maintainer, SHOP, of_one, BY) is not None
        assert await rules.remove_rule(s, maintainer, SHOP, of_one, BY) is None
        await place.put("writer", B, "v1")
        told = await s.db.read(lambda tx: tx.many(LIST_AUDIT))
        kinds = [kind for kind, _ in told if kind.startswith("tag-rule.")]
        assert kinds == ["tag-rule.added"] * 2 + ["tag-rule.removed"] * 2
        detail = msgspec.json.decode(next(row for kind, row in told if kind == "tag-rule.added"))
        assert (detail["namespace"], detail["pattern"]) == ("web", "v*")

    within(registries, use)


def test_a_place_has_so_many_rules_and_no_more(registries: Registries) -> None:
    async def use(place: Place) -> None:
        for number in range(MAX_RULES):
            await place.add(Proposal(TagPattern.parse(f"v{number}")))
        await refused(place.add(IMMUTABLE), Denied)
        many = tuple(TagPattern.parse(f"e{number}") for number in range(rules.MAX_EXCEPTIONS + 1))
        await refused(place.add(Proposal(IMMUTABLE.pattern, many), SHOP), Denied)
        await place.put("writer", A, f"v{MAX_RULES - 1}")
        await refused(place.put("writer", B, f"v{MAX_RULES - 1}"))

    within(registries, use)


def test_a_trial_finds_what_the_rule_will_be_for(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "_TRIED", 3)
    named = ["latest", "v1", "v1-dev", "v2", "w", "x", "y", "z", "v3"]

    async def use(place: Place) -> None:
        await place.put("writer", A, *named)
        pattern, exceptions = IMMUTABLE.pattern, IMMUTABLE.exceptions
        after, found = "", []
        while True:
            maintainer = place.actors["maintainer"]
            trial = await rules.try_rule(place.s, maintainer, NAME, pattern, exceptions, after)
            found += trial.tags
            after = trial.after
            if not after:
                break
        assert found == ["v1", "v2", "v3"]
        await place.add(IMMUTABLE)
        for tag in named:
            if tag in ("v1", "v2", "v3"):
                await refused(place.put("writer", B, tag))
            else:
                await place.put("writer", B, tag)

    within(registries, use)


def test_a_rule_made_between_check_and_commit_holds(shared: OpenDatabase) -> None:
    """Wherever the push is stopped: it is done before the rule is acknowledged, or refused."""

    async def use(s: Services) -> None:
        ended = set()
        for number in range(100):
            wipe(shared.url)
            reached, was_refused = await ruled_while_pushing(Place(s), number)
            ended.add(was_refused)
            if not reached:
                break
        assert number > 10
        assert ended == {True, False}

    Registries(shared.config).run(use)


async def ruled_while_pushing(place: Place, number: int) -> tuple[bool, bool]:
    """Make a rule while a push stands before that statement.

    Returns whether the push has so many, and whether the rule kept it from being done.
    """
    await place.fill()
    await place.put("writer", A, "v1")
    order: list[str] = []

    async def late() -> None:
        await place.put("writer", B, "v1")
        order.append("pushed")

    async def quick() -> None:
        await place.add(IMMUTABLE)
        order.append("ruled")

    with held(number) as (there, may_go_on):
        first = asyncio.create_task(late(), name=LATE)
        waiting = asyncio.create_task(there.wait())
        await asyncio.wait({first, waiting}, return_when=asyncio.FIRST_COMPLETED)
        reached = there.is_set()
        waiting.cancel()
        second = asyncio.create_task(quick())
        await asyncio.wait({second}, timeout=0.2)
        was_held = not second.done()
        may_go_on.set()
        results = await asyncio.gather(first, second, return_exceptions=True)
    assert results[1] is None
    if isinstance(results[0], TagProtected):
        assert order == ["ruled"]
        assert await place.tagged() == {"v1": A}
        return reached, True
    assert results[0] is None
    assert not was_held or order[0] == "pushed"
    assert await place.tagged() == {"v1": B}
    return reached, False


def test_the_statements_write_nothing_by_older_rules(database: OpenDatabase) -> None:
    """Also where no lock was taken: each writing statement looks at the version itself."""
    registries = Registries(database.config)

    async def use(place: Place) -> None:
        await place.put("writer", A, "there")

        async def write(tx: Tx, tag: str, *, deletes: bool, guard: Guard | None = None) -> Outcome:
            repository = await find_repository(tx, NAME)
            assert repository is not None
            row = await tx.one(tags.FIND_TAG, repository_id=repository.id, name="there")
            assert row is not None
            guard = guard or Guard(repository.namespace_id, 0)
            more: dict[str, Any] = {
                "condition": Condition(),
                "guard": guard,
                "change": BY,
                "now": 2,
            }
            if deletes:
                return await tags.delete_tag(tx, repository.id, Tag(tag), **more)
            other = digest_of(B, "sha512")
            return await tags.put_tag(tx, repository.id, Tag(tag), row[0], other, **more)

        await place.add(IMMUTABLE)
        for tag, deletes in (("there", False), ("new", False), ("there", True)):
            with pytest.raises(Raced):
                await place.s.db.write(
                    lambda tx, tag=tag, deletes=deletes: write(tx, tag, deletes=deletes)
                )
        assert await place.tagged() == {"there": A}
        # A refusal by rules that have gone meanwhile is none.
        stale = Guard(1, 7, may_create=False, may_move=False, may_delete=False)
        for tag, deletes in (("there", False), ("new", False), ("there", True)):
            with pytest.raises(Raced):
                await place.s.db.write(
                    lambda tx, tag=tag, deletes=deletes: write(
                        tx, tag, deletes=deletes, guard=stale
                    )
                )

    within(registries, use)


def test_a_namespace_without_rules_reads_none(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(place: Place) -> None:
        asked: list[int] = []
        real = rules.rules.list_rules

        async def counted(*args: Any) -> Any:
            asked.append(1)
            return await real(*args)

        monkeypatch.setattr("moorage.db.rules.list_rules", counted)
        await place.put("writer", A, "v1")
        await place.put("writer", B, "v1")
        await place.delete("maintainer", "v1")
        assert asked == []
        await place.add(IMMUTABLE)
        asked.clear()
        await place.put("writer", A, "v1")
        assert len(asked) == 2

    within(registries, use)
