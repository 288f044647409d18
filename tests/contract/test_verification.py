"""Scrubs, checks and healing, on both databases and in every store."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from collecting import LEASED
from contract.conftest import STORES, OpenDatabase, Registries, settings_in
from moorage.blobs.store import keep_nowhere
from moorage.db.engine import Query
from moorage.db.schema import (
    audit,
    blob,
    delete_queue,
    manifest,
    manifest_reference,
    tag,
    tag_change,
    usage_delta,
)
from moorage.errors import BlobUnknown, Conflicting, ManifestBlobUnknown, NotFound
from moorage.jobs.queue import LeaseLost, Running
from moorage.oci.digest import digest_of
from moorage.registry import damage, jobs, pull, purge, scrub, verification
from moorage.registry.services import Services
from moorage.registry.verifying import MARKED, READMITTED
from racing import ALICE, Client, image
from s3 import S3Server
from verifying import BY, MONTH, OPERATOR, Verifier, flipped, rewrite

LAYER, OTHER = os.urandom(200_000), os.urandom(3_000)
IMAGE = image(LAYER)
Use = Callable[[Verifier, Client], Awaitable[None]]

BLOBS = Query("test_blobs", sa.select(blob.c.location, blob.c.state, blob.c.verified_at))
QUEUED = Query("test_queued", sa.select(delete_queue.c.location, delete_queue.c.reason))
ACTIONS = Query("test_actions", sa.select(audit.c.action, audit.c.actor))
USAGE = Query("test_usage", sa.select(usage_delta.c.bytes))


@pytest.fixture
def verified(registries: Registries) -> Callable[..., None]:
    """Return what runs a test with a registry, what verifies it, and a client."""

    def run(use: Use, **settings: Any) -> None:
        async def body(services: Services) -> None:
            verifier = Verifier(services, **settings)
            await use(verifier, Client(verifier.s, "web/shop"))

        registries.run(body)

    return run


@pytest.fixture(params=STORES)
def stored(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    s3_servers: Callable[[str], S3Server],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Use], None]:
    """Return what runs a test as above, in each kind of store."""
    environment: dict[str, str] = {}
    if request.param != "directory":
        server = s3_servers(request.param)
        for name, value in server.credentials.items():
            monkeypatch.setenv(name, value)
        environment = dict(server.settings())
    made = Registries(settings_in(tmp_path, environment))

    def run(use: Use) -> None:
        async def body(services: Services) -> None:
            verifier = Verifier(services)
            await use(verifier, Client(verifier.s, "web/shop"))

        made.run(body)

    return run


async def place_of(v: Verifier, client: Client, raw: bytes) -> str:
    """Return where the repository's blob is."""
    _, found, _ = await pull.find_blob(v.s, ALICE, client.name, digest_of(raw))
    assert found is not None
    return found.location


async def is_there(v: Verifier, client: Client, raw: bytes) -> bool:
    """Tell whether a pull, a HEAD and a push's question are answered with the blob."""
    target, found, _ = await pull.find_blob(v.s, ALICE, client.name, digest_of(raw))
    try:
        pull.known_blob(target.repository, found, client.name, digest_of(raw))
    except BlobUnknown:
        return False
    return True


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "content": flipped,
    "size": lambda raw: raw[:-1],
    "missing": lambda _: None,
}


async def actions(v: Verifier) -> list[str]:
    """Return the trail's actions."""
    return [row[0] for row in await v.rows(ACTIONS)]


@pytest.mark.parametrize("why", DAMAGES)
def test_a_scrub_finds_it_and_a_push_heals_it(stored: Callable[[Use], None], why: str) -> None:
    """In every store: absent from then on, mounts too, there again after a push, and kept."""

    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        await client.blob(OTHER)
        await client.manifest(IMAGE, "latest")
        place = await place_of(v, client, LAYER)
        broken = DAMAGES[why](LAYER)
        await rewrite(v.s, place, broken)
        await v.scrub(MONTH // 2)
        assert await v.verifications() == []
        assert await is_there(v, client, LAYER)
        await v.scrub()
        assert not await is_there(v, client, LAYER)
        assert await is_there(v, client, OTHER)
        (run,) = await v.verifications()
        assert (run.kind, run.state, run.found, run.repaired) == ("scrub", "done", 1, 0)
        assert (run.looked, run.objects) == (2, 1)
        (found,) = await v.findings(run)
        assert (found.subject, found.repair) == (digest_of(LAYER), MARKED)
        (kept,) = await v.damage()
        assert (kept.digest, kept.location, kept.why) == (digest_of(LAYER), place, why)
        assert (kept.found_by, kept.ended_at) == ("scrub", 0)
        other = Client(v.s, "web/cart")
        assert not await other.mount(LAYER, client.name)
        with pytest.raises(ManifestBlobUnknown):
            await client.manifest(IMAGE + b" ", "again")
        # The manifest that names it stays, and so does the tag.
        await v.review(LEASED)
        assert await v.rows(Query("test_manifests", sa.select(manifest.c.id)))
        await other.blob(LAYER)
        assert await is_there(v, client, LAYER)
        assert await place_of(v, client, LAYER) != place
        await v.delete(LEASED)
        objects = await v.objects()
        if broken is None:
            assert await v.damage() == []
        else:
            (kept,) = await v.damage()
            assert kept.ending == "healed"
            assert kept.ended_at
            assert place in objects
        told = await actions(v)
        assert told.count("blob.lost") == told.count("blob.healed") == 1
        await v.scrub()
        assert (await v.verifications())[0].found == 0

    stored(use)


def test_what_is_kept_stays_until_somebody_lets_it_go(verified: Callable[..., None]) -> None:
    """Sweeps, collection and deletions leave it, a lost blob's can't be let go."""

    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        place = await place_of(v, client, LAYER)
        await rewrite(v.s, place, flipped(LAYER))
        await v.scrub()
        (kept,) = await v.damage()
        with pytest.raises(Conflicting):
            await damage.discard(v.s, OPERATOR, kept.id, BY)
        await client.blob(LAYER)
        for _ in range(2):
            await v.sweep(MONTH)
            await v.review()
            await v.delete(LEASED)
        assert place in await v.objects()
        await damage.discard(v.s, OPERATOR, kept.id, BY)
        await v.delete()
        assert place not in await v.objects()
        assert await v.damage() == []
        with pytest.raises(NotFound):
            await damage.discard(v.s, OPERATOR, kept.id, BY)
        assert "damage.discarded" in await actions(v)

    verified(use)


def test_a_lost_blob_that_is_collected(verified: Callable[..., None]) -> None:
    """Nobody needs it any more: the row goes, the object stays, and a purge takes it along."""

    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        place = await place_of(v, client, LAYER)
        await rewrite(v.s, place, flipped(LAYER))
        await v.scrub()
        await v.review(LEASED)
        assert await v.rows(BLOBS) == []
        assert await v.rows(QUEUED) == []
        (kept,) = await v.damage()
        assert kept.ending == "collected"
        assert await v.objects() == {place}
        planned = await purge.plan_purge(v.s, OPERATOR, digest_of(LAYER))
        assert planned.objects == 1
        done = await purge.purge_content(v.s, OPERATOR, digest_of(LAYER), "a key", BY)
        assert done.objects == 1
        assert await v.objects() == set()
        assert await v.damage() == []

    verified(use)


def test_a_purge_takes_what_is_kept(verified: Callable[..., None]) -> None:
    """A secret with one bit turned is still a secret."""

    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        await rewrite(v.s, await place_of(v, client, LAYER), flipped(LAYER))
        await v.scrub()
        await client.blob(LAYER)
        assert len(await v.objects()) == 2
        planned = await purge.plan_purge(v.s, OPERATOR, digest_of(LAYER))
        done = await purge.purge_content(v.s, OPERATOR, digest_of(LAYER), "a key", BY)
        assert planned.objects == done.objects == 2
        assert await v.objects() == set()
        assert await v.damage() == []

    verified(use)


def test_bytes_that_come_back(verified: Callable[..., None]) -> None:
    """What an administrator puts back, or a disk that was away, is there again by itself."""

    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        place = await place_of(v, client, LAYER)
        await rewrite(v.s, place, None)
        await v.scrub()
        assert not await is_there(v, client, LAYER)
        await rewrite(v.s, place, LAYER)
        run = await v.fsck("full")
        assert not await is_there(v, client, LAYER)
        assert (run.found, run.repaired) == (1, 0)
        run = await v.fsck("full", repairs=True)
        assert await is_there(v, client, LAYER)
        assert [each.repair for each in await v.findings(run)] == [READMITTED]
        assert (run.found, run.repaired) == (1, 1)
        assert await v.damage() == []
        assert "blob.found" in await actions(v)
        # By a scrub, too.
        await rewrite(v.s, place, flipped(LAYER))
        await v.scrub()
        assert not await is_there(v, client, LAYER)
        await rewrite(v.s, place, LAYER)
        await v.scrub()
        assert await is_there(v, client, LAYER)
        assert (await v.verifications())[0].repaired == 1

    verified(use)


def test_a_store_that_is_away_is_no_damage(verified: Callable[..., None]) -> None:
    """Where most objects are missing nothing is called lost: the run stops, and says why."""

    async def use(v: Verifier, client: Client) -> None:
        raws = [b"%d" % number * 50 for number in range(8)]
        for raw in raws:
            await client.blob(raw)
        for raw in raws[:6]:
            await rewrite(v.s, await place_of(v, client, raw), None)
        await v.scrub()
        assert all([await is_there(v, client, raw) for raw in raws])
        (run,) = await v.verifications()
        assert run.state == "stopped"
        assert "6 of 8 objects" in run.reason
        await v.scrub(60_000)
        assert len(await v.verifications()) == 1
        for kind in ("fast", "full"):
            checked = await v.fsck(kind, repairs=True)
            assert checked.state == "stopped"
        assert await v.damage() == []
        # Who only looks is told of all of them.
        checked = await v.fsck()
        assert (checked.state, checked.found) == ("done", 6)
        await v.scrub(2 * 3_600_000)
        assert len([r for r in await v.verifications() if r.kind == "scrub"]) == 2

    verified(use)


def test_a_scrub_in_many_turns(verified: Callable[..., None], monkeypatch: Any) -> None:
    """Each goes on where the last one ended, in the middle of an object too."""

    async def use(v: Verifier, client: Client) -> None:
        large = os.urandom(5 << 20)
        await client.blob(large)
        await client.blob(OTHER)
        monkeypatch.setattr("moorage.registry.examining.TURN_SECONDS", 0.0)
        monkeypatch.setattr("moorage.registry.examining.Turn.__init__.__defaults__", (0.0,))
        v.clock.ahead += MONTH
        turns = 0
        while not (runs := await v.verifications()) or runs[0].state == "running":
            await v.scrub(0)
            turns += 1
            assert turns < 20
        assert turns >= 5
        (run,) = runs
        assert (run.state, run.objects, run.bytes) == ("done", 2, len(large) + len(OTHER))

    verified(use)


def test_reading_is_paced(verified: Callable[..., None]) -> None:
    async def use(v: Verifier, client: Client) -> None:
        await client.blob(os.urandom(3 << 20))
        began = v.clock.monotonic()
        await v.scrub()
        assert v.clock.monotonic() - began >= 0.7

    verified(use, mib_per_second=4.0)


def test_no_scrub_where_the_settings_say_so(verified: Callable[..., None]) -> None:
    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        await rewrite(v.s, await place_of(v, client, LAYER), None)
        await v.scrub()
        assert await v.verifications() == []
        assert await is_there(v, client, LAYER)

    verified(use, scrub_days=0.0)


def test_a_healthy_registry_has_no_findings(verified: Callable[..., None]) -> None:
    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        await client.blob(OTHER)
        await client.manifest(IMAGE, "latest", "v1")
        await client.manifest(image(LAYER, OTHER), "latest")
        await client.delete_tag("v1")
        await client.manifest(image(OTHER), "gone")
        await client.delete_manifest(image(OTHER))
        other = Client(v.s, "web/cart")
        await other.mount(LAYER, client.name)
        await client.delete_repository()
        for kind in ("fast", "full"):
            for repairs in (False, True):
                run = await v.fsck(kind, repairs=repairs)
                assert await v.findings(run) == []
                assert (run.state, run.found) == ("done", 0)
        assert run.objects == 2
        assert run.bytes == len(LAYER) + len(OTHER)

    verified(use)


BREAKS: dict[str, tuple[str, sa.Executable]] = {
    "a tag without a manifest": ("I1", sa.update(tag).values(manifest_id=4_711)),
    "a tag's digest": ("I1", sa.update(tag).values(digest=b"\x01" + b"x" * 32)),
    "a gap in the history": ("I12", sa.delete(tag_change).where(tag_change.c.version == 1)),
    "a tag that is not as its history says": ("I12", sa.delete(tag)),
    "a link that is gone": ("I2", sa.text("DELETE FROM repository_blob")),
    "a reference that is gone": ("I2", sa.delete(manifest_reference)),
    "a blob that is gone": ("I3", sa.text("DELETE FROM blob")),
    "a blob's identity": ("I3", sa.text("DELETE FROM blob_digest")),
    "a manifest's bytes": ("I5", sa.update(manifest).values(raw=b"{}")),
    "a manifest's name": ("I1", sa.text("UPDATE manifest_digest SET manifest_id = 4711")),
    "a session of nobody": (
        "I13",
        sa.text(
            "INSERT INTO upload VALUES"
            " ('x', 1, '', 'sha256', CAST('y' AS {bytes}), 0, CAST('' AS {bytes}), 1, 1, 1)"
        ),
    ),
    "a gap in the feed": (
        "I11",
        sa.text(
            "INSERT INTO event_feed VALUES (900, 'x', 1, CAST('' AS {bytes}), 1),"
            " (902, 'x', 1, CAST('' AS {bytes}), 1)"
        ),
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_wrong_is_found(
    verified: Callable[..., None], database: OpenDatabase, name: str
) -> None:
    rule, statement = BREAKS[name]
    if isinstance(statement, sa.TextClause):
        kind = "BYTEA" if database.url else "BLOB"
        statement = sa.text(statement.text.format(bytes=kind))

    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        await client.manifest(IMAGE, "latest")
        await client.manifest(IMAGE + b" ", "latest")
        broken = Query("test_break", statement)
        await v.s.db.write(lambda tx: tx.run(broken))
        run = await v.fsck()
        found = await v.findings(run)
        assert rule in {each.rule for each in found}, found
        assert run.found == len(found)
        assert all(each.subject and each.problem and not each.repair for each in found)

    verified(use)


def test_usage_is_mended(verified: Callable[..., None]) -> None:
    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        wrong = Query("test_wrong", sa.update(usage_delta).values(bytes=usage_delta.c.bytes + 7))
        await v.s.db.write(lambda tx: tx.run(wrong))
        run = await v.fsck()
        (found,) = await v.findings(run)
        assert (found.rule, found.repair) == ("I7", "")
        run = await v.fsck(repairs=True)
        assert (run.found, run.repaired) == (1, 1)
        assert sum(row[0] for row in await v.rows(USAGE)) == len(LAYER)
        assert (await v.fsck()).found == 0

    verified(use)


def test_a_referrer_is_mended(verified: Callable[..., None]) -> None:
    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        await client.manifest(IMAGE)
        document = json.loads(IMAGE)
        document["subject"] = {
            "mediaType": document["mediaType"],
            "digest": digest_of(IMAGE),
            "size": len(IMAGE),
        }
        signed = json.dumps(document).encode()
        await client.manifest(signed)
        assert (await v.fsck()).found == 0
        columns = Query("test_referrer", sa.select(manifest.c.subject, manifest.c.listed))
        before = sorted(tuple(row) for row in await v.rows(columns))
        lost = Query("test_lose", sa.update(manifest).values(subject=b"", listed=b""))
        await v.s.db.write(lambda tx: tx.run(lost))
        run = await v.fsck(repairs=True)
        assert [each.rule for each in await v.findings(run)] == ["I10"]
        assert run.repaired == 1
        assert sorted(tuple(row) for row in await v.rows(columns)) == before

    verified(use)


def test_a_location_that_is_to_be_deleted(verified: Callable[..., None]) -> None:
    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        place = await place_of(v, client, LAYER)
        queue = Query(
            "test_queue",
            sa.insert(delete_queue).values(
                location=sa.bindparam("place"), not_before=1, reason="x", size=0, digest=b""
            ),
        )
        await v.s.db.write(lambda tx: tx.run(queue, place=place))
        assert [each.rule for each in await v.findings(await v.fsck())] == ["I6"]
        run = await v.fsck(repairs=True)
        assert (run.found, run.repaired) == (1, 1)
        assert await v.rows(QUEUED) == []

    verified(use)


def test_a_check_looks_and_changes_nothing(stored: Callable[[Use], None]) -> None:
    """Without leave to repair: what is damaged is told, and answered as before."""

    async def use(v: Verifier, client: Client) -> None:
        raws = [b"%d" % number * 1_000 for number in range(7)]
        for raw in raws:
            await client.blob(raw)
        await rewrite(v.s, await place_of(v, client, raws[0]), None)
        await rewrite(v.s, await place_of(v, client, raws[1]), raws[1][:-1])
        await rewrite(v.s, await place_of(v, client, raws[2]), flipped(raws[2]))
        before = sorted((row[0], row[1]) for row in await v.rows(BLOBS))
        run = await v.fsck()
        found = {each.subject: each.rule for each in await v.findings(run)}
        assert found == {digest_of(raws[0]): "I4", digest_of(raws[1]): "I4"}
        run = await v.fsck("full")
        found = {each.subject: each.rule for each in await v.findings(run)}
        assert found[digest_of(raws[2])] == "I5"
        assert len(found) == 3
        assert run.objects == 4
        assert sorted((row[0], row[1]) for row in await v.rows(BLOBS)) == before
        run = await v.fsck("full", repairs=True)
        assert run.repaired == 0
        assert {each.repair for each in await v.findings(run)} == {MARKED}
        assert len(await v.damage()) == 3
        assert [await is_there(v, client, raw) for raw in raws] == [False] * 3 + [True] * 4
        # From then on even a quick look says what is lost.
        assert (await v.fsck()).found == 3
        for raw in raws[:3]:
            await client.blob(raw)
        assert (await v.fsck("full")).found == 0

    stored(use)


def test_an_object_that_no_row_names(verified: Callable[..., None]) -> None:
    async def use(v: Verifier, client: Client) -> None:
        state = await v.s.blobs.begin("stray", 4)

        async def chunks() -> AsyncIterator[bytes]:
            yield b"gone"

        async with v.s.blobs.session(state, keep_nowhere) as session:
            await session.append(0, chunks())
            finished = await session.finish()
            if finished.rest is not None:
                finished.rest()
        assert (await v.fsck()).found == 0
        v.clock.ahead += MONTH
        run = await v.fsck(repairs=True)
        assert [each.rule for each in await v.findings(run)] == ["I8"]
        assert finished.location in await v.objects()

    verified(use)


def test_one_check_at_a_time(verified: Callable[..., None]) -> None:
    async def use(v: Verifier, client: Client) -> None:
        first = await verification.start(v.s, OPERATOR, "fast", BY, repairs=False)
        with pytest.raises(Conflicting):
            await verification.start(v.s, OPERATOR, "full", BY, repairs=False)
        await jobs.cancel_job(v.s, OPERATOR, first.job_id, BY)
        shown = await verification.find_run(v.s, OPERATOR, first.id)
        assert shown.state == "broken off"
        assert "cancelled by unix:root" in shown.reason
        run = await v.fsck()
        assert run.state == "done"
        assert (await v.run(first.id)).state == "broken off"
        state = await verification.find_state(v.s, OPERATOR)
        assert state.last is not None
        assert state.last.id == run.id

    verified(use)


def test_damage_that_was_healed_meanwhile(verified: Callable[..., None]) -> None:
    """A verdict on what has another location by now changes nothing."""

    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        _, old, _ = await pull.find_blob(v.s, ALICE, client.name, digest_of(LAYER))
        assert old is not None
        await client.blob(LAYER)
        assert not await v.s.db.write(lambda tx: damage.lose(v.s, tx, old, "content", "scrub"))
        assert await is_there(v, client, LAYER)
        assert await v.damage() == []

    verified(use)


def test_whoever_has_lost_the_job_changes_nothing(verified: Callable[..., None]) -> None:
    """Two processes scrub: the one whose lease has ended marks no blob, and starts no run."""

    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        await rewrite(v.s, await place_of(v, client, LAYER), flipped(LAYER))
        v.clock.ahead += MONTH
        stale = await v.running("objects.scrub")
        lost = msgspec.structs.replace(stale.job, epoch=stale.job.epoch - 1)
        with pytest.raises(LeaseLost):
            await scrub.scrub(v.s, v.examiner, Running(v.s.db, v.clock, lost))
        assert await v.verifications() == []
        assert await is_there(v, client, LAYER)

    verified(use)


def test_a_sector_that_can_not_be_read(
    verified: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a disk says of it is damage; other trouble of the system's is not, and is told."""

    async def use(v: Verifier, client: Client) -> None:
        await client.blob(LAYER)
        await client.blob(OTHER)
        read = v.s.blobs.read
        place = await place_of(v, client, LAYER)
        code = errno.EMFILE

        async def failing(location: str, start: int, end: int) -> AsyncIterator[bytes]:
            if location == place:
                raise OSError(code, "trouble")
            async for chunk in read(location, start, end):
                yield chunk

        monkeypatch.setattr(v.s.blobs, "read", failing)
        with pytest.raises(OSError, match="trouble"):
            await v.scrub()
        assert await is_there(v, client, LAYER)
        code = errno.EIO
        await v.scrub(0)
        assert not await is_there(v, client, LAYER)
        assert [each.why for each in await v.damage()] == ["unreadable"]

    verified(use)


def test_more_objects_than_a_page_has(
    verified: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are missing at the end of the store are found too, and none twice."""

    async def use(v: Verifier, client: Client) -> None:
        monkeypatch.setattr("moorage.registry.fsck_objects._PAGE", 4)
        monkeypatch.setattr("moorage.registry.fsck_objects._SLICE", 3)
        monkeypatch.setattr("moorage.registry.fsck._PAGE", 2)
        raws = [b"%d" % number * 100 for number in range(19)]
        for raw in raws:
            await client.blob(raw)
        assert (await v.fsck("full")).found == 0
        places = {await place_of(v, client, raw): raw for raw in raws}
        gone = sorted(places)[10:]
        await v.s.blobs.delete(gone)
        run = await v.fsck()
        found = [each.subject for each in await v.findings(run)]
        assert sorted(found) == sorted(digest_of(places[each]) for each in gone)

    verified(use)
