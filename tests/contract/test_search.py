"""What is searched follows what happens, whatever of it is read twice, late, or not at all."""

import contextlib
import json
from typing import Any

import msgspec
import pytest

from contract.conftest import Registries
from moorage.clock import DAY, SystemClock
from moorage.db import events, search_rows
from moorage.db import jobs as rows
from moorage.db import repositories as places
from moorage.db.engine import Body, Tx
from moorage.db.search_rows import FEED, FILL
from moorage.db.tags import Condition
from moorage.errors import Invalid
from moorage.events.outbox import Event
from moorage.jobs.queue import LEASE, Again, Running
from moorage.oci.digest import digest_of
from moorage.oci.manifest import parse_manifest
from moorage.oci.media_types import OCI_INDEX
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import delete, indexing, namespaces, push, repositories, restore, search
from moorage.registry.services import Services
from racing import ALICE, BY, Client
from registry import unique


async def put(s: Services, name: str, *tags: str, **annotations: str) -> Any:
    """Push an index that lists nothing, and return its digest."""
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    raw = json.dumps({**document, "annotations": annotations or {"of": unique()}}).encode()
    manifest = parse_manifest(raw, OCI_INDEX)
    digest = None if tags else digest_of(raw)
    named = tuple(map(Tag.parse, tags))
    prepared = push.prepare(RepositoryName.parse(name), raw, manifest, digest, named, Condition())
    await push.put_manifest(s, ALICE, prepared, BY)
    return digest_of(raw)


class Counted(Running):
    """A job that counts its transactions."""

    writes = 0

    async def write(self, body: Body[Any]) -> Any:
        self.writes += 1
        return await super().write(body)


async def follow(s: Services, watch: indexing.Watch | None = None) -> list[tuple[str, int]]:
    """Run what waits as the worker does, until there is nothing left to do.

    Return the jobs that were run, each with how many transactions it made.
    """
    watch = watch or indexing.Watch(s)
    ran: list[tuple[str, int]] = []
    work = {
        indexing.FOLLOW: lambda running: indexing.follow(s, running),
        indexing.WALK: lambda running: indexing.walk(s, running),
        indexing.FAN_OUT: _fan_out,
    }
    for _ in range(100):
        await watch.keep()

        async def claim(tx: Tx) -> rows.Job | None:
            return await rows.claim_job(tx, "test", s.clock.now(), s.clock.now() + LEASE)

        job = await s.db.write(claim)
        if job is None:
            return ran
        running = Counted(s.db, s.clock, job)
        with contextlib.suppress(Again):
            await work[job.name](running)
        ran.append((job.name, running.writes))

        async def end(tx: Tx, job: rows.Job = job) -> bool:
            return await rows.end_job(tx, job, state="done", error="", run_at=0, now=s.clock.now())

        await s.db.write(end)
    raise AssertionError("there is always something left to do")


async def _fan_out(running: Running) -> None:
    await running.write(lambda tx: events.fan_out(tx, 100))


async def found(s: Services, text: str, kind: str = "", limit: int = 20) -> list[str]:
    """Return what is found, page by page, each with its kind, match, and where it is."""
    told: list[str] = []
    after = ""
    while True:
        page = await search.find(s, ALICE, text, kind=kind, after=after, limit=limit)
        told += [
            f"{hit.kind} {hit.match} {hit.repository}" + "".join(f":{tag}" for tag in hit.tags)
            for hit in page.hits
        ]
        assert len(page.hits) <= limit
        after = page.after
        if not after:
            return told


class Still(SystemClock):
    """A clock whose seconds pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


def test_what_is_pushed_is_found(registries: Registries) -> None:
    async def use(s: Services) -> None:
        digest = await put(s, "web/shop", "1.4-alpine", **{"org.example.revision": "1a2b3c4d"})
        await put(s, "shop", "latest")
        await put(s, "team/workshop")
        await follow(s)
        assert await found(s, "shop") == [
            "repository exact shop",
            "repository part web/shop",
            "repository part team/workshop",
        ]
        assert await found(s, "web/sh") == ["repository prefix web/shop"]
        assert await found(s, "ALPINE") == ["tag part web/shop:1.4-alpine"]
        assert await found(s, "1.4") == ["tag prefix web/shop:1.4-alpine"]
        assert await found(s, "web/shop:1.4-alpine") == ["tag exact web/shop:1.4-alpine"]
        assert await found(s, "revision=1a2b3") == ["label part web/shop:1.4-alpine"]
        assert await found(s, digest) == ["digest exact web/shop:1.4-alpine"]
        assert await found(s, digest.hex[:6]) == ["digest prefix web/shop:1.4-alpine"]
        assert await found(s, digest.hex[:6], "label") == []
        assert await found(s, "sho late") == []
        for nothing in ("%", "_", "\\", "web%", "1_4", "zzz", "'", '"', "\x00", "(", "*"):
            assert await found(s, nothing) == []

    registries.run(use)


def test_what_is_pushed_within_a_second_is_followed_together(registries: Registries) -> None:
    """A push waits for the commits of what follows the one before it; so these are few."""

    async def use(s: Services) -> None:
        clock = Still()
        watch = indexing.Watch(msgspec.structs.replace(s, clock=clock))
        await put(s, "web/shop", "before")
        await follow(s, watch)
        names = [f"web/shop-{number}" for number in range(12)]
        for name in names:
            await put(s, name, "later")
            assert await follow(s, watch) == []
        clock.seconds += 1
        # When the twelve have changed, how far that is read, and five events at once.
        assert await follow(s, watch) == [(indexing.FAN_OUT, 1), (indexing.FOLLOW, 1 + 1 + 3)]
        assert sorted(await found(s, "late")) == sorted(
            f"tag prefix {name}:later" for name in names
        )

    registries.run(use)


def test_what_goes_is_found_no_more(registries: Registries) -> None:
    async def use(s: Services) -> None:
        name = RepositoryName.parse("web/shop")
        digest = await put(s, name, "first", "second", key="valuable")
        await follow(s)
        await delete.delete_tag(s, ALICE, name, Tag("first"), Condition(), BY)
        # At once: what is found is looked at again.
        assert await found(s, "first") == []
        await follow(s)
        assert await found(s, "second") == ["tag exact web/shop:second"]
        await delete.delete_manifest(s, ALICE, name, digest, BY)
        assert (
            await found(s, digest) == await found(s, "valuable") == await found(s, "second") == []
        )
        await follow(s)
        assert await kept(s) == [""]
        await restore.restore_manifest(s, ALICE, name, digest, BY)
        await follow(s)
        assert await found(s, digest) == ["digest exact web/shop"]
        assert await found(s, "valuable") == ["label part web/shop"]
        await repositories.delete_repository(s, ALICE, name, BY)
        assert await found(s, "valuable") == await found(s, "shop") == []
        await follow(s)
        assert await kept(s) == []
        await repositories.restore_repository(s, ALICE, name, BY)
        await follow(s)
        assert await found(s, "valuable") == ["label part web/shop"]
        assert await found(s, "hop") == ["repository part web/shop"]

    registries.run(use)


async def kept(s: Services) -> list[str]:
    """Return the subjects of all entries of the first repository."""
    return [
        each.subject for each in await s.db.read(lambda tx: search_rows.list_kept(tx, 1, 0, 1_000))
    ]


def test_what_was_there_before_is_read_through(registries: Registries) -> None:
    async def use(s: Services) -> None:
        for number in range(3):
            await put(s, f"web/old-{number}", *(f"v{each}" for each in range(3)), key="ancient")
        # As after a migration: the feed has all of it, and nobody has read it.
        await s.db.write(lambda tx: events.fan_out(tx, 100))
        await follow(s)
        state = await s.db.read(lambda tx: search_rows.find_state(tx, FILL))
        assert state is not None
        assert state > 10**9
        assert len(await found(s, "ancient", "label")) == 3
        assert len(await found(s, "v1", "tag")) == 3

    registries.run(use)


def test_a_feed_that_went_on_alone_is_made_up_for(registries: Registries) -> None:
    async def use(s: Services) -> None:
        await put(s, "web/shop", "known")
        await follow(s)
        await put(s, "web/shop", "missed")
        await put(s, "web/shop", "missed-too")
        await s.db.write(lambda tx: events.fan_out(tx, 100))
        await s.db.write(lambda tx: events.trim_feed(tx, s.clock.now() + DAY, 100))
        assert await found(s, "missed") == []
        await follow(s)
        assert sorted(await found(s, "missed")) == [
            "tag exact web/shop:missed",
            "tag prefix web/shop:missed-too",
        ]

    registries.run(use)


def test_events_may_come_twice(registries: Registries) -> None:
    async def use(s: Services) -> None:
        name = RepositoryName.parse("web/shop")
        for number in range(5):
            await put(s, name, f"v{number}", key=f"value-{number}")
        await delete.delete_tag(s, ALICE, name, Tag("v3"), Condition(), BY)
        await follow(s)
        before = sorted(await kept(s))
        await s.db.write(lambda tx: search_rows.put_state(tx, FEED, 0))
        await follow(s)
        assert sorted(await kept(s)) == before
        assert "v3" not in before
        assert "v4" in before

    registries.run(use)


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_pages_have_everything_once(registries: Registries, limit: int) -> None:
    async def use(s: Services) -> None:
        for number in range(4):
            tags = (f"shop-{number}-{each}" for each in range(4))
            await put(s, f"{'ab'[number % 2]}/shop-{number}", *tags, shop=f"of {number}")
            await put(s, f"shop/{number}", "other")
        await follow(s)
        told = await found(s, "shop", limit=limit)
        assert len(told) == len(set(told)) == 4 + 4 + 16 + 4
        ranks = ["repository prefix", "repository part", "tag prefix", "label part"]
        order = [ranks.index(each.rpartition(" ")[0]) for each in told]
        assert order == sorted(order)

    registries.run(use)


def test_a_search_in_vain_ends_and_goes_on(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work is cut into pages even where nothing is found by it."""
    monkeypatch.setattr(search, "SLICE", 3)
    monkeypatch.setattr(search, "_MOST_SLICES", 2)

    async def use(s: Services) -> None:
        await put(s, "web/shop", *(f"abcd{number}bcde" for number in range(20)))
        await put(s, "web/last", "abcde")
        await follow(s)
        first = await search.find(s, ALICE, "abcde", kind="tag")
        assert first.hits == []
        assert first.after
        assert await found(s, "abcde", "tag") == ["tag exact web/last:abcde"]

    registries.run(use)


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "1",
        "99.",
        "-1.",
        "4.1.2.3",
        f"{'0' * 9_000}.",
        "4.a.b.c.d",
        f"4.0.0.{10**30}.1",
        "\u0663.",
    ],
)
def test_no_other_places_are_taken(registries: Registries, after: str) -> None:
    async def use(s: Services) -> None:
        await put(s, "web/shop", "shop")
        await follow(s)
        with pytest.raises(Invalid):
            await search.find(s, ALICE, "shop", after=after)

    registries.run(use)


def test_entries_follow_the_visibility(registries: Registries) -> None:
    """Whoever may no longer read something finds it no more, before anything was followed."""

    async def use(s: Services) -> None:
        name = RepositoryName.parse("web/shop")
        await put(s, name, "stable")
        nobody = msgspec.structs.replace(ALICE, kind="anonymous", name="")
        for visibility, told in (("public", 1), ("internal", 0), ("private", 0), ("public", 1)):
            await s.db.write(
                lambda tx, to=visibility: _make(tx, s, name, to)  # type: ignore[misc]
            )
            page = await search.find(s, nobody, "stable")
            assert len(page.hits) <= told
            await follow(s)
            page = await search.find(s, nobody, "stable")
            assert len(page.hits) == told, visibility
            place = await s.db.read(lambda tx: search_rows.find_repository(tx, 1))
            assert place is not None
            scopes = await s.db.read(lambda tx: search_rows.list_kept(tx, 1, 0, 100))
            assert {each.scope for each in scopes} == {search_rows.scope_of(place)}

    registries.run(use)


async def _make(tx: Tx, s: Services, name: RepositoryName, visibility: str) -> None:

    found = await places.find_repository(tx, name)
    assert found is not None
    await namespaces._make_visible(tx, found, visibility)
    event = Event("repository.visibility-changed", found.id, s.clock.now(), BY, {}, 0)
    await s.events.publish(tx, event)


@pytest.mark.parametrize(
    "config", [b"[" * 100_000, b'{"config":' * 20_000, b'{"config":{"Labels":7}}', b"\xff"]
)
def test_no_configuration_stops_the_search(registries: Registries, config: bytes) -> None:
    """Whoever may push to one repository keeps nobody from finding what is pushed to others."""

    async def use(s: Services) -> None:
        media_type = "application/vnd.oci.image.config.v1+json"
        digest = str(digest_of(config))
        document = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": media_type, "digest": digest, "size": len(config)},
            "layers": [],
        }
        hostile = Client(s, "web/hostile")
        await hostile.blob(config)
        await hostile.manifest(json.dumps(document).encode(), "odd")
        await put(s, "web/shop", "later")
        await follow(s)
        assert await found(s, "later") == ["tag exact web/shop:later"]
        assert await found(s, "odd") == ["tag exact web/hostile:odd"]

    registries.run(use)


def test_no_secret_is_found_or_shown(registries: Registries) -> None:
    async def use(s: Services) -> None:
        said = {"org.example.api_token": "hunter2", "org.example.url": "https://a:hunter3@b"}
        await put(s, "web/shop", "latest", **said)
        await follow(s)
        assert await found(s, "hunter2") == []
        assert await found(s, "hunter3") == []
        page = await search.find(s, ALICE, "org.example", kind="label")
        texts = sorted(hit.text for hit in page.hits)
        assert texts == ["org.example.api_token=***", "org.example.url=https://a:***@b"]

    registries.run(use)
