"""What is purged is gone on both databases: rows, links, the trash, queued files, and the bytes."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase, Registries
from contract.test_races import THIRDS, Case, every_place
from contract.test_restore import ROOT as OPERATOR
from contract.test_restore import Place as Filled
from moorage.db import principals
from moorage.db.engine import Query, Tx
from moorage.db.schema import audit, review_queue
from moorage.errors import Denied, ManifestBlobUnknown, NotFound, NotPermitted, Unauthorized
from moorage.model.access import Actor, Namespace, Scope, Subject
from moorage.model.patterns import TagPattern
from moorage.model.tag_rules import Proposal
from moorage.oci.digest import Digest, digest_of
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import history, purge, rules, usage
from moorage.registry.services import Services
from racing import ALICE, BY, Client, image, index

LAYER, SECOND, SECRET = b"layer" * 100, b"second" * 100, b"secret" * 100
A, LEAK = image(LAYER), image(LAYER, SECRET)
BOTH = index(A, LEAK)
SHOP, BLOG, FAR = (RepositoryName.parse(each) for each in ("web/shop", "web/blog", "far/away"))
REVIEWED = Query(
    "test_reviewed", sa.select(review_queue.c.kind, review_queue.c.event).order_by("kind")
)
TRAIL = Query("test_trail", sa.select(audit.c.action, audit.c.detail).order_by(audit.c.id))


class Place(Filled):
    """Three repositories, of which all have the secret."""

    async def spread(self) -> None:
        for name in (SHOP, BLOG, FAR):
            client = self.client(name)
            for raw in (LAYER, SECRET):
                await client.blob(raw)
            await client.manifest(A, "clean")
            await client.manifest(LEAK, "latest", "v1")

    async def purge(
        self, what: bytes | Digest, actor: Actor = OPERATOR, sparse: str = ""
    ) -> purge.Purged:
        digest = what if isinstance(what, Digest) else digest_of(what)
        s = self.s
        if sparse:
            s = msgspec.structs.replace(
                s, config=msgspec.structs.replace(s.config, allow_sparse=sparse)
            )
        planned = await purge.plan_purge(s, actor, digest)
        done = await purge.purge_content(s, actor, digest, "a leak", BY)
        assert done == planned
        return done

    def bytes_on_disk(self) -> list[bytes]:
        """Return the content of every file under the store."""
        root = Path(self.s.config.directory)
        found = [*(root / "objects").rglob("*"), *(root / "uploads").rglob("*")]
        return [each.read_bytes() for each in found if each.is_file()]


def within(registries: Registries, use: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
    """Run the coroutine function in a filled registry, and check that it is whole."""

    async def body(s: Services) -> None:
        place = Place(registries, s)
        await place.fill()
        await place.spread()
        await use(place)
        place.check()

    registries.run(body)


def test_a_blob_is_gone_everywhere(registries: Registries) -> None:
    async def use(place: Place) -> None:
        assert SECRET in place.bytes_on_disk()
        done = await place.purge(SECRET)
        leak = digest_of(LEAK)
        told = {each.name: (each.manifests, each.tags) for each in done.repositories}
        assert told == dict.fromkeys((SHOP, BLOG, FAR), ((leak,), ("latest", "v1")))
        assert done.objects == 3  # each upload has replaced the file of the one before
        assert SECRET not in place.bytes_on_disk()
        assert LAYER in place.bytes_on_disk()
        for name in (SHOP, BLOG, FAR):
            assert not await place.has(LEAK, name)
            assert await place.has(A, name)
            assert await place.tags(name) == {"clean": digest_of(A)}
        with pytest.raises(NotFound):
            await place.purge(SECRET)
        with pytest.raises(ManifestBlobUnknown):
            await place.shop.manifest(LEAK, "latest")
        # It may be pushed again: that is nobody's to forbid here.
        await place.shop.blob(SECRET)
        await place.shop.manifest(LEAK, "latest")
        assert await place.has(LEAK)

    within(registries, use)


def test_by_any_of_its_digests(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.blob(SECRET, "sha512")
        done = await place.purge(digest_of(SECRET, "sha512"))
        assert done.objects == 4
        assert SECRET not in place.bytes_on_disk()

    within(registries, use)


def test_the_trash_and_the_queue_hold_nothing_back(registries: Registries) -> None:
    async def use(place: Place) -> None:
        shop = place.shop
        await place.client(BLOG).delete_repository()
        await shop.delete_manifest(LEAK)
        await shop.delete_blob(SECRET)
        for _ in range(2):
            await place.client(FAR).blob(SECRET)
        done = await place.purge(SECRET)
        assert len(done.repositories) == 3
        assert done.objects == 5
        assert SECRET not in place.bytes_on_disk()
        with pytest.raises(NotFound):
            await shop.restore_manifest(LEAK)
        with pytest.raises(NotFound):
            await shop.restore_tag("latest")
        await place.client(BLOG).restore_repository()
        assert await place.tags(BLOG) == {"clean": digest_of(A)}

    within(registries, use)


def test_what_only_waits_for_its_deletion(registries: Registries) -> None:
    """No repository and no row has it any more, only a file that is to go in a day."""

    async def use(place: Place) -> None:
        await place.shop.blob(SECRET)
        location = (await place.s.db.read(lambda tx: purge._find(tx, digest_of(SECRET)))).blob
        assert location is not None
        await place.purge(SECRET)
        await place.s.db.write(
            lambda tx: purge.blobs.queue_deletes(
                tx, {location.location: 0}, 2**50, "collected", digest_of(SECRET)
            )
        )
        done = await place.purge(SECRET)
        assert (done.repositories, done.objects) == ((), 1)

    within(registries, use)


def test_a_manifest_goes_and_its_blobs_are_left_to_collection(registries: Registries) -> None:
    async def use(place: Place) -> None:
        done = await place.purge(LEAK)
        assert {each.name for each in done.repositories} == {SHOP, BLOG, FAR}
        assert done.objects == 0
        assert SECRET in place.bytes_on_disk()
        for name in (SHOP, BLOG, FAR):
            assert not await place.has(LEAK, name)
            assert await place.tags(name) == {"clean": digest_of(A)}
        reviewed = await place.s.db.read(lambda tx: tx.many(REVIEWED))
        assert reviewed == [("blob", "purged")] * 6

    within(registries, use)


def test_an_index_lacks_it_from_then_on(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.manifest(BOTH, "all")
        done = await place.purge(SECRET)
        here = next(each for each in done.repositories if each.name == SHOP)
        assert here.manifests == (digest_of(LEAK),)
        assert await place.tags() == {"clean": digest_of(A), "all": digest_of(BOTH)}
        # Pushed again, it is found by the index as what it named.
        await place.shop.blob(SECRET)
        await place.shop.manifest(LEAK)

    within(registries, use)


def test_an_index_that_must_be_whole_goes_too(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.manifest(BOTH, "all")
        await place.shop.manifest(index(BOTH), "outer")
        await place.shop.delete_tag("latest")
        done = await place.purge(SECRET, sparse="never")
        here = next(each for each in done.repositories if each.name == SHOP)
        assert set(here.manifests) == {digest_of(raw) for raw in (LEAK, BOTH, index(BOTH))}
        assert here.tags == ("all", "outer", "v1")
        assert await place.tags() == {"clean": digest_of(A)}

    within(registries, use)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_many_manifests_go_a_few_at_a_time(
    registries: Registries, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(purge, "_SLICE", size)

    async def use(place: Place) -> None:
        others = [image(SECRET, *[LAYER] * count) for count in range(4)]
        for raw in others:
            await place.shop.manifest(raw, f"t{len(raw)}")
        outer = index(index(LEAK, *others), others[0])
        await place.shop.manifest(index(LEAK, *others), "all")
        await place.shop.manifest(outer, "outer")
        done = await place.purge(SECRET, sparse="never")
        here = next(each for each in done.repositories if each.name == SHOP)
        assert len(here.manifests) == 7
        assert await place.tags() == {"clean": digest_of(A)}
        assert SECRET not in place.bytes_on_disk()

    within(registries, use)


def test_a_signature_stays(registries: Registries) -> None:
    async def use(place: Place) -> None:
        signature = image(LAYER, subject=LEAK)
        await place.shop.manifest(signature)
        await place.purge(LEAK)
        assert await place.has(signature)

    within(registries, use)


def test_rules_for_tags_do_not_hold_it_up(registries: Registries) -> None:
    async def use(place: Place) -> None:
        wanted = Proposal(TagPattern.parse("v*"))
        owner = place.actors["owner"]
        await rules.add_rule(place.s, owner, Namespace("web"), wanted, BY)
        await place.purge(SECRET)
        assert await place.tags() == {"clean": digest_of(A)}

    within(registries, use)


def test_it_is_told_in_history_and_trail(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.purge(SECRET)
        moves = await history.list_moves(place.s, OPERATOR, SHOP, Tag("latest"), 0, 9)
        assert (moves[0].after, moves[0].by.cause, moves[0].by.cause_id) == (
            None,
            "purge",
            digest_of(SECRET),
        )
        rows = await place.s.db.read(lambda tx: tx.many(TRAIL))
        told = [msgspec.json.decode(row[1]) for row in rows if row[0] == "content.purged"]
        assert [each.get("repository") for each in told] == [SHOP, BLOG, FAR, None]
        assert {each["reason"] for each in told} == {"a leak"}
        assert told[-1]["objects"] == 3

    within(registries, use)


def test_usage_has_it_no_longer(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.purge(SECRET)
        found = await usage.namespace_usage(place.s, OPERATOR, "web")
        assert (found.bytes, found.trash) == (len(LAYER) + len(SECOND), 0)

    within(registries, use)


def test_only_administrators_may(registries: Registries) -> None:
    async def use(place: Place) -> None:
        async def add(tx: Tx) -> int:
            number = await principals.add_account(tx, "ada", password="", administrator=True, now=1)
            assert number is not None
            return number

        ada = Actor("account", "ada", "test", subject=Subject(await place.s.db.write(add), 0, 1))
        confined = msgspec.structs.replace(ada, scopes=(Scope("**", frozenset({"*"})),))
        for actor in (*place.actors.values(), ALICE, confined):
            for attempt in (
                purge.plan_purge(place.s, actor, digest_of(SECRET)),
                purge.purge_content(place.s, actor, digest_of(SECRET), "", BY),
            ):
                with pytest.raises((Denied, Unauthorized) if actor is ALICE else NotPermitted):
                    await attempt
        assert await place.has(LEAK)
        await place.purge(SECRET, ada)

    within(registries, use)


def test_a_purge_that_was_interrupted_goes_on(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the bytes go nothing leads to them, and the job that deletes has them on its list."""

    async def use(place: Place) -> None:
        async def fail(locations: Any) -> None:
            raise OSError("the power went")

        with monkeypatch.context() as broken:
            broken.setattr(type(place.s.blobs), "delete", lambda self, each: fail(each))
            with pytest.raises(OSError, match="power"):
                await purge.purge_content(place.s, OPERATOR, digest_of(SECRET), "", BY)
        assert SECRET in place.bytes_on_disk()
        assert not await place.has(LEAK)
        place.check()
        done = await purge.purge_content(place.s, OPERATOR, digest_of(SECRET), "", BY)
        assert (done.repositories, done.objects) == ((), 3)
        assert SECRET not in place.bytes_on_disk()

    within(registries, use)


async def leaked(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with the secret in two repositories, in one of them in the trash."""
    for client in (a, elsewhere):
        for raw in (LAYER, SECRET):
            await client.blob(raw)
        await client.manifest(A)
        await client.manifest(LEAK, "latest")
    await a.manifest(BOTH, "all")
    await a.delete_manifest(LEAK)


async def purged(client: Client, raw: bytes) -> None:
    await purge.purge_content(client.s, OPERATOR, digest_of(raw), "", BY)


CASES: dict[str, Case] = {
    "a purge, and the blob is pushed": (
        leaked,
        lambda a, b, _: purged(a, SECRET),
        lambda a, b, _: b.blob(SECRET),
    ),
    "a blob pushed, and purged": (
        leaked,
        lambda a, b, _: a.blob(SECRET),
        lambda a, b, _: purged(b, SECRET),
    ),
    "a purge, and the blob is mounted": (
        leaked,
        lambda a, b, _: purged(a, SECRET),
        lambda a, b, c: Client(b.s, "other/place").mount(SECRET, c.name),
    ),
    "a mount, and the blob is purged": (
        leaked,
        lambda a, b, c: Client(a.s, "other/place").mount(SECRET, c.name),
        lambda a, b, _: purged(b, SECRET),
    ),
    "a purge, and the image is restored": (
        leaked,
        lambda a, b, _: purged(a, SECRET),
        lambda a, b, _: b.restore_manifest(LEAK),
    ),
    "an image restored, and its layer purged": (
        leaked,
        lambda a, b, _: a.restore_manifest(LEAK),
        lambda a, b, _: purged(b, SECRET),
    ),
    "a purge, and the image is tagged": (
        leaked,
        lambda a, b, _: purged(a, LEAK),
        lambda a, b, c: c.manifest(LEAK, "new"),
    ),
    "an image tagged, and purged": (
        leaked,
        lambda a, b, c: c.manifest(LEAK, "new"),
        lambda a, b, _: purged(b, LEAK),
    ),
    "two purges": (
        leaked,
        lambda a, b, _: purged(a, SECRET),
        lambda a, b, _: purged(b, SECRET),
    ),
    "a purge of the image and one of its layer": (
        leaked,
        lambda a, b, _: purged(a, LEAK),
        lambda a, b, _: purged(b, SECRET),
    ),
}


@pytest.mark.parametrize("first", THIRDS)
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_torn_by_a_race(shared: OpenDatabase, name: str, first: int) -> None:
    registries = Registries(shared.config)

    async def use(one: Services, two: Services) -> int:
        places = range(first, 100, 3)
        return await every_place(CASES[name], shared.url, "indexes", one, two, places)

    assert registries.run(use, 2) >= 3
