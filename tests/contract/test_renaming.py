"""Repositories under another name, on both databases: the one before goes on working."""

import pytest

from contract.conftest import Registries
from contract.test_images import BASE, NOBODY, ONE, TWO, Place, within
from moorage.errors import Conflicting, Invalid, NotFound, SignInNeeded
from moorage.model.access import Actor
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import history, listing, pull, renaming, repositories, rights
from racing import ALICE, BY, Client

# Local mode may not configure; the server's own operator may all.
OPERATOR = Actor("operator", "root", "socket")
OLD, NEW = RepositoryName.parse("web/shop"), RepositoryName.parse("web/store")


async def rename(place: Place, name: RepositoryName, wanted: str) -> None:
    new_name = RepositoryName.parse(wanted)
    made = await renaming.rename_repository(place.s, OPERATOR, name, new_name, BY)
    assert made.name == wanted


async def pulled(place: Place, name: RepositoryName, tag: str, actor: Actor = ALICE) -> bytes:
    found, stored = await pull.find_manifest(place.s, actor, name, Tag.parse(tag), raw=True)
    if stored is None:
        return b""
    _, blob, _ = await pull.find_blob(place.s, actor, name, digest_of(BASE))
    assert (blob is not None) == (found.repository is not None)
    return stored.raw


def test_the_old_name_is_pulled_and_pushed_by(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await rename(place, OLD, NEW)
        for name in (OLD, NEW):
            assert await pulled(place, name, "1.0") == ONE
        await Client(place.s, OLD).manifest(TWO, "two")
        assert await pulled(place, NEW, "two") == TWO
        names = (await listing.list_repositories(place.s, ALICE, "", 10)).names
        assert names == ["web/cart", "web/store"]
        moves = await history.list_moves(place.s, ALICE, OLD, Tag("two"), 0, 10)
        assert len(moves) == 1
        await rename(place, OLD, "web/third")  # by a name that it had before
        for name in (OLD, NEW, RepositoryName("web/third")):
            assert await pulled(place, name, "1.0") == ONE
        await rename(place, NEW, OLD)  # and back
        assert (await listing.list_repositories(place.s, ALICE, "", 10)).names[1] == OLD
        assert await pulled(place, RepositoryName("web/third"), "1.0") == ONE

    within(registries, use)


def test_a_name_that_is_used_again_leads_to_the_new_one(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await rename(place, OLD, NEW)
        found = await rights.find(place.s, OPERATOR, OLD)
        assert found.repository is not None
        assert found.repository.name == NEW
        await repositories.delete_repository(place.s, ALICE, OLD, BY)
        assert await pulled(place, OLD, "1.0") == b""
        assert await pulled(place, NEW, "1.0") == b""
        await Client(place.s, OLD).blob(BASE)  # nothing has the name now: it is made
        await repositories.restore_repository(place.s, ALICE, NEW, BY)
        assert await pulled(place, OLD, "1.0") == b""
        assert await pulled(place, NEW, "1.0") == ONE

    within(registries, use)


def test_what_can_not_be_is_refused(registries: Registries) -> None:
    async def use(place: Place) -> None:
        with pytest.raises(Conflicting):
            await rename(place, OLD, "web/cart")
        with pytest.raises(Invalid):
            await rename(place, OLD, "ops/shop")
        with pytest.raises(NotFound):
            await rename(place, RepositoryName("web/none"), "web/other")
        with pytest.raises(SignInNeeded):
            await renaming.rename_repository(place.s, NOBODY, OLD, NEW, BY)
        await rename(place, OLD, OLD)

    within(registries, use)


def test_an_old_name_shows_nobody_more_than_the_new_one(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await rename(place, OLD, NEW)
        assert await pulled(place, OLD, "1.0", NOBODY) == b""
        await place.publish(NEW)
        assert await pulled(place, OLD, "1.0", NOBODY) == ONE
        assert (await listing.list_repositories(place.s, NOBODY, "", 10)).names == [NEW]

    within(registries, use)
