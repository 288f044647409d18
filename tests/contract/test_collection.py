"""What collection removes and what it leaves, on both databases and in both stores."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collecting import LEASED, TRASHED, Collector
from contract.conftest import STORES, OpenDatabase, Registries, settings_in
from moorage.clock import DAY, HOUR, MINUTE
from moorage.db import collection_runs, sweeping
from moorage.db.collection_runs import Pause
from moorage.db.engine import Query, Tx
from moorage.db.schema import (
    audit,
    blob,
    blob_digest,
    delete_queue,
    hold,
    manifest,
    repository,
    repository_blob,
    review_queue,
    setting,
    store_epoch,
    usage_delta,
)
from moorage.errors import BlobUnknown, BlobUploadUnknown, RegistryError
from moorage.model.access import Actor
from moorage.oci.digest import digest_of
from moorage.registry import collect, collection, pull, sessions, uploads
from moorage.registry.services import Services
from moorage.registry.sweep import OLD
from racing import ALICE, BY, Client, chunks, image, index
from s3 import S3Server

LAYER, OTHER = os.urandom(2_000), os.urandom(3_000)
IMAGE, OTHER_IMAGE = image(LAYER), image(LAYER, OTHER)

OPERATOR = Actor("operator", "root", "socket")

Use = Callable[[Collector, Client], Awaitable[None]]

BLOBS = Query("test_blobs", sa.select(blob.c.id, blob.c.location))
DIGESTS = Query("test_digests", sa.select(blob_digest.c.digest))
LINKS = Query(
    "test_links",
    sa.select(
        repository_blob.c.repository_id, repository_blob.c.blob_id, repository_blob.c.lease_until
    ),
)
MANIFESTS = Query("test_manifests", sa.select(manifest.c.id, manifest.c.trash_until))
REVIEWS = Query("test_reviews", sa.select(review_queue.c.kind, review_queue.c.subject_id))
QUEUED = Query("test_queued", sa.select(delete_queue.c.location, delete_queue.c.reason))
USAGE = Query("test_usage", sa.select(usage_delta.c.bytes))
ACTIONS = Query("test_actions", sa.select(audit.c.action, audit.c.actor))
REPOSITORIES = Query(
    "test_repositories", sa.select(repository.c.id, repository.c.name, repository.c.trash_until)
)


async def has_blob(client: Client, raw: bytes) -> bool:
    """Tell whether the repository answers for the blob."""
    target, found, _ = await pull.find_blob(client.s, ALICE, client.name, digest_of(raw))
    try:
        pull.known_blob(target.repository, found, client.name, digest_of(raw))
    except BlobUnknown:
        return False
    return True


async def total(c: Collector, query: Query) -> int:
    """Return how many rows a statement finds."""
    return len(await c.rows(query))


async def empty(c: Collector) -> bool:
    """Tell whether nothing is left: no blob, no link, no manifest, nothing to look at."""
    counts = [await total(c, query) for query in (BLOBS, DIGESTS, LINKS, MANIFESTS, REVIEWS)]
    return not any(counts)


def test_a_blob_that_nothing_names_goes_after_its_lease(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await c.review(23 * HOUR)
        assert await has_blob(client, LAYER)
        assert await c.runs() == []
        await c.review(2 * HOUR)
        assert not await has_blob(client, LAYER)
        assert await empty(c)
        (run,) = await c.runs()
        assert (run.kind, run.state, run.links, run.blobs) == ("review", "done", 1, 1)
        assert run.bytes == len(LAYER)
        assert sum(row[0] for row in await c.rows(USAGE)) == 0
        # The bytes stay for those who are reading them.
        assert len(await c.objects()) == 1
        await c.delete(23 * HOUR)
        assert len(await c.objects()) == 1
        await c.delete(2 * HOUR)
        assert await c.objects() == set()
        assert await total(c, QUEUED) == 0
        deleted = (await c.runs())[0]
        assert (deleted.kind, deleted.objects, deleted.bytes) == ("delete", 1, len(LAYER))

    collected(use)


def test_what_is_named_stays_and_is_not_looked_at_again(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await client.manifest(IMAGE, "latest")
        await c.review(LEASED)
        assert await has_blob(client, LAYER)
        (run,) = await c.runs()
        assert (run.looked, run.kept, run.links) == (1, 1, 0)
        assert [row[2] for row in await c.rows(LINKS)] == [0]
        await c.review(TRASHED)
        assert len(await c.runs()) == 1

    collected(use)


def test_a_deleted_image_goes_with_all_that_only_it_named(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        for raw in (LAYER, OTHER):
            await client.blob(raw)
        await client.manifest(IMAGE, "kept")
        await client.manifest(OTHER_IMAGE, "gone")
        await c.review(LEASED)
        await client.delete_manifest(OTHER_IMAGE)
        await c.review(13 * DAY)
        assert await total(c, MANIFESTS) == 2
        await c.review(2 * DAY)
        assert await total(c, MANIFESTS) == 1
        assert await has_blob(client, LAYER)
        assert not await has_blob(client, OTHER)
        run = (await c.runs())[0]
        assert (run.manifests, run.links, run.blobs) == (1, 1, 1)
        assert run.bytes == len(OTHER) + len(OTHER_IMAGE)
        await c.delete(LEASED)
        assert len(await c.objects()) == 1
        await client.delete_manifest(IMAGE)
        await c.review(TRASHED)
        await c.delete(LEASED)
        assert await empty(c)
        assert await c.objects() == set()
        assert sum(row[0] for row in await c.rows(USAGE)) == 0

    collected(use)


def test_the_trash_keeps_what_it_names(collected: Callable[..., None]) -> None:
    """A layer that is deleted after its image goes no sooner than the image does."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await client.manifest(IMAGE)
        await client.delete_manifest(IMAGE)
        await c.wait(3 * DAY)
        await client.manifest(IMAGE, "again")
        await client.delete_manifest(IMAGE)
        await client.delete_blob(LAYER)
        await c.wait(HOUR)
        await c.review(13 * DAY)
        assert await total(c, MANIFESTS) == 1
        assert await total(c, BLOBS) == 1
        await c.review(DAY)
        assert await empty(c)

    collected(use)


def test_a_push_takes_it_out_of_the_trash(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await client.manifest(IMAGE, "latest")
        await client.delete_manifest(IMAGE)
        await client.delete_blob(LAYER)
        await c.wait(13 * DAY)
        await client.blob(LAYER)
        await client.manifest(IMAGE, "latest")
        await c.review(TRASHED)
        assert await has_blob(client, LAYER)
        assert [row[1] for row in await c.rows(MANIFESTS)] == [0]
        assert await total(c, REVIEWS) == 0

    collected(use)


def test_a_blob_of_two_repositories(collected: Callable[..., None]) -> None:
    """Each has it by itself; the last takes the bytes along, each namespace is paid back once."""

    async def use(c: Collector, client: Client) -> None:
        near, far = Client(c.s, "web/other"), Client(c.s, "far/away")
        await client.blob(LAYER)
        await client.manifest(IMAGE)
        for other in (near, far):
            await other.mount(LAYER, client.name)
        await c.review(LEASED)
        assert await has_blob(client, LAYER)
        assert not await has_blob(near, LAYER)
        assert not await has_blob(far, LAYER)
        run = (await c.runs())[0]
        assert (run.links, run.blobs, run.bytes) == (2, 0, 0)
        assert sorted(row[0] for row in await c.rows(USAGE)) == [
            -len(LAYER),
            len(LAYER),
            len(LAYER),
        ]
        await near.mount(LAYER, client.name)
        await client.delete_manifest(IMAGE)
        await c.review(TRASHED)
        assert await empty(c)
        assert sum(row[0] for row in await c.rows(USAGE)) == 0

    collected(use)


@pytest.mark.parametrize("sparse", ["indexes", "always"])
def test_an_index_keeps_its_children(collected: Callable[..., None], sparse: str) -> None:
    """Deleted by themselves they stay in the trash until the index goes, and go with it."""

    async def use(c: Collector, client: Client) -> None:
        both = index(IMAGE, OTHER_IMAGE)
        for raw in (LAYER, OTHER):
            await client.blob(raw)
        for raw in (IMAGE, OTHER_IMAGE, both):
            await client.manifest(raw)
        await client.delete_manifest(OTHER_IMAGE)
        await c.review(TRASHED)
        assert await total(c, MANIFESTS) == 3
        assert await total(c, REVIEWS) == 0
        await client.delete_manifest(both)
        await client.delete_manifest(IMAGE)
        await c.review(TRASHED)
        assert await empty(c)

    collected(use, sparse)


def test_a_child_that_arrives_late_is_kept(collected: Callable[..., None]) -> None:
    """It was absent when the index came: what named it before keeps it all the same."""

    async def use(c: Collector, client: Client) -> None:
        await client.manifest(index(IMAGE), "all")
        await client.manifest(OTHER_IMAGE)
        await client.blob(LAYER)
        await client.manifest(IMAGE)
        await c.review(LEASED)
        await client.delete_manifest(IMAGE)
        await c.review(TRASHED)
        assert await total(c, MANIFESTS) == 3
        assert await total(c, BLOBS) == 1

    collected(use, "always")


def test_a_name_by_an_alias_keeps_content(collected: Callable[..., None]) -> None:
    """A blob that another repository's push made known by its sha512 is named by that, here."""

    async def use(c: Collector, client: Client) -> None:
        named = image(OTHER)
        described = named.replace(digest_of(OTHER).encode(), digest_of(OTHER, "sha512").encode())
        await client.blob(OTHER)
        await client.manifest(described, "by-sha512")  # absent: nobody knows that name yet
        elsewhere = Client(c.s, "web/elsewhere", "always")
        await elsewhere.blob(OTHER, "sha512")
        await c.review(LEASED)
        assert await has_blob(client, OTHER)
        assert not await has_blob(elsewhere, OTHER)
        # What it named by that goes with it.
        await client.delete_manifest(described)
        await c.review(TRASHED)
        assert await empty(c)

    collected(use, "always")


def test_a_subject_is_not_kept_by_what_refers_to_it(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        signature = image(OTHER, subject=IMAGE)
        for raw in (LAYER, OTHER):
            await client.blob(raw)
        for raw in (IMAGE, signature):
            await client.manifest(raw)
        await client.delete_manifest(IMAGE)
        await c.review(TRASHED)
        assert await total(c, MANIFESTS) == 1
        assert not await has_blob(client, LAYER)
        assert await has_blob(client, OTHER)
        # Pushed again it is found by what refers to it, and by its new id.
        await client.blob(LAYER)
        await client.manifest(IMAGE)
        await client.delete_manifest(signature)
        await c.review(TRASHED)
        assert await total(c, MANIFESTS) == 1

    collected(use)


@pytest.mark.parametrize("until", ["for ever", "for a while"])
@pytest.mark.parametrize("what", [LAYER, IMAGE])
def test_a_hold_keeps_it(collected: Callable[..., None], what: bytes, until: str) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await client.manifest(IMAGE)
        (number,) = {row[0] for row in await c.rows(LINKS)}
        end = 0 if until == "for ever" else c.clock.now() + 35 * DAY
        held = {
            "repository_id": number,
            "digest": digest_of(what).key,
            "source": "test",
            "reason": "a test",
            "until": end,
        }
        add = Query("test_hold", sa.insert(hold).values(**{k: sa.bindparam(k) for k in held}))
        await c.s.db.write(lambda tx: tx.run(add, **held))
        await client.delete_manifest(IMAGE)
        await client.delete_blob(LAYER)
        await c.review(TRASHED)
        assert await total(c, BLOBS) == 1
        assert await total(c, MANIFESTS) == (1 if what == IMAGE else 0)
        await c.review(TRASHED)
        assert await total(c, BLOBS) == 1
        if end:
            await c.review(6 * DAY)
            assert await empty(c)

    collected(use)


def test_a_pusher_is_never_told_of_what_goes(collected: Callable[..., None]) -> None:
    """HEAD renews the lease; where collection was first, it says that the blob is not there."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await c.wait(20 * HOUR)
        target, found, leased = await pull.find_blob(c.s, ALICE, client.name, digest_of(LAYER))
        assert target.repository is not None
        assert found is not None
        assert await pull.extend_lease(c.s, target.repository, found, leased)
        await c.review(20 * HOUR)
        assert await has_blob(client, LAYER)
        _, _, leased = await pull.find_blob(c.s, ALICE, client.name, digest_of(LAYER))
        await c.review(20 * HOUR)
        assert not await has_blob(client, LAYER)
        assert not await pull.extend_lease(c.s, target.repository, found, leased)

    collected(use)


def test_a_share_that_is_implausible_stops_the_run(collected: Callable[..., None]) -> None:
    """Nothing is removed before somebody says that it may be; then all of it is."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await client.manifest(IMAGE, "kept")
        for number in range(60):
            await client.blob(b"%d" % number)
        await c.review(LEASED)
        assert await total(c, BLOBS) == 61
        (run,) = await c.runs()
        assert run.state == "stopped"
        assert "60 of 61 blobs" in run.reason
        assert ("collection.stopped", "system") in await c.rows(ACTIONS)
        await c.review(30 * DAY)
        assert await total(c, BLOBS) == 61
        until = c.clock.now() + DAY

        async def resume(tx: Tx) -> None:
            await collection_runs.put_pause(tx, None)
            await collection_runs.put_times(tx, {"allowed": until})

        await c.s.db.write(resume)
        await c.review(MINUTE)
        assert await total(c, BLOBS) == 1
        assert (await c.runs())[0].blobs == 60

    collected(use, stop_count=50)


def test_leave_to_go_on_is_for_what_had_stopped_it(collected: Callable[..., None]) -> None:
    """Who says that the clock is right has not said that everything may go."""

    async def use(c: Collector, client: Client) -> None:
        for number in range(60):
            await client.blob(b"%d" % number)
        await c.review()
        c.clock.ahead += 9 * DAY
        await c.review()
        pause = await collection.resume(c.s, OPERATOR, BY)
        assert pause is not None
        assert "nothing was collected" in pause.reason
        await c.review()
        assert await total(c, BLOBS) == 60
        assert "60 of 60 blobs" in (await c.runs())[0].reason
        assert await collection.resume(c.s, OPERATOR, BY) is not None
        await c.review()
        assert await total(c, BLOBS) == 0
        assert await collection.resume(c.s, OPERATOR, BY) is None

    collected(use, stop_count=50)


@pytest.mark.parametrize("settings", [{"stop_count": 60}, {"stop_count": 1, "stop_percent": 100}])
def test_a_share_that_the_settings_allow(
    collected: Callable[..., None], settings: dict[str, int]
) -> None:
    async def use(c: Collector, client: Client) -> None:
        for number in range(60):
            await client.blob(b"%d" % number)
        await c.review(LEASED)
        assert await empty(c)

    collected(use, **settings)


def test_the_share_of_manifests_counts_too(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        images = [image(LAYER) + b" " * number for number in range(4)]
        for raw in images:
            await client.manifest(raw)
        for raw in images[:3]:
            await client.delete_manifest(raw)
        await c.review(TRASHED)
        assert await total(c, MANIFESTS) == 4
        assert "3 of 4 manifests" in (await c.runs())[0].reason

    collected(use, stop_count=2)


@pytest.mark.parametrize("step", [-11 * MINUTE, 11 * MINUTE, 400 * DAY])
@pytest.mark.parametrize("job", ["review", "delete", "sweep"])
def test_a_clock_that_was_set_stops_it(collected: Callable[..., None], job: str, step: int) -> None:
    """Leases and trash don't end because somebody sets the clock; after a day it goes on."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await c.review()
        real = c.clock.uptime
        c.clock.ahead += step
        up = c.clock.ahead - step
        c.watch._uptime = lambda: real() - c.clock.ahead + up  # the machine has no such uptime
        await getattr(c, job)()
        run = (await c.runs())[0]
        assert (run.kind, run.state) == (job, "stopped")
        assert "the clock was set" in run.reason
        assert await has_blob(client, LAYER)
        c.watch._uptime = lambda: real() - step
        await c.review(23 * HOUR)
        assert await has_blob(client, LAYER)
        await c.review(TRASHED)
        assert not await has_blob(client, LAYER)

    collected(use)


def test_a_clock_set_back_while_nothing_ran(collected: Callable[..., None]) -> None:
    """Another process, or the next start, sees it by the time of the last run."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await c.review(3 * DAY)
        other = Collector(c.s)
        other.clock.ahead = -11 * MINUTE - 1
        other.watch = type(other.watch)(other.clock, other.clock.uptime)
        await other.review()
        assert (await c.runs())[0].reason.startswith("the clock was set back by 1")

    collected(use)


def test_a_clock_set_forward_while_nothing_ran(collected: Callable[..., None]) -> None:
    """It can't be told from a time in which the server was off: a day to see it, and only once."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await c.review()
        c.clock.ahead += 9 * DAY  # and the machine's uptime with it, as after a start
        await c.review()
        run = (await c.runs())[0]
        assert run.state == "stopped"
        assert "nothing was collected for 9 days" in run.reason
        assert await has_blob(client, LAYER)
        # Off again before the day was over, as a laptop is: now it goes on.
        c.clock.ahead += 9 * DAY
        await c.review()
        assert not await has_blob(client, LAYER)
        c.clock.ahead += 9 * DAY
        await client.blob(LAYER)
        await c.review()
        assert (await c.runs())[0].state == "stopped"
        await c.review(25 * HOUR)
        assert not await has_blob(client, LAYER)

    collected(use)


def test_a_night_without_collection_is_nothing(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await c.review()
        c.clock.ahead += 23 * HOUR
        await c.review()
        c.clock.ahead += 23 * HOUR
        await c.review()
        assert not await has_blob(client, LAYER)
        assert [run.state for run in await c.runs()] == ["done"]

    collected(use)


def test_small_corrections_stop_nothing(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await c.review(LEASED)
        real = c.clock.uptime
        c.watch._uptime = lambda: real() - 9 * MINUTE
        await c.review()
        assert [run.state for run in await c.runs()] == ["done"]

    collected(use)


def test_a_pause_is_seen_by_the_transaction_itself(collected: Callable[..., None]) -> None:
    """One that begins while a run is under way, such as a restore's, ends it there."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        real = collect._list_due

        async def pausing(*arguments: Any) -> Any:
            found = await real(*arguments)
            pause = Pause("a restore", c.clock.now(), 0)
            await c.s.db.write(lambda tx: collection_runs.put_pause(tx, pause))
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(collect, "_list_due", pausing)
            await c.review(LEASED)
        assert await has_blob(client, LAYER)

    collected(use)


def test_a_backup_keeps_the_objects(collected: Callable[..., None]) -> None:
    """While all of the store is held nothing is deleted from it, whatever its time."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await c.review(LEASED)
        held = {
            "repository_id": 0,
            "digest": b"",
            "source": "backup",
            "reason": "a backup is being made",
            "until": c.clock.now() + 5 * DAY,
        }
        add = Query("test_hold", sa.insert(hold).values(**{k: sa.bindparam(k) for k in held}))
        await c.s.db.write(lambda tx: tx.run(add, **held))
        await c.delete(4 * DAY)
        assert len(await c.objects()) == 1
        await c.delete(2 * DAY)
        assert await c.objects() == set()

    collected(use)


def test_an_object_that_a_blob_has_is_never_deleted(collected: Callable[..., None]) -> None:
    """Whoever queued it: the last line."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await client.manifest(IMAGE)
        ((_, location),) = await c.rows(BLOBS)
        add = Query(
            "test_queue",
            sa.insert(delete_queue).values(
                location=sa.bindparam("location"), not_before=1, reason="a fault", size=1
            ),
        )
        await c.s.db.write(lambda tx: tx.run(add, location=location))
        await c.delete()
        assert await c.objects() == {location}
        assert await total(c, QUEUED) == 0

    collected(use)


def test_a_sweep_finds_what_no_queue_had(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        for raw in (LAYER, OTHER):
            await client.blob(raw)
        await client.manifest(IMAGE)
        await client.manifest(OTHER_IMAGE, "kept")
        await client.blob(b"alone")
        await c.review(HOUR)
        await client.delete_manifest(IMAGE)
        for query in (
            sa.delete(review_queue),
            sa.update(repository_blob).values(lease_until=0),
        ):
            lost = Query("test_lose", query)
            await c.s.db.write(lambda tx, lost=lost: tx.run(lost))
        await c.review(TRASHED)
        assert await total(c, BLOBS) == 3
        await c.sweep()
        run = (await c.runs())[0]
        assert (run.kind, run.state, run.missed, run.orphans) == ("sweep", "done", 2, 0)
        await c.review()
        assert await total(c, BLOBS) == 2
        assert await total(c, MANIFESTS) == 1
        await c.sweep()
        assert (await c.runs())[0].missed == 0

    collected(use)


def test_a_sweep_finds_a_blob_of_no_repository(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        lost = Query("test_lose", sa.delete(repository_blob))
        await c.s.db.write(lambda tx: tx.run(lost))
        await c.sweep()
        await c.review()
        assert await empty(c)
        assert [row[1] for row in await c.rows(QUEUED)] == ["collected"]

    collected(use)


@pytest.mark.parametrize("on", STORES)
def test_objects_that_nothing_names(
    on: str,
    tmp_path: Path,
    s3_servers: Callable[[str], S3Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a crash left behind goes, once no upload can have it; what is named stays."""
    environment: dict[str, str] = {}
    if on != "directory":
        server = s3_servers(on)
        environment = dict(server.settings())
        for name, value in server.credentials.items():
            monkeypatch.setenv(name, value)
    made = Registries(settings_in(tmp_path, environment))

    async def body(services: Services) -> None:
        c = Collector(services)
        client = Client(c.s, "web/shop")
        await client.blob(LAYER)
        await client.manifest(IMAGE, "latest")
        state = await c.s.blobs.begin("f" * 32, None)

        async def keep(state: bytes) -> None:
            return

        async def chunk() -> Any:
            yield b"x" * 100_000

        async with c.s.blobs.session(state, keep) as session:
            await session.append(0, chunk())
            await session.sync()
        before = await c.objects()
        assert len(before) == 2
        await c.sweep(OLD - HOUR)
        await c.delete(LEASED)
        assert await c.objects() == before
        await c.sweep(2 * HOUR)
        assert (await c.runs())[0].orphans == 1
        assert await c.objects() == before
        await c.delete(LEASED)
        assert await c.objects() == {location for _, location in await c.rows(BLOBS)}
        assert await has_blob(client, LAYER)

    made.run(body)


def test_no_upload_lasts_longer_than_a_sweep_waits() -> None:
    assert sessions.LONGEST + DAY < OLD


def test_an_upload_ends_after_a_week(collected: Callable[..., None]) -> None:
    """However often it gets a byte more: what is older in the store is nobody's."""

    async def use(c: Collector, client: Client) -> None:
        opened = await uploads.open_upload(c.s, ALICE, client.name, "sha256")
        for _ in range(9):
            body = uploads.Body(chunks(b"more"))
            await uploads.append(c.s, ALICE, client.name, opened.id, body)
            await c.wait(20 * HOUR)
        with pytest.raises(BlobUploadUnknown):
            await uploads.find_upload(c.s, ALICE, client.name, opened.id)

    collected(use)


def test_too_many_objects_without_rows_stop_a_sweep(collected: Callable[..., None]) -> None:
    """As after a restore of an older database: the store is not to be emptied."""

    async def use(c: Collector, client: Client) -> None:
        for number in range(5):
            await client.blob(b"%d" % number)
        for table in (repository_blob, blob_digest, blob):
            lost = Query("test_lose", sa.delete(table))
            await c.s.db.write(lambda tx, lost=lost: tx.run(lost))
        await c.sweep(OLD + HOUR)
        (run,) = await c.runs()
        assert run.state == "stopped"
        assert "5 of 5 objects" in run.reason
        await c.delete(30 * DAY)
        assert len(await c.objects()) == 5

    collected(use, stop_count=3)


def test_objects_older_than_the_database_stay(collected: Callable[..., None]) -> None:
    """They are those of a database that was lost or put back, or another's: not ours to delete."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await client.blob(OTHER)
        before = await c.objects()
        for table in (repository_blob, blob_digest, blob):
            lost = Query("test_lose", sa.delete(table))
            await c.s.db.write(lambda tx, lost=lost: tx.run(lost))
        made = str(c.clock.now() + MINUTE)
        born = Query(
            "test_born",
            sa.update(setting)
            .where(setting.c.key == "schema.made_at")
            .values(value=sa.bindparam("made")),
        )
        assert await c.s.db.write(lambda tx: tx.run(born, made=made))
        for _ in range(2):
            await c.sweep(OLD + HOUR)
            await c.review()
            await c.delete(LEASED)
        assert await c.objects() == before
        assert await c.runs() == []

    collected(use)


def test_a_database_knows_when_it_was_made(collected: Callable[..., None]) -> None:
    async def use(c: Collector, _: Client) -> None:
        begin = await c.s.db.read(sweeping.find_begin)
        assert begin is not None
        assert c.clock.now() - DAY < begin <= c.clock.now()

    collected(use)


def test_objects_older_than_a_restore_stay(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        before = await c.objects()
        for table in (repository_blob, blob_digest, blob):
            lost = Query("test_lose", sa.delete(table))
            await c.s.db.write(lambda tx, lost=lost: tx.run(lost))
        at = c.clock.now() + MINUTE
        restored = Query("test_restored", sa.insert(store_epoch).values(epoch=1, at=at))
        await c.s.db.write(lambda tx: tx.run(restored))
        await c.sweep(OLD + HOUR)
        await c.delete(LEASED)
        assert await c.objects() == before

    collected(use)


def test_the_share_of_a_repository_counts_too(collected: Callable[..., None]) -> None:
    """Whatever set the end of its time: nothing of it goes before somebody says that it may."""

    async def use(c: Collector, client: Client) -> None:
        for number in range(6):
            await client.blob(b"%d" % number)
        await client.manifest(image(b"0", b"1", b"2", b"3", b"4", b"5"), "latest")
        await c.review(LEASED)  # so that the repository is all that is due
        trash = Query("test_trash", sa.update(repository).values(trash_until=1))
        await c.s.db.write(lambda tx: tx.run(trash))
        await c.review(LEASED)
        assert await total(c, BLOBS) == 6
        assert await total(c, MANIFESTS) == 1
        run = (await c.runs())[0]
        assert run.state == "stopped"
        assert "6 of 6 blobs" in run.reason

    collected(use, stop_count=5)


def test_a_repository_whose_time_in_the_trash_is_over(collected: Callable[..., None]) -> None:
    """All of it goes, in parts, while another one of its name lives on."""

    async def use(c: Collector, client: Client) -> None:
        other = Client(c.s, "web/other")
        for raw in (LAYER, OTHER):
            await client.blob(raw)
        images = [image(LAYER) + b" " * number for number in range(30)]
        for number, raw in enumerate(images):
            await client.manifest(raw, f"v{number}")
        await client.manifest(OTHER_IMAGE, "other")
        await other.mount(OTHER, client.name)
        await other.manifest(image(OTHER), "kept")
        (number,) = [row[0] for row in await c.rows(REPOSITORIES) if row[1] == client.name]
        trash = Query(
            "test_trash",
            sa.update(repository)
            .where(repository.c.id == sa.bindparam("number"))
            .values(trash_until=sa.bindparam("until")),
        )
        until = c.clock.now() + 7 * DAY
        await c.s.db.write(lambda tx: tx.run(trash, number=number, until=until))
        await c.review(6 * DAY)
        assert await total(c, MANIFESTS) == 32
        await c.wait(DAY + HOUR)
        await client.blob(b"a new one of that name")
        await c.review()
        assert await total(c, MANIFESTS) == 1
        names = [row[1] for row in await c.rows(REPOSITORIES)]
        assert sorted(names) == ["web/other", "web/shop"]
        run = (await c.runs())[0]
        assert (run.repositories, run.manifests, run.links, run.blobs) == (1, 31, 2, 1)
        assert await has_blob(other, OTHER)
        assert await has_blob(client, b"a new one of that name")

    collected(use)


def test_a_repository_in_the_trash_that_is_held(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await client.manifest(IMAGE, "latest")
        ((number, _, _),) = await c.rows(REPOSITORIES)
        held = {
            "repository_id": number,
            "digest": digest_of(IMAGE).key,
            "source": "test",
            "reason": "a test",
            "until": c.clock.now() + 10 * DAY,
        }
        add = Query("test_hold", sa.insert(hold).values(**{k: sa.bindparam(k) for k in held}))
        trash = Query("test_trash", sa.update(repository).values(trash_until=1))
        await c.s.db.write(lambda tx: tx.run(add, **held))
        await c.s.db.write(lambda tx: tx.run(trash))
        await c.review()
        assert await total(c, MANIFESTS) == 1
        ((_, _, until),) = await c.rows(REPOSITORIES)
        assert until > c.clock.now()
        await c.review(11 * DAY)
        assert await total(c, REPOSITORIES) == 0
        assert await empty(c)

    collected(use)


def test_damaged_content_goes_as_any_other(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        _, found, _ = await pull.find_blob(c.s, ALICE, client.name, digest_of(LAYER))
        assert found is not None
        await pull.note_damage(c.s, found)
        await c.review(LEASED)
        assert await empty(c)

    collected(use)


def test_a_run_that_was_broken_off(collected: Callable[..., None]) -> None:
    """Its process ended: the next one says so, and does the rest."""

    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await c.s.db.write(lambda tx: collection_runs.add_run(tx, "review", 1))
        await c.review(LEASED)
        states = [(run.kind, run.state) for run in await c.runs()]
        assert states == [("review", "done"), ("review", "broken off")]

    collected(use)


def test_deleting_twice_does_no_harm(collected: Callable[..., None]) -> None:
    async def use(c: Collector, client: Client) -> None:
        await client.blob(LAYER)
        await c.review(LEASED)
        await c.s.blobs.delete(list(await c.objects()))
        await c.delete(LEASED)
        assert await total(c, QUEUED) == 0
        with pytest.raises(RegistryError):
            await client.manifest(IMAGE)
        await client.blob(LAYER)
        await client.manifest(IMAGE)

    collected(use)


def test_nothing_is_due_in_an_empty_registry(database: OpenDatabase) -> None:
    async def body(services: Services) -> None:
        c = Collector(services)
        await c.review(TRASHED)
        await c.delete(TRASHED)
        assert await c.runs() == []

    Registries(database.config).run(body)
