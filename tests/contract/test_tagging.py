"""Tags set by hand, and images copied between repositories, on both databases."""

from typing import Any

import pytest

from contract.conftest import Registries
from contract.test_images import (
    APP,
    BASE,
    CONFIG,
    MANIFEST,
    ONE,
    TWO,
    Place,
    describe,
    index,
    within,
)
from contract.test_rules import PUT_GRANT
from moorage.db import grants, principals, repositories
from moorage.db.engine import Tx
from moorage.db.tags import Condition
from moorage.errors import NotFound, NotPermitted, PreconditionFailed
from moorage.model.access import Actor, Subject
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import compare, history, images, tagging
from racing import ALICE, BY, Client

SHOP, CART, COPY = (RepositoryName.parse(each) for each in ("web/shop", "web/cart", "ops/copy"))


async def set_tag(
    place: Place, name: RepositoryName, tag: str, source: RepositoryName, text: str, **how: Any
) -> tagging.Tagged:
    return await tagging.set_tag(place.s, ALICE, name, Tag.parse(tag), (source, text), BY, **how)


def test_a_tag_is_set_to_what_another_names(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.manifest(TWO, "two")
        made = await set_tag(place, SHOP, "latest", SHOP, "two")
        assert (made.digest, made.before) == (digest_of(TWO), digest_of(ONE))
        assert (made.manifests, made.blobs) == (0, 0)
        moves = await history.list_moves(place.s, ALICE, SHOP, Tag("latest"), 0, 10)
        assert [(each.by.cause, each.by.cause_id) for each in moves] == [
            ("set", "two"),
            ("push", ""),
        ]
        await set_tag(place, SHOP, "latest", SHOP, "two")  # as it is: no move
        moves = await history.list_moves(place.s, ALICE, SHOP, Tag("latest"), 0, 10)
        assert len(moves) == 2
        await set_tag(place, SHOP, "fresh", SHOP, digest_of(ONE).hex[:12])
        assert (await images.find_image(place.s, ALICE, SHOP, "fresh")).raw == ONE

    within(registries, use)


def test_a_tag_that_is_not_as_expected_stays(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.manifest(TWO, "two")
        for source in (SHOP, CART):
            with pytest.raises(PreconditionFailed):
                await set_tag(
                    place,
                    SHOP,
                    "latest",
                    source,
                    "two" if source == SHOP else "2.0",
                    condition=Condition(match=(digest_of(TWO),)),
                )
        assert (await images.find_image(place.s, ALICE, SHOP, "latest")).raw == ONE
        with pytest.raises(NotFound):
            await set_tag(place, SHOP, "latest", SHOP, "none")
        with pytest.raises(NotFound):
            await set_tag(place, SHOP, "latest", COPY, "none")

    within(registries, use)


def test_an_image_is_copied_with_all_that_it_needs(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.manifest(TWO)
        both = index(describe(ONE, MANIFEST), describe(TWO, MANIFEST))
        await place.shop.manifest(both, "all")
        made = await set_tag(place, COPY, "v1", SHOP, "all")
        assert (made.manifests, made.blobs, made.before) == (3, 3, None)
        found = await images.find_image(place.s, ALICE, COPY, "v1")
        assert found.raw == both
        assert all(each.is_here for each in found.platforms)
        child = await images.find_image(place.s, ALICE, COPY, digest_of(ONE))
        assert child.config is not None
        assert {each.digest for each in child.layers if each.digest} == {
            digest_of(BASE),
            digest_of(APP),
        }
        again = await set_tag(place, COPY, "v2", SHOP, "all")
        assert (again.manifests, again.blobs) == (0, 0)
        moves = await history.list_moves(place.s, ALICE, COPY, Tag("v1"), 0, 10)
        assert [each.by.cause for each in moves] == ["copy"]
        # It is the repository's own now: what becomes of the source is no matter.
        await place.shop.delete_repository()
        assert (await images.find_image(place.s, ALICE, COPY, "v1")).raw == both
        assert await Client(place.s, "ops/copy").mount(CONFIG, COPY)

    within(registries, use)


def test_nothing_is_copied_from_what_the_actor_may_not_read(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await Client(place.s, COPY).blob(BASE)

        async def make(tx: Tx) -> Actor:
            target = await repositories.find_repository(tx, COPY)
            assert target is not None
            number = await principals.add_account(
                tx, "bob", password="", administrator=False, now=1
            )
            assert number is not None
            await tx.run(
                PUT_GRANT,
                principal_id=number,
                namespace_id=target.namespace_id,
                role="writer",
                rank=2,
                audits=0,
            )
            await grants.keep_reader(tx, number, target.namespace_id, target.id, COPY)
            return Actor("account", "bob", "test", subject=Subject(number, 0, 1))

        bob = await place.s.db.write(make)
        with pytest.raises(NotPermitted):
            await tagging.set_tag(place.s, bob, COPY, Tag("x"), (SHOP, "1.0"), BY)
        with pytest.raises(NotPermitted):
            await tagging.set_tag(place.s, bob, SHOP, Tag("x"), (SHOP, "1.0"), BY)
        await place.publish(SHOP)
        await tagging.set_tag(place.s, bob, COPY, Tag("x"), (SHOP, "1.0"), BY)
        with pytest.raises(NotPermitted):
            await tagging.set_tag(place.s, bob, SHOP, Tag("x"), (COPY, "x"), BY)
        seen = await images.find_image(place.s, bob, SHOP, "1.0")
        assert {each.use.names for each in seen.layers if each.digest} == {(COPY,)}

    within(registries, use)


def test_two_images_side_by_side(registries: Registries) -> None:
    async def use(place: Place) -> None:
        found = await compare.compare(place.s, ALICE, (CART, "2.0"), (SHOP, "1.0"))
        assert found.grown == len(APP)
        assert [each.digest for each in found.shared] == [digest_of(BASE)]
        assert [each.digest for each in found.only_b] == [digest_of(APP)]
        assert (found.only_a, found.common) == ((), ())
        assert all(each.is_same for each in found.config)
        assert found.summary == (
            "B is 300 bytes larger than A, shares the first 1 of its 2 layers with it, "
            "and has the same configuration."
        )
        same = await compare.compare(place.s, ALICE, (SHOP, "latest"), (SHOP, "1.0"))
        assert same.summary == "Both are the same image."

    within(registries, use)


def test_two_indexes_by_platform(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.manifest(TWO)
        arm = {"os": "linux", "architecture": "arm64"}
        amd = {"os": "linux", "architecture": "amd64"}
        old = index(describe(ONE, MANIFEST, platform=arm), describe(ONE, MANIFEST, platform=amd))
        new = index(describe(ONE, MANIFEST, platform=arm), describe(TWO, MANIFEST, platform=amd))
        await place.shop.manifest(old, "old")
        await place.shop.manifest(new, "new")
        found = await compare.compare(place.s, ALICE, (SHOP, "old"), (SHOP, "new"))
        assert [(each.platform, each.a == each.b) for each in found.platforms] == [
            ("linux/amd64", False),
            ("linux/arm64", True),
        ]
        assert "1 of 2 platforms" in found.summary
        one = await compare.compare(
            place.s, ALICE, (SHOP, "old"), (SHOP, "new"), platform="linux/amd64"
        )
        assert [each.digest for each in one.only_a] == [digest_of(APP)]
        with pytest.raises(NotFound):
            await compare.compare(
                place.s, ALICE, (SHOP, "old"), (SHOP, "new"), platform="linux/s390x"
            )

    within(registries, use)
