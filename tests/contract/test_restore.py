"""What was deleted comes back whole on both databases, as long as it may and for who may."""

from collections.abc import Callable, Coroutine
from typing import Any

import apsw
import msgspec
import pytest
import sqlalchemy as sa

from contract.conftest import Registries
from contract.test_history import Watch
from contract.test_rules import PUT_GRANT
from faults.invariants import RULES
from moorage.clock import DAY
from moorage.db import blobs, manifests, principals, repositories, schema
from moorage.db.access import find_target
from moorage.db.access_schema import grant
from moorage.db.engine import Query, Tx
from moorage.errors import (
    Conflicting,
    ManifestBlobUnknown,
    NotFound,
    NotPermitted,
    TagProtected,
)
from moorage.model.access import Actor, Namespace, Role, Scope, Subject
from moorage.model.patterns import TagPattern
from moorage.model.tag_rules import Needs, Proposal
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import history, listing, restore, rules, trash, usage
from moorage.registry import repositories as whole
from moorage.registry.services import Services
from racing import BY, Client, image, index, violations

NAME = RepositoryName.parse("web/shop")
LAYER, SECOND, THIRD = b"layer" * 100, b"second" * 100, b"third" * 100
A, B = image(LAYER), image(LAYER, SECOND)
BOTH = index(A, B)
# There are accounts here, and so no local mode.
ROOT = Actor("operator", "root", "uid 0")
ROLES = (Role.READER, Role.WRITER, Role.MAINTAINER, Role.OWNER)

OWN_GRANT = Query(
    "test_own_grant",
    sa.update(grant)
    .where(grant.c.principal_id == sa.bindparam("who"))
    .values(repository_id=sa.bindparam("number")),
)
_link, _digest = schema.repository_blob, schema.blob_digest
FIND = Query(
    "test_find_blob",
    sa.select(schema.blob.c.id, schema.blob.c.size)
    .join(_digest, _digest.c.blob_id == schema.blob.c.id)
    .where(_digest.c.digest == sa.bindparam("digest")),
)
COLLECT = [
    Query(
        f"test_collect_{column.table.name}",
        sa.delete(column.table).where(column == sa.bindparam("number")),
    )
    for column in (_link.c.blob_id, _digest.c.blob_id, schema.blob.c.id)
]
COLLECT_MANIFEST = Query(
    "test_collect_manifest",
    sa.delete(schema.manifest).where(schema.manifest.c.identity == sa.bindparam("identity")),
)
COLLECT_DIGEST = Query(
    "test_collect_digest",
    sa.delete(schema.manifest_digest).where(
        schema.manifest_digest.c.digest == sa.bindparam("digest")
    ),
)


class Place:
    """A repository with layers, people of every role, and a clock that stands."""

    def __init__(self, registries: Registries, s: Services) -> None:
        self.registries = registries
        self.watch = Watch()
        self.s = msgspec.structs.replace(s, clock=self.watch)
        self.shop = self.client(NAME)
        self.actors: dict[str, Actor] = {}

    def client(self, name: RepositoryName, sparse: str = "indexes") -> Client:
        """Return what pushes to a repository as somebody who may."""
        return Client(self.s, name, sparse, ROOT)

    async def fill(self) -> None:
        for raw in (LAYER, SECOND):
            await self.shop.blob(raw)
        await self.s.db.write(self._people)

    async def _people(self, tx: Tx) -> None:
        repository = await repositories.find_repository(tx, NAME)
        assert repository is not None
        for name in (*ROLES, "guest", "stranger"):
            number = await principals.add_account(tx, name, password="", administrator=False, now=1)
            assert number is not None
            self.actors[name] = Actor("account", name, "test", subject=Subject(number, 0, 1))
            role = Role.OWNER if name == "guest" else name
            if isinstance(role, Role):
                await tx.run(
                    PUT_GRANT,
                    principal_id=number,
                    namespace_id=repository.namespace_id,
                    role=role.value,
                    rank=role.rank,
                    audits=int(role.audits),
                )
        await tx.run(OWN_GRANT, number=repository.id, who=self.actors["guest"].subject.principal_id)

    def check(self) -> None:
        """Check that nothing in the database contradicts anything else."""
        if self.registries.config.database:
            assert violations(self.registries.config.database) == {}
            return
        connection = apsw.Connection(str(self.registries.config.directory / "moorage.db"))
        rules = {name: text for name, text in RULES.items() if "two tags" not in name}
        found = {name: connection.execute(text).fetchall() for name, text in rules.items()}
        connection.close()
        assert {name: rows for name, rows in found.items() if rows} == {}

    async def has(self, raw: bytes, name: RepositoryName = NAME) -> bool:
        """Tell whether a pull finds the manifest, and everything that it names."""

        async def read(tx: Tx) -> bool:
            found = await find_target(tx, ROOT.subject, name)
            if found.repository is None:
                return False
            number = found.repository.id
            layers = [each for each in (LAYER, SECOND) if str(digest_of(each)).encode() in raw]
            there = [await blobs.has_linked(tx, number, digest_of(each)) for each in layers]
            return all(there) and await manifests.find_live(tx, number, digest_of(raw)) is not None

        return await self.s.db.read(read)

    async def tags(self, name: RepositoryName = NAME) -> dict[str, str]:
        states = await history.list_states(self.s, ROOT, name, "", 100)
        return {each.name: str(each.digest) for each in states.tags}

    async def restored(self, who: str, raw: bytes) -> restore.Restored:
        return await restore.restore_manifest(self.s, self.actors[who], NAME, digest_of(raw), BY)

    async def restore_tag(self, who: str, tag: str, **to: Any) -> restore.RestoredTag:
        return await restore.restore_tag(self.s, self.actors[who], NAME, Tag.parse(tag), BY, **to)


def within(registries: Registries, use: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
    """Run the coroutine function in a registry with a repository, and check that it is whole."""

    async def body(s: Services) -> None:
        place = Place(registries, s)
        await place.fill()
        await use(place)
        place.check()

    registries.run(body)


def test_a_manifest_comes_back_with_all_that_it_names(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop = place.shop
        await shop.manifest(B, "latest")
        await shop.delete_manifest(B)
        for raw in (LAYER, SECOND):
            await shop.delete_blob(raw)
        assert not await place.has(B)
        made = await shop.restore_manifest(B)
        assert made == restore.Restored(digest_of(B), (digest_of(B),), 2)
        assert await place.has(B)
        assert await place.tags() == {}
        # Nothing is left to do, and asking again does no harm.
        assert await shop.restore_manifest(B) == restore.Restored(digest_of(B))

    within(registries, use)


def test_a_manifest_is_asked_for_by_any_of_its_digests(registries: Registries) -> None:
    async def use(place: Place) -> None:
        alias = digest_of(A, "sha512")
        await place.shop.manifest(A, "latest", algorithm="sha512")
        await place.shop.delete_manifest(A)
        made = await restore.restore_manifest(place.s, ROOT, NAME, alias, BY)
        assert made.digest == digest_of(A)
        assert await place.has(A)
        back = await place.shop.restore_tag("latest")
        assert (back.digest, back.before) == (alias, None)

    within(registries, use)


def test_an_index_comes_back_with_its_images(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop = place.shop
        for raw in (A, B, BOTH, index(BOTH)):
            await shop.manifest(raw)
        await shop.manifest(index(BOTH), "all")
        for raw in (index(BOTH), BOTH, A, B):
            await shop.delete_manifest(raw)
        await shop.delete_blob(SECOND)
        made = await shop.restore_manifest(index(BOTH))
        assert set(made.manifests) == {digest_of(raw) for raw in (A, B, BOTH, index(BOTH))}
        assert made.blobs == 1
        for raw in (A, B, BOTH, index(BOTH)):
            assert await place.has(raw)

    within(registries, use)


def test_what_was_pushed_meanwhile_finds_it(registries: Registries) -> None:
    """An index that came while its image was in the trash, a signature by another digest."""

    async def use(place: Place) -> None:
        shop = place.client(NAME, "always")
        signature = image(SECOND, subject=A, algorithm="sha512")
        await shop.manifest(A, algorithm="sha512")
        await shop.delete_manifest(A)
        await shop.delete_blob(LAYER)
        await shop.manifest(BOTH, "all")
        await shop.manifest(signature)
        await shop.manifest(B)
        await shop.restore_manifest(A)
        assert await place.has(A)

        async def referrers(tx: Tx) -> int:
            found = await find_target(tx, ROOT.subject, NAME)
            assert found.repository is not None
            number = found.repository.id
            return len(await manifests.list_referrers(tx, number, digest_of(A), "", 2**60, 10))

        assert await place.s.db.read(referrers) == 1

    within(registries, use)


def test_the_time_in_the_trash_ends(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop, watch = place.shop, place.watch
        await shop.manifest(A, "latest")
        await shop.delete_manifest(A)
        until = watch.at + 14 * DAY
        items = await trash.list_items(place.s, ROOT, NAME, "manifest", 0, 10)
        assert [(each.digest, each.until) for each in items] == [(digest_of(A), until)]
        watch.at = until
        for attempt in (shop.restore_manifest(A), shop.restore_tag("latest")):
            with pytest.raises(NotFound, match="over"):
                await attempt
        assert not await place.has(A)
        watch.at = until - 1
        await shop.restore_manifest(A)
        assert await place.has(A)

    within(registries, use)


@pytest.mark.parametrize("days", [0, 3])
def test_how_long_is_a_setting(registries: Registries, days: int) -> None:
    async def use(place: Place) -> None:
        config = msgspec.structs.replace(place.s.config, trash_days=days)
        shop = Client(msgspec.structs.replace(place.s, config=config), NAME, "never", ROOT)
        await shop.manifest(A)
        await shop.delete_manifest(A)
        place.watch.at += days * DAY
        with pytest.raises(NotFound):
            await shop.restore_manifest(A)

    within(registries, use)


async def collected(place: Place, *raws: bytes) -> None:
    """Have blobs of the repository be gone as collection leaves them."""

    async def write(tx: Tx) -> None:
        found = await find_target(tx, ROOT.subject, NAME)
        assert found.repository is not None
        for raw in raws:
            row = await tx.one(FIND, digest=digest_of(raw).key)
            assert row is not None
            for query in COLLECT:
                await tx.run(query, number=row[0])
            paid = found.repository.namespace_id
            await tx.run(blobs.ADD_USAGE, namespace_id=paid, bytes=-row[1], now=1)

    await place.s.db.write(write)


def test_what_is_gone_for_good_is_said(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop = place.shop
        await shop.manifest(B, "latest")
        await shop.delete_manifest(B)
        await shop.delete_blob(SECOND)
        await collected(place, SECOND)
        with pytest.raises(Conflicting, match=digest_of(SECOND)):
            await shop.restore_manifest(B)
        assert not await place.has(B)
        assert await place.tags() == {}
        # Pushed again, it is another blob than the one that the manifest has named.
        await shop.blob(SECOND)
        await shop.restore_tag("latest")
        assert await place.has(B)
        assert await place.tags() == {"latest": digest_of(B)}

    within(registries, use)


def test_a_sparse_index_comes_back_without_what_is_gone(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop = place.shop
        for raw in (A, B, BOTH):
            await shop.manifest(raw)
        for raw in (BOTH, A, B):
            await shop.delete_manifest(raw)

        async def end(tx: Tx) -> None:
            await tx.run(COLLECT_MANIFEST, identity=digest_of(B).key)
            await tx.run(COLLECT_DIGEST, digest=digest_of(B).key)

        await place.s.db.write(end)
        strict = place.client(NAME, "never")
        with pytest.raises(Conflicting):
            await strict.restore_manifest(BOTH)
        made = await shop.restore_manifest(BOTH)
        assert set(made.manifests) == {digest_of(BOTH), digest_of(A)}
        await strict.manifest(B)
        place.check()

    async def body(s: Services) -> None:  # an index that lacks an image is no contradiction
        place = Place(registries, s)
        await place.fill()
        await use(place)

    registries.run(body)


def test_tags_come_back(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop = place.shop
        await shop.manifest(A, "latest")
        await shop.manifest(B, "latest")
        a, b = digest_of(A), digest_of(B)
        # The last move undone, and that undone in turn: a restore is a move like others.
        assert (await shop.restore_tag("latest")).digest == a
        assert (await shop.restore_tag("latest")).digest == b
        assert (await shop.restore_tag("latest", version=1)).digest == a
        assert (await shop.restore_tag("latest", digest=b)).digest == b
        await shop.delete_tag("latest")
        assert await place.tags() == {}
        made = await shop.restore_tag("latest")
        assert (made.digest, made.before, made.manifests) == (b, None, ())
        moves = await history.list_moves(place.s, ROOT, NAME, Tag("latest"), 0, 100)
        assert [(m.version, m.by.cause, m.by.cause_id) for m in moves] == [
            (8, "restore", "6"),
            (7, "delete", ""),
            (6, "restore", "4"),
            (5, "restore", "1"),
            (4, "restore", "2"),
            (3, "restore", "1"),
            (2, "push", ""),
            (1, "push", ""),
        ]

    within(registries, use)


def test_a_tag_that_is_as_asked_stays(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.manifest(A, "latest")
        made = await place.shop.restore_tag("latest", version=1)
        assert (made.digest, made.before) == (digest_of(A), digest_of(A))
        assert len(await history.list_moves(place.s, ROOT, NAME, Tag("latest"), 0, 9)) == 1

    within(registries, use)


def test_what_a_tag_never_was_it_does_not_become(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop = place.shop
        await shop.manifest(A, "latest")
        await shop.manifest(B, "other")
        for kind, to in (
            (NotFound, {"digest": digest_of(B)}),
            (NotFound, {"version": 2}),
            (Conflicting, {}),
        ):
            with pytest.raises(kind):
                await shop.restore_tag("latest", **to)
        with pytest.raises(NotFound):
            await shop.restore_tag("never")
        await shop.delete_tag("latest")
        await shop.manifest(A, "latest")
        with pytest.raises(Conflicting, match="named nothing"):
            await shop.restore_tag("latest")
        with pytest.raises(Conflicting, match="named nothing"):
            await shop.restore_tag("latest", version=2)

    within(registries, use)


def test_a_tag_brings_back_its_manifest(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop = place.shop
        await shop.manifest(A, "latest", "v1")
        await shop.manifest(B, "latest")
        await shop.delete_manifest(A)
        made = await shop.restore_tag("latest", digest=digest_of(A))
        assert (made.before, made.manifests) == (digest_of(B), (digest_of(A),))
        assert await place.tags() == {"latest": digest_of(A)}
        assert await place.has(A)

    within(registries, use)


def test_who_may_restore(registries: Registries) -> None:
    """Who pushes moves tags; to take from the trash is for those who may put there."""

    async def use(place: Place) -> None:
        await place.shop.manifest(A, "latest")
        await place.shop.manifest(B, "latest")
        for who in ("reader", "stranger"):
            with pytest.raises(NotPermitted):
                await place.restore_tag(who, "latest")
        assert (await place.restore_tag("writer", "latest")).digest == digest_of(A)
        await place.shop.delete_manifest(B)
        for who in ("reader", "writer", "stranger"):
            with pytest.raises(NotPermitted):
                await place.restored(who, B)
            with pytest.raises(NotPermitted):
                await place.restore_tag(who, "latest", digest=digest_of(B))
        assert not await place.has(B)
        push = (Scope("web/**", frozenset({"pull", "push"})),)
        for limits in ({"scopes": push}, {"bound": push}):
            confined = msgspec.structs.replace(place.actors["owner"], **limits)
            with pytest.raises(Exception, match=r"not (for|asked for) delete"):
                await restore.restore_tag(
                    place.s, confined, NAME, Tag("latest"), BY, digest=digest_of(B)
                )
        await place.restore_tag("maintainer", "latest", digest=digest_of(B))
        assert await place.has(B)

    within(registries, use)


def test_rules_for_tags_hold(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.manifest(A, "v1", "r1")
        await place.shop.manifest(B, "v1", "r1")
        await place.shop.delete_tag("r1")
        for pattern, needs in (("v*", None), ("r*", Needs(Role.OWNER.rank, 5, 5))):
            wanted = Proposal(TagPattern.parse(pattern), (), *((needs,) if needs else ()))
            await rules.add_rule(place.s, place.actors["owner"], Namespace("web"), wanted, BY)
        for who in ("writer", "maintainer", "owner"):
            with pytest.raises(TagProtected):
                await place.restore_tag(who, "v1")
        with pytest.raises(TagProtected):
            await place.restore_tag("maintainer", "r1")
        await place.restore_tag("owner", "r1")
        assert await place.tags() == {"v1": digest_of(B), "r1": digest_of(B)}

    within(registries, use)


def test_a_repository_goes_and_comes_back(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop = place.shop
        await shop.manifest(A, "old")
        await shop.manifest(B, "latest")
        await shop.delete_tag("old")
        await shop.delete_repository()
        assert not await place.has(B)
        assert (await listing.list_repositories(place.s, ROOT, "", 10)).names == []
        with pytest.raises(NotFound):
            await place.tags()
        with pytest.raises(NotFound):
            await shop.delete_repository()
        (removed,) = await whole.list_removed(place.s, ROOT, "web", 0, 10)
        assert (removed.name, removed.until) == (NAME, place.watch.at + 14 * DAY)
        await shop.restore_repository()
        assert await place.has(A)
        assert await place.tags() == {"latest": digest_of(B)}
        await shop.restore_tag("old")
        assert await place.tags() == {"latest": digest_of(B), "old": digest_of(A)}
        with pytest.raises(NotFound):
            await shop.restore_repository()

    within(registries, use)


def test_another_repository_has_the_name_meanwhile(registries: Registries) -> None:
    """A push makes a new one, which has nothing of the old one, nor gets in its way."""

    async def use(place: Place) -> None:
        shop = place.shop
        await shop.manifest(A, "latest")
        await shop.delete_repository()
        with pytest.raises(ManifestBlobUnknown):
            await shop.manifest(A, "latest")
        await shop.blob(LAYER)
        await shop.manifest(A, "new")
        assert await place.tags() == {"new": digest_of(A)}
        with pytest.raises(NotFound):
            await history.list_moves(place.s, ROOT, NAME, Tag("latest"), 0, 9)
        with pytest.raises(Conflicting):
            await shop.restore_repository()
        other = RepositoryName.parse("web/old")
        await shop.restore_repository(new_name=other)
        assert await place.tags(other) == {"latest": digest_of(A)}
        assert await place.tags() == {"new": digest_of(A)}
        # And both go again, at one moment.
        await shop.delete_repository()
        await place.client(other).restore_tag("latest", version=1)
        await shop.blob(LAYER)
        await shop.delete_repository()
        removed = await whole.list_removed(place.s, ROOT, "web", 0, 10)
        assert [each.name for each in removed] == [NAME, NAME]
        assert len({each.until for each in removed}) == 2
        await shop.restore_repository(number=removed[0].id)
        assert await place.tags() == {"new": digest_of(A)}

    within(registries, use)


def test_who_finds_the_repository_finds_it_again(registries: Registries) -> None:
    async def use(place: Place) -> None:
        async def seen(who: str) -> list[str]:
            found = await listing.list_repositories(place.s, place.actors[who], "", 10)
            return found.names

        async def fix(tx: Tx) -> None:
            repository = await repositories.find_repository(tx, NAME)
            assert repository is not None
            for name in (*ROLES, "guest"):
                number = place.actors[name].subject.principal_id
                values = {"principal_id": number, "name": NAME, "number": repository.id}
                await tx.run(repositories.PUT_READER, **values)

        await place.s.db.write(fix)
        readers = (*ROLES, "guest")
        assert [await seen(who) for who in readers] == [[NAME]] * 5
        await place.shop.delete_repository()
        assert [await seen(who) for who in readers] == [[]] * 5
        await place.shop.blob(LAYER)  # a new one, in which the guest has nothing
        assert [await seen(who) for who in readers] == [[NAME]] * 4 + [[]]
        await place.shop.delete_repository()
        (first, _) = await whole.list_removed(place.s, ROOT, "web", 0, 10)
        await place.shop.restore_repository(number=first.id)
        assert [await seen(who) for who in readers] == [[NAME]] * 5
        assert await seen("stranger") == []

    within(registries, use)


def test_who_may_delete_and_restore_repositories(registries: Registries) -> None:
    async def use(place: Place) -> None:
        async def delete(who: str) -> None:
            await whole.delete_repository(place.s, place.actors[who], NAME, BY)

        async def back(who: str, **more: Any) -> None:
            await whole.restore_repository(place.s, place.actors[who], NAME, BY, **more)

        for who in ("reader", "writer", "stranger"):
            with pytest.raises(NotPermitted):
                await delete(who)
        await delete("guest")
        for who in ("reader", "writer", "stranger"):
            with pytest.raises(NotPermitted):
                await back(who)
        # Under a name at which he has no right he can't have it.
        with pytest.raises(NotPermitted):
            await back("guest", new_name=RepositoryName.parse("web/other"))
        await back("guest")
        await delete("maintainer")
        await back("maintainer", new_name=RepositoryName.parse("web/other"))

    within(registries, use)


def test_nobody_is_rid_of_a_protected_tag_by_the_repository(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "_TAGS", 2)

    async def use(place: Place) -> None:
        await place.shop.manifest(A, "a", "b", "c", "d", "v1")
        wanted = Proposal(TagPattern.parse("v*"))
        owner = place.actors["owner"]
        await rules.add_rule(place.s, owner, Namespace("web"), wanted, BY)
        for actor in (owner, place.actors["maintainer"], ROOT):
            with pytest.raises(TagProtected):
                await whole.delete_repository(place.s, actor, NAME, BY)
        assert "v1" in await place.tags()
        other = place.client(RepositoryName("web/other"))
        await other.blob(LAYER)
        await other.manifest(A, "latest")
        await other.delete_repository()

    within(registries, use)


def test_usage_tells_what_the_trash_holds(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop, other = place.shop, place.client(RepositoryName("web/other"))

        async def told() -> tuple[int, int]:
            found = await usage.namespace_usage(place.s, place.actors["reader"], "web")
            return found.bytes, found.trash

        layer, second, third = len(LAYER), len(SECOND), len(THIRD)
        total = layer + second
        assert await told() == (total, 0)
        await shop.manifest(A)
        await shop.manifest(B)
        await shop.delete_manifest(B)
        assert await told() == (total, second)
        await shop.delete_manifest(A)
        assert await told() == (total, total)
        await shop.restore_manifest(A)
        assert await told() == (total, second)
        await other.blob(SECOND)
        await other.blob(THIRD)
        await other.manifest(image(SECOND, THIRD))
        assert await told() == (total + third, 0)
        await other.delete_repository()
        assert await told() == (total + third, second + third)
        await other.restore_repository()
        await shop.delete_blob(SECOND)
        assert await told() == (total + third, 0)
        await other.delete_manifest(image(SECOND, THIRD))
        await other.delete_blob(THIRD)
        assert await told() == (total + third, second + third)

    within(registries, use)
