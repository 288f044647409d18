"""Restores beside deletions and pushes of the same things: every place of every race."""

import pytest

from contract.conftest import OpenDatabase, Registries
from contract.test_races import (
    IMAGE,
    LAYER,
    OTHER,
    OTHER_IMAGE,
    SIGNATURE,
    THIRDS,
    Case,
    begun,
    every_place,
    images,
    layers,
)
from moorage.registry.services import Services
from racing import Client, index

WHOLE = index(IMAGE, OTHER_IMAGE)


async def trashed(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with one image tagged, and the other one in the trash with a layer of it."""
    await images(a, b, elsewhere)
    await a.manifest(OTHER_IMAGE, "old")
    await a.manifest(IMAGE, "old")
    await a.delete_manifest(OTHER_IMAGE)
    await a.delete_blob(OTHER)


async def trashed_index(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with an index in the trash, one of whose images is there too."""
    await images(a, b, elsewhere)
    await a.manifest(WHOLE, "all")
    await a.delete_manifest(WHOLE)
    await a.delete_manifest(OTHER_IMAGE)


async def tagged(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with a tag that has moved."""
    await images(a, b, elsewhere)
    await a.manifest(OTHER_IMAGE, "old")


async def removed(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with the repository in the trash."""
    await images(a, b, elsewhere)
    await a.delete_repository()


CASES: dict[str, Case] = {
    "an image restored and pushed": (
        trashed,
        lambda a, b, _: a.restore_manifest(OTHER_IMAGE),
        lambda a, b, _: b.blob(OTHER),
    ),
    "an image restored twice": (
        trashed,
        lambda a, b, _: a.restore_manifest(OTHER_IMAGE),
        lambda a, b, _: b.restore_manifest(OTHER_IMAGE),
    ),
    "an image restored by its tag and by itself": (
        trashed,
        lambda a, b, _: a.restore_tag("old"),
        lambda a, b, _: b.restore_manifest(OTHER_IMAGE),
    ),
    "an image restored, and its layer is deleted": (
        trashed,
        lambda a, b, _: a.restore_manifest(OTHER_IMAGE),
        lambda a, b, _: b.delete_blob(LAYER),
    ),
    "a layer deleted, and its image is restored": (
        trashed_index,
        lambda a, b, _: a.delete_blob(OTHER),
        lambda a, b, _: b.restore_manifest(WHOLE),
    ),
    "an index restored, and its image is deleted": (
        trashed_index,
        lambda a, b, _: a.restore_manifest(WHOLE),
        lambda a, b, _: b.delete_manifest(IMAGE),
    ),
    "an image deleted, and its index is restored": (
        trashed_index,
        lambda a, b, _: a.delete_manifest(IMAGE),
        lambda a, b, _: b.restore_manifest(WHOLE),
    ),
    "an index restored, and its image is pushed": (
        trashed_index,
        lambda a, b, _: a.restore_manifest(WHOLE),
        lambda a, b, _: b.manifest(OTHER_IMAGE, "other"),
    ),
    "a tag restored and moved": (
        tagged,
        lambda a, b, _: a.restore_tag("old"),
        lambda a, b, _: b.manifest(OTHER_IMAGE, "old", "new"),
    ),
    "a tag restored and deleted": (
        tagged,
        lambda a, b, _: a.restore_tag("old"),
        lambda a, b, _: b.delete_tag("old"),
    ),
    "a tag restored twice": (
        tagged,
        lambda a, b, _: a.restore_tag("old"),
        lambda a, b, _: b.restore_tag("old"),
    ),
    "a tag restored to what is deleted": (
        tagged,
        lambda a, b, _: a.restore_tag("old"),
        lambda a, b, _: b.delete_manifest(IMAGE),
    ),
    "a repository deleted and pushed to": (
        images,
        lambda a, b, _: a.delete_repository(),
        lambda a, b, _: b.manifest(OTHER_IMAGE, "old"),
    ),
    "a push, and its repository is deleted": (
        images,
        lambda a, b, _: a.manifest(OTHER_IMAGE, "old"),
        lambda a, b, _: b.delete_repository(),
    ),
    "a blob, and its repository is deleted": (
        layers,
        lambda a, b, _: a.blob(LAYER),
        lambda a, b, _: b.delete_repository(),
    ),
    "a mount, and its source's repository is deleted": (
        layers,
        lambda a, b, c: c.mount(LAYER, a.name),
        lambda a, b, _: b.delete_repository(),
    ),
    "a repository deleted twice": (
        begun,
        lambda a, b, _: a.delete_repository(),
        lambda a, b, _: b.delete_repository(),
    ),
    "a repository restored and made": (
        removed,
        lambda a, b, _: a.restore_repository(),
        lambda a, b, _: b.blob(LAYER),
    ),
    "a repository made and restored": (
        removed,
        lambda a, b, _: a.blob(LAYER),
        lambda a, b, _: b.restore_repository(),
    ),
    "a repository restored twice": (
        removed,
        lambda a, b, _: a.restore_repository(),
        lambda a, b, _: b.restore_repository(),
    ),
}
# Where what is absent is noted.
SPARSE: dict[str, Case] = {
    "an index before its image is restored": (
        trashed,
        lambda a, b, _: a.manifest(WHOLE),
        lambda a, b, _: b.restore_manifest(OTHER_IMAGE),
    ),
    "an image restored before its index": (
        trashed,
        lambda a, b, _: a.restore_manifest(OTHER_IMAGE),
        lambda a, b, _: b.manifest(WHOLE),
    ),
    "a signature before its layer is restored": (
        trashed,
        lambda a, b, _: a.manifest(SIGNATURE),
        lambda a, b, _: b.restore_manifest(OTHER_IMAGE),
    ),
    "an image restored before a signature": (
        trashed,
        lambda a, b, _: a.restore_manifest(OTHER_IMAGE),
        lambda a, b, _: b.manifest(SIGNATURE),
    ),
}


@pytest.mark.parametrize("first", THIRDS)
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_torn_by_a_race(shared: OpenDatabase, name: str, first: int) -> None:
    registries = Registries(shared.config)

    async def use(one: Services, two: Services) -> int:
        places = range(first, 100, 3)
        return await every_place(CASES[name], shared.url, "never", one, two, places)

    assert registries.run(use, 2) >= 3


@pytest.mark.parametrize("first", THIRDS)
@pytest.mark.parametrize("name", SPARSE)
def test_what_comes_back_meanwhile_is_found(shared: OpenDatabase, name: str, first: int) -> None:
    registries = Registries(shared.config)

    async def use(one: Services, two: Services) -> int:
        places = range(first, 100, 3)
        return await every_place(SPARSE[name], shared.url, "always", one, two, places)

    assert registries.run(use, 2) >= 3
