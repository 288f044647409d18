"""In how many ways content is named, and that nobody removes what is named in any of them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa

from collecting import LEASED, TRASHED, Collector
from moorage.db.engine import Query
from moorage.db.schema import blob, manifest, manifest_reference, repository_blob, review_queue
from moorage.errors import Unsupported
from moorage.model.access import Actor
from moorage.oci.digest import digest_of
from moorage.registry import collection, purge
from racing import BY, Client, image, index

LAYER, OTHER = os.urandom(2_000), os.urandom(3_000)
IMAGE, OTHER_IMAGE = image(LAYER), image(OTHER)
OPERATOR = Actor("operator", "root", "socket")

LINKS = Query("test_links", sa.select(repository_blob.c.blob_id, repository_blob.c.lease_until))
BLOBS = Query("test_blobs", sa.select(blob.c.id, blob.c.size))
MANIFESTS = Query("test_manifests", sa.select(manifest.c.id, manifest.c.size))
REVIEWS = Query("test_reviews", sa.select(review_queue.c.kind, review_queue.c.subject_id))
NAMES = Query(
    "test_names",
    sa.select(manifest_reference.c.role, manifest_reference.c.kind, manifest_reference.c.child_id),
)

Use = Callable[[Collector, Client], Awaitable[None]]


async def sizes(c: Collector, query: Query) -> list[int]:
    """Return the sizes of all blobs or manifests."""
    return sorted(row[1] for row in await c.rows(query))


def foreign(raw: bytes) -> bytes:
    """Return the image with layers that may be elsewhere."""
    usual = b"application/vnd.oci.image.layer.v1.tar"
    return raw.replace(usual, b"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")


@pytest.mark.parametrize(("sparse", "is_foreign"), [("always", False), ("indexes", True)])
def test_a_layer_is_not_taken_for_a_manifest_of_its_bytes(
    collected: Callable[..., None], sparse: str, is_foreign: bool
) -> None:
    """Whoever may push a manifest could have a layer collected that comes after it."""

    async def use(c: Collector, client: Client) -> None:
        named = image(LAYER, IMAGE)
        named = foreign(named) if is_foreign else named
        await client.blob(LAYER)
        await client.manifest(named, "latest")
        await client.manifest(IMAGE)  # the same bytes, as a manifest
        await client.blob(IMAGE)  # and now as the layer that was absent
        await c.review(LEASED)
        assert await sizes(c, BLOBS) == sorted([len(LAYER), len(IMAGE)])
        await client.delete_manifest(IMAGE)
        await c.review(TRASHED)
        assert await sizes(c, BLOBS) == sorted([len(LAYER), len(IMAGE)])
        assert await sizes(c, MANIFESTS) == [len(named)]
        await client.delete_manifest(named)
        await c.review(TRASHED)
        assert await c.rows(BLOBS) == []
        assert await c.rows(REVIEWS) == []

    collected(use, sparse)


def test_a_manifest_that_was_a_blob_first_is_kept_by_the_index(
    collected: Callable[..., None],
) -> None:
    """The index was there first, and found the child's bytes as a blob."""

    async def use(c: Collector, client: Client) -> None:
        both = index(IMAGE)
        await client.blob(LAYER)
        await client.blob(IMAGE)
        await client.manifest(both, "latest")
        await client.manifest(IMAGE)
        whole = Client(c.s, client.name, "never")
        with pytest.raises(Unsupported):
            await whole.delete_manifest(IMAGE)
        await client.delete_manifest(IMAGE)
        await c.review(TRASHED)
        assert await sizes(c, MANIFESTS) == sorted([len(both), len(IMAGE)])
        assert await sizes(c, BLOBS) == sorted([len(LAYER), len(IMAGE)])
        (place, _) = await collection.explain(c.s, OPERATOR, digest_of(IMAGE))
        assert [each.by for each in place.reasons] == [digest_of(both)]
        await client.delete_manifest(both)
        await c.review(TRASHED)
        assert await sizes(c, MANIFESTS) == []
        assert await c.rows(BLOBS) == []
        assert await c.rows(REVIEWS) == []

    collected(use)


def test_a_blob_that_is_named_by_an_alias_is_not_deleted(collected: Callable[..., None]) -> None:
    """It was named by its sha512 before anybody had sent it by that, and then only elsewhere."""

    async def use(c: Collector, client: Client) -> None:
        described = image(OTHER)
        named = described.replace(digest_of(OTHER).encode(), digest_of(OTHER, "sha512").encode())
        await client.blob(OTHER)
        await client.manifest(named, "by-sha512")
        await client.delete_blob(OTHER)
        await client.blob(OTHER)
        elsewhere = Client(c.s, "web/elsewhere", "always")
        await elsewhere.blob(OTHER, "sha512")
        with pytest.raises(Unsupported):
            await client.delete_blob(OTHER)

    collected(use, "always")


def test_a_revived_manifest_names_what_is_there(collected: Callable[..., None]) -> None:
    """What it named was purged while it was in the trash, and came back as another row."""

    async def use(c: Collector, client: Client) -> None:
        for raw in (LAYER, OTHER):
            await client.blob(raw)
        both = index(OTHER_IMAGE)
        await client.manifest(OTHER_IMAGE)
        await client.manifest(both)
        await client.manifest(IMAGE)
        await client.delete_manifest(both)
        await purge.purge_content(c.s, OPERATOR, digest_of(OTHER_IMAGE), "a leak", BY)
        assert ("manifest", "absent", 0) in await c.rows(NAMES)
        await c.wait(LEASED)
        await client.blob(OTHER)
        await client.manifest(OTHER_IMAGE)
        await client.manifest(both, "latest")
        await c.review(LEASED)
        known = {row[0] for row in await c.rows(MANIFESTS)}
        names = await c.rows(NAMES)
        assert ("manifest", "absent", 0) not in names
        assert {row[2] for row in names if row[1] == "manifest"} <= known
        await client.delete_manifest(OTHER_IMAGE)
        await c.review(TRASHED)
        assert len(await c.rows(MANIFESTS)) == 3

    collected(use)


def test_a_purge_ends_what_names_it_by_an_alias(collected: Callable[..., None]) -> None:
    """No manifest is left that lacks its layer, by whichever digest it named it."""

    async def use(c: Collector, client: Client) -> None:
        described = image(OTHER)
        named = described.replace(digest_of(OTHER).encode(), digest_of(OTHER, "sha512").encode())
        await client.blob(OTHER)
        await client.manifest(named, "by-sha512")
        elsewhere = Client(c.s, "web/elsewhere", "always")
        await elsewhere.blob(OTHER, "sha512")
        done = await purge.purge_content(c.s, OPERATOR, digest_of(OTHER), "a leak", BY)
        gone = {each.name: each.tags for each in done.repositories}
        assert gone == {client.name: ("by-sha512",), elsewhere.name: ()}
        assert await c.objects() == set()
        assert await c.rows(MANIFESTS) == []

    collected(use, "always")


def test_a_purge_deletes_no_object_that_a_blob_has(collected: Callable[..., None]) -> None:
    """Whoever queued it by that digest: the last line, as where the job deletes."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await client.blob(OTHER)
        await client.manifest(IMAGE, "kept")
        (location,) = [
            row[0]
            for row in await c.rows(
                Query("test_where", sa.select(blob.c.location).where(blob.c.size == len(LAYER)))
            )
        ]
        table = sa.table(
            "delete_queue", *(sa.column(n) for n in ("location", "not_before", "reason", "digest"))
        )
        add = Query(
            "test_queue",
            sa.insert(table).values(
                location=sa.bindparam("location"),
                not_before=1,
                reason="a fault",
                digest=sa.bindparam("digest"),
            ),
        )
        digest = digest_of(OTHER).key
        await c.s.db.write(lambda tx: tx.run(add, location=location, digest=digest))
        await purge.purge_content(c.s, OPERATOR, digest_of(OTHER), "a leak", BY)
        assert await c.objects() == {location}

    collected(use)


def test_a_purge_leaves_an_index_that_names_a_manifest_of_the_same_bytes(
    collected: Callable[..., None],
) -> None:
    """It lacks its image from then on, as where that was no blob as well."""

    async def use(c: Collector, client: Client) -> None:
        both = index(IMAGE)
        await client.blob(LAYER)
        await client.manifest(IMAGE)
        await client.manifest(both, "latest")
        await client.blob(IMAGE)
        done = await purge.purge_content(c.s, OPERATOR, digest_of(IMAGE), "a leak", BY)
        assert [each.tags for each in done.repositories] == [()]
        assert await sizes(c, MANIFESTS) == [len(both)]
        assert await sizes(c, BLOBS) == [len(LAYER)]
        assert [row[1:] for row in await c.rows(NAMES)] == [("absent", 0)]

    collected(use)
