"""Collection and whatever needs what it would remove, each held at every place of the other."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase, Registries
from contract.test_races import (
    IMAGE,
    LAYER,
    OTHER_IMAGE,
    SIGNATURE,
    THIRDS,
    Case,
    every_place,
    images,
    layers,
)
from moorage.db import reviews
from moorage.db.engine import Query
from moorage.db.schema import blob, manifest, repository_blob, review_queue
from moorage.db.tags import Condition
from moorage.errors import RegistryError
from moorage.oci.digest import digest_of
from moorage.oci.manifest import parse_manifest
from moorage.registry import collect, pull, push
from moorage.registry.services import Services
from racing import ALICE, BY, Client, image, index


async def unnamed(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with layers whose leases are over, so that collection would remove them."""
    await layers(a, b, elsewhere)
    await end_leases(a.s)


async def trashed(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with images of which one is in the trash, its time over."""
    await images(a, b, elsewhere)
    await end_leases(a.s)
    await a.delete_manifest(IMAGE)
    await a.s.db.write(lambda tx: tx.run(END_TRASH))
    await a.s.db.write(lambda tx: tx.run(END_REVIEWS))


# All but that of the first blob, which is there only so that there is a repository.
END_LEASES = Query(
    "test_end_leases",
    sa.update(repository_blob)
    .where(repository_blob.c.blob_id > sa.select(sa.func.min(blob.c.id)).scalar_subquery())
    .values(lease_until=1),
)
END_REVIEWS = Query("test_end_reviews", sa.update(review_queue).values(review_after=1))
END_TRASH = Query(
    "test_end_trash", sa.update(manifest).where(manifest.c.trash_until != 0).values(trash_until=1)
)


async def end_leases(s: Services) -> None:
    """Let all leases be over."""
    await s.db.write(lambda tx: tx.run(END_LEASES))


async def collect_all(client: Client) -> None:
    """Look at every candidate that is due, each in a transaction of its own."""
    s = client.s
    for _ in range(3):
        due = await s.db.read(lambda tx: reviews.list_due(tx, s.clock.now(), 50))
        for each in due:
            await s.db.write(
                lambda tx, each=each: collect.collect_some(s, tx, [each], s.clock.now())
            )


async def ask_and_name(client: Client) -> None:
    """Skip the push of a layer that is there, as a client does, and put the image.

    What a pusher was told of is there when it names it: it is never refused for that.
    """
    digest = digest_of(LAYER)
    found, blob, leased = await pull.find_blob(client.s, ALICE, client.name, digest)
    assert found.repository is not None
    if blob is None or not await pull.extend_lease(client.s, found.repository, blob, leased):
        return
    only = image(LAYER)
    prepared = push.prepare(
        client.name, only, parse_manifest(only, ""), digest_of(only), (), Condition()
    )
    try:
        await push.put_manifest(client.s, ALICE, prepared, BY)
    except RegistryError as refused:
        raise AssertionError("what it was told of is gone") from refused


# Collection beside what would keep what it removes, or needs it: each at every place of the other.
COLLECTED: dict[str, Case] = {
    "an image, and its layer is collected": (
        unnamed,
        lambda a, b, _: a.manifest(IMAGE, "new"),
        lambda a, b, _: collect_all(b),
    ),
    "a layer collected, and its image": (
        unnamed,
        lambda a, b, _: collect_all(a),
        lambda a, b, _: b.manifest(IMAGE, "new"),
    ),
    "a layer collected and pushed": (
        unnamed,
        lambda a, b, _: collect_all(a),
        lambda a, b, _: b.blob(LAYER),
    ),
    "a layer pushed and collected": (
        unnamed,
        lambda a, b, _: a.blob(LAYER),
        lambda a, b, _: collect_all(b),
    ),
    "a layer collected, and pushed elsewhere": (
        unnamed,
        lambda a, b, _: collect_all(a),
        lambda a, b, c: c.blob(LAYER, "sha512"),
    ),
    "a layer collected and mounted": (
        unnamed,
        lambda a, b, _: collect_all(a),
        lambda a, b, c: c.mount(LAYER, a.name),
    ),
    "a layer mounted and collected": (
        unnamed,
        lambda a, b, c: c.mount(LAYER, a.name),
        lambda a, b, _: collect_all(b),
    ),
    "a layer collected, and asked for": (
        unnamed,
        lambda a, b, _: collect_all(a),
        lambda a, b, _: ask_and_name(b),
    ),
    "a layer asked for, and collected": (
        unnamed,
        lambda a, b, _: ask_and_name(a),
        lambda a, b, _: collect_all(b),
    ),
    "an image in the trash collected and pushed": (
        trashed,
        lambda a, b, _: collect_all(a),
        lambda a, b, _: b.manifest(IMAGE, "new"),
    ),
    "an image in the trash pushed and collected": (
        trashed,
        lambda a, b, _: a.manifest(IMAGE, "new"),
        lambda a, b, _: collect_all(b),
    ),
    "an image in the trash collected, and its index": (
        trashed,
        lambda a, b, _: collect_all(a),
        lambda a, b, _: b.manifest(index(IMAGE, OTHER_IMAGE), "all"),
    ),
    "an index, and its child in the trash is collected": (
        trashed,
        lambda a, b, _: a.manifest(index(IMAGE, OTHER_IMAGE), "all"),
        lambda a, b, _: collect_all(b),
    ),
    "a signature, and what it signs is collected": (
        trashed,
        lambda a, b, _: a.manifest(SIGNATURE, "new"),
        lambda a, b, _: collect_all(b),
    ),
    "two collectors": (
        trashed,
        lambda a, b, _: collect_all(a),
        lambda a, b, _: collect_all(b),
    ),
}


@pytest.mark.parametrize("first", THIRDS)
@pytest.mark.parametrize("name", COLLECTED)
def test_collection_takes_nothing_that_is_needed(
    shared: OpenDatabase, name: str, first: int
) -> None:
    registries = Registries(shared.config)

    async def use(one: Services, two: Services) -> int:
        places = range(first, 100, 3)
        return await every_place(COLLECTED[name], shared.url, "indexes", one, two, places)

    assert registries.run(use, 2) >= 3
