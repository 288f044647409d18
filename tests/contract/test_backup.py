"""Backups of every kind of registry, restored to every kind: all of it, and nothing more."""

import asyncio
import gzip
import json
import os
import platform
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import msgspec
import psycopg
import pytest
import sqlalchemy as sa
from prometheus_client.exposition import generate_latest

from collecting import Collector
from contract.conftest import Registries, settings_in
from moorage.app import load_backup, prepare, prepare_store, restore_state, snapshot
from moorage.auth.chain import SealKey
from moorage.auth.secrets import hash_secret
from moorage.blobs.vault import MANIFEST, TABLES, Vault
from moorage.blobs.vault_rows import Rows
from moorage.clock import DAY, SECOND
from moorage.db import backups, blobs, changes, collection, collection_runs, settings, tokens
from moorage.db import purge as purges
from moorage.db import refresh as refreshes
from moorage.db import snapshot as moments
from moorage.db.backups import Backup as Row
from moorage.db.engine import Query, Tx
from moorage.db.loading import Load, State
from moorage.db.refresh import Refresh
from moorage.db.schema import SCHEMA_VERSION
from moorage.errors import Refused, Unavailable
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.model.people import TokenRecord
from moorage.oci.digest import Digest, digest_of
from moorage.oci.names import RepositoryName
from moorage.registry import accounts, backup, kept, pull, purge, recovery, robots
from moorage.registry import backups as known
from moorage.registry.audit import seal_key
from moorage.registry.backup import Made, Source
from moorage.registry.kept import Kept
from moorage.registry.recovery import Recovery, Restored, Target
from moorage.registry.services import Services
from racing import ALICE, BY, Client, image
from s3 import S3Server

OPERATOR = TagChange("unix:root", "command line", "")
ADMINISTRATOR = Actor("operator", "unix:root", "socket")
SHOP = "web/shop"
Use = Callable[..., Awaitable[Any]]


def stores(name: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the settings of an empty bucket and no database, for the fleet's shape."""
    if name == "embedded":
        return {}
    server: S3Server = request.getfixturevalue("s3_servers")("swift")
    patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    for variable, value in server.credentials.items():
        patch.setenv(variable, value)
    return dict(server.settings())


def shape(name: str, directory: Path, request: pytest.FixtureRequest) -> Registries:
    """Return an empty registry of that shape."""
    environment = stores(name, request)
    if environment:
        environment["MOORAGE_DATABASE"] = request.getfixturevalue("postgres").database()
    return Registries(settings_in(directory, environment))


def empty(name: str, directory: Path, request: pytest.FixtureRequest) -> Any:
    """Return the settings of a place of that shape at which nothing is at all."""
    environment = stores(name, request)
    if environment:
        postgres = request.getfixturevalue("postgres")
        environment["MOORAGE_DATABASE"] = postgres.empty(f"restore_{os.urandom(4).hex()}")
    return settings_in(directory, environment)


@pytest.fixture(params=["embedded", "fleet"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Registries:
    """Return an empty registry of each shape, to be backed up."""
    return shape(request.param, tmp_path / "old", request)


@pytest.fixture
def one(tmp_path: Path) -> Registries:
    """Return an empty registry of the embedded shape."""
    return Registries(settings_in(tmp_path / "old", {}))


@pytest.fixture(params=["embedded", "fleet"])
def place(request: pytest.FixtureRequest, tmp_path: Path, old: Registries) -> Any:
    """Return the settings of an empty place of each shape."""
    assert old  # its patches of the environment come first
    return empty(request.param, tmp_path / "new", request)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Return a directory of backups."""
    made = Vault(tmp_path / "backups")
    made.make()
    return made


async def take(s: Services, vault: Vault) -> Made:
    """Take a backup of a registry."""
    source = Source(s.db, s.clock, s.blobs, lambda file: snapshot(s.config, file))
    with vault.locked():
        return await backup.Backup(source, vault, "here", OPERATOR, lambda _: None).make()


def tables_of(vault: Vault, found: Kept) -> Iterator[Rows]:
    """Yield the tables of a backup."""
    for each in found.manifest.tables:
        with Rows(vault.directory(found.manifest.id) / TABLES / f"{each.name}.jsonl.gz") as rows:
            yield rows


def load(config: Any, vault: Vault, found: Kept, now: int = 1) -> None:
    """Put the rows of a backup into an empty place."""
    prepare_store(config)
    manifest = found.manifest
    state = State(str(found.digest), done=False)
    load_backup(
        config,
        Load(manifest.schema, tables_of(vault, found), manifest.counters, state, now),
    )


async def bring(s: Services, vault: Vault, found: Kept) -> Restored:
    """Bring the objects of a backup to where its rows are."""
    target = Target(s.db, s.clock, s.blobs)
    work = Recovery(vault, found, target, OPERATOR, lambda _: None)
    await work.bring()
    return await work.finish("there")


def restored(config: Any, vault: Vault, use: Use) -> None:
    """Restore the youngest backup to an empty place and use what it has become."""
    found = kept.read(vault, vault.ids()[-1])
    load(config, vault, found)
    prepare(config, restoring=True)
    key = prepare(config, restoring=True)
    target = Registries.__new__(Registries)
    target.config, target.key = config, key

    async def body(s: Services) -> None:
        told = await bring(s, vault, found)
        await use(s, told)

    target.run(body)


async def content(s: Services, raw: bytes, name: str = SHOP) -> bytes | None:
    """Return a blob's bytes as the registry has them, None if it has none."""
    digest = digest_of(raw)
    _, blob, _ = await pull.find_blob(s, ALICE, RepositoryName(name), digest)
    if blob is None:
        return None
    return b"".join([part async for part in s.blobs.read(blob.location, 0, blob.size)])


async def rows(s: Services, text: str) -> list[Any]:
    """Return what a statement of a test's own finds."""
    query = Query(f"test {text}", sa.text(text))
    query.reads = True

    async def read(tx: Tx) -> list[Any]:
        return await tx.many(query)

    return await s.db.read(read, pages=True)


def test_all_of_it_is_there_again(old: Registries, place: Any, vault: Vault) -> None:
    """Every shape restored to every shape: bytes, manifests, tags, history and trail."""
    layers = [os.urandom(size) for size in (0, 1, 70_000, 3_000_000)]
    first, second = image(layers[1], *layers), image(layers[2])

    async def fill(s: Services) -> None:
        client = Client(s, SHOP)
        for layer in layers:
            await client.blob(layer)
        await client.blob(b"by another name", "sha512")
        await client.manifest(first, "latest", "v1")
        await client.manifest(second, "latest")
        await client.manifest(image(layers[1]), "gone")
        await client.delete_manifest(image(layers[1]))
        made = await take(s, vault)
        assert not made.manifest.lost
        assert made.manifest.objects.count == made.copied == 5

    old.run(fill)

    async def look(s: Services, told: Restored) -> None:
        assert (told.objects, told.lost) == (5, ())
        for layer in (*layers, b"by another name"):
            assert await content(s, layer) == layer
        _, blob, _ = await pull.find_blob(
            s, ALICE, RepositoryName(SHOP), digest_of(b"by another name", "sha512")
        )
        assert blob is not None
        found = await rows(s, "SELECT name, version FROM tag ORDER BY name")
        assert [tuple(each) for each in found] == [("latest", 2), ("v1", 1)]
        changes = await rows(s, "SELECT name, version FROM tag_change ORDER BY name, version")
        assert [tuple(each) for each in changes] == [
            ("gone", 1),
            ("gone", 2),
            ("latest", 1),
            ("latest", 2),
            ("v1", 1),
        ]
        raws = await rows(s, "SELECT raw FROM manifest ORDER BY id")
        assert [bytes(each[0]) for each in raws] == [first, second, image(layers[1])]
        # It goes on where it was: what was deleted can be restored, and pushes are taken.
        client = Client(s, SHOP)
        await client.restore_manifest(image(layers[1]))
        await client.blob(b"later")
        await client.manifest(image(b"later"), "later")

    restored(place, vault, look)


def test_what_is_ended_stays_ended(one: Registries, tmp_path: Path, vault: Vault) -> None:
    """No session, refresh token, link or signing key comes back; collection waits."""

    async def fill(s: Services) -> None:
        await Client(s, SHOP).blob(b"its namespace")
        await accounts.put_administrator(s.db, s.clock, "alice", "correct horse battery")
        robot = await robots.create_robot(s, ADMINISTRATOR, "web", "ci", BY)
        now = s.clock.now()
        kept = ((1, "session", "browser"), (1, "personal", "ci"), (1, "personal", "old"))

        async def add(tx: Tx) -> None:
            for whose, kind, name in (*kept, (robot.id, "robot", "jenkins")):
                ends = now - 1 if name == "old" else now + DAY
                record = TokenRecord(0, whose, kind, name, "mrg_abcdef", None, now, ends, 0, 0)
                await tokens.add_token(tx, record, hash_secret(name), b"")
            await refreshes.add_refresh(
                tx, Refresh(b"r", "family", 1, 0, 0, 0, b"", now, now + DAY)
            )

        await s.db.write(add)
        await s.db.write(lambda tx: changes.begin_counting(tx, now))
        await s.keys.signer()
        await take(s, vault)

    one.run(fill)
    text = b"".join(
        gzip.decompress(path.read_bytes()) for path in tmp_path.rglob("backups/*/tables/*.gz")
    )
    assert b"browser" not in text
    assert b'"table":"signing_key"' not in text
    assert b'"table":"refresh"' not in text
    assert b'"table":"link"' not in text
    assert b"secret.upload" not in text

    async def look(s: Services, told: Restored) -> None:
        assert [(each.kind, each.owner, each.name) for each in told.credentials] == [
            ("administrator", "alice", "by password"),
            ("personal token", "alice", "ci"),
            ("robot token", "web+ci", "jenkins"),
        ]
        for table in ("signing_key", "refresh", "link"):
            assert await rows(s, f"SELECT 1 FROM {table}") == []
        pause = await s.db.read(lambda tx: collection_runs.find_pause(tx, s.clock.now()))
        assert pause is not None
        assert (pause.until, "restored" in pause.reason) == (0, True)
        assert await s.db.read(backups.find_restored) > 0
        assert await settings.get(s.db, "secret.upload") != upload_secret[0]
        assert await settings.get(s.db, "secret.keys") == upload_secret[1]
        # What was pulled since the backup is not known.
        assert await s.db.read(changes.counted_since) is None

    upload_secret: list[str | None] = []

    async def remember(s: Services) -> None:
        for name in ("secret.upload", "secret.keys"):
            found = await settings.get(s.db, name)
            upload_secret.append(found)

    one.run(remember)
    restored(settings_in(tmp_path / "new", {}), vault, look)


def test_a_connection_that_is_ending_is_waited_for(
    one: Registries, vault: Vault, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """PostgreSQL shows one for a moment after it was closed; only one that stays is a server's."""
    one.run(lambda s: take(s, vault))
    there = empty("fleet", tmp_path / "new", request)
    held = psycopg.connect(there.database, application_name="moorage")
    ending = Timer(0.5, held.close)
    ending.start()
    try:
        load(there, vault, kept.read(vault, vault.ids()[-1]))
    finally:
        ending.join()


def test_the_second_copies_only_what_is_new(one: Registries, vault: Vault) -> None:
    async def use(s: Services) -> None:
        client = Client(s, SHOP)
        await client.blob(b"one" * 1_000)
        assert (await take(s, vault)).copied == 1
        await client.blob(b"two" * 1_000)
        made = await take(s, vault)
        assert (made.copied, made.copied_bytes) == (1, 3_000)
        assert made.manifest.objects.count == 2

    one.run(use)


def test_ids_are_not_given_out_again(one: Registries, tmp_path: Path, vault: Vault) -> None:
    """Also those of rows that are gone: the trail still names them."""

    async def fill(s: Services) -> None:
        await Client(s, "web/first").blob(b"x")
        await Client(s, "web/second").blob(b"y")

        async def remove(tx: Tx) -> None:
            for table in ("repository_blob", "repository"):
                column = "id" if table == "repository" else "repository_id"
                text = f"DELETE FROM {table} WHERE {column} = 2"
                await tx.run(Query(f"test {table}", sa.text(text)))

        await s.db.write(remove)
        await take(s, vault)

    one.run(fill)

    async def look(s: Services, _: Restored) -> None:
        await Client(s, "web/third").blob(b"z")
        ((number,),) = await rows(s, "SELECT id FROM repository WHERE name = 'web/third'")
        assert number == 3

    restored(settings_in(tmp_path / "new", {}), vault, look)


def test_damaged_bytes_are_told_and_heal(one: Registries, tmp_path: Path, vault: Vault) -> None:
    """A blob whose bytes are wrong is not in the backup; restored it is absent until pushed."""
    good, bad, gone = b"good" * 100, b"bad!" * 100, b"gone" * 100

    async def fill(s: Services) -> None:
        client = Client(s, SHOP)
        for raw in (good, bad, gone):
            await client.blob(raw)
        for raw, what in ((bad, b"rot!" * 100), (gone, None)):
            _, blob, _ = await pull.find_blob(s, ALICE, RepositoryName(SHOP), digest_of(raw))
            assert blob is not None
            path = tmp_path / "old" / "objects" / blob.location[:2] / blob.location
            path.write_bytes(what) if what is not None else path.unlink()
        made = await take(s, vault)
        assert made.manifest.lost == tuple(sorted((digest_of(bad), digest_of(gone))))
        assert made.manifest.objects.count == 1

    one.run(fill)
    found = kept.read(vault, vault.ids()[0])
    assert not kept.check_files(vault, found, None)

    async def look(s: Services, told: Restored) -> None:
        assert set(told.lost) == {digest_of(bad), digest_of(gone)}
        assert await content(s, good) == good
        assert await content(s, bad) is None
        await Client(s, SHOP).blob(bad)
        assert await content(s, bad) == bad

    restored(settings_in(tmp_path / "new", {}), vault, look)


def test_bytes_that_were_healed_meanwhile_are_found(one: Registries, vault: Vault) -> None:
    """The snapshot names damaged bytes; a push has brought good ones to another place since."""
    raw = os.urandom(10_000)

    async def use(s: Services) -> None:
        client = Client(s, SHOP)
        await client.blob(raw)
        _, blob, _ = await pull.find_blob(s, ALICE, RepositoryName(SHOP), digest_of(raw))
        assert blob is not None
        await s.blobs.delete([blob.location])
        real = backup.Backup._copy_all

        async def healed(self: backup.Backup, directory: Path) -> None:
            await client.blob(raw)
            await real(self, directory)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backup.Backup, "_copy_all", healed)
            made = await take(s, vault)
        assert not made.manifest.lost

    one.run(use)


def test_nothing_is_deleted_while_it_copies(registries: Registries, vault: Vault) -> None:
    """What the snapshot names stays, though it was deleted and collected since; then it goes."""
    raw = os.urandom(5_000)

    async def use(s: Services) -> None:
        client = Client(s, SHOP)
        await client.blob(raw)
        real = backup.Backup._copy_all

        async def collected(self: backup.Backup, directory: Path) -> None:
            async def forget(tx: Tx) -> None:
                found = await purges.find_blob(tx, digest_of(raw))
                assert found is not None
                link = await collection.take_link(tx, 1, found.id)
                assert link is not None
                assert not await collection.end_link(tx, link, s.clock.now())
                assert await purges.end_blob(tx, digest_of(raw)) is not None
                await blobs.queue_deletes(
                    tx, {found.location: found.size}, 0, "collected", digest_of(raw)
                )

            await s.db.write(forget)
            await c.delete()
            assert len(await c.objects()) == 1
            await real(self, directory)

        c = Collector(s)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backup.Backup, "_copy_all", collected)
            made = await take(s, vault)
        assert not made.manifest.lost
        assert vault.path_of(digest_of(raw).key[1:]).read_bytes() == raw
        await c.delete()
        assert await c.objects() == set()

    registries.run(use)


def test_one_that_stood_still_for_too_long(one: Registries, vault: Vault) -> None:
    """Its hold had ended and what it names was deleted: it says so, and is no backup."""
    raw = os.urandom(5_000)

    async def use(s: Services) -> None:
        await Client(s, SHOP).blob(raw)
        real = backup.Backup._copy_all

        async def late(self: backup.Backup, directory: Path) -> None:
            await s.db.write(lambda tx: backups.release_store(tx, self._row.id))
            await s.blobs.delete([each.location async for each in s.blobs.list("")])
            await real(self, directory)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backup.Backup, "_copy_all", late)
            with pytest.raises(Refused, match="collection went on"):
                await take(s, vault)
        assert vault.ids() == []
        assert await s.db.read(lambda tx: backups.list_backups(tx, "", 10)) == []

    one.run(use)


def test_the_hold_is_renewed(registries: Registries, vault: Vault) -> None:
    """Also a backup that takes longer than the hold lasts keeps everything."""

    async def use(s: Services) -> None:
        await Client(s, SHOP).blob(b"x")
        real = backup.Backup._copy_all

        async def slow(self: backup.Backup, directory: Path) -> None:
            await asyncio.sleep(1.0)
            assert await s.db.read(lambda tx: collection_runs.is_store_held(tx, s.clock.now()))
            await real(self, directory)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backup.Backup, "_copy_all", slow)
            patch.setattr(backup, "HOLD", SECOND // 2)
            patch.setattr(backup, "EXTEND_SECONDS", 0.1)
            await take(s, vault)
        assert not await s.db.read(lambda tx: collection_runs.is_store_held(tx, s.clock.now()))

    registries.run(use)


def test_one_that_was_broken_off_goes_on(one: Registries, vault: Vault) -> None:
    """It is none; what it has copied is kept, and the next one clears away the rest."""

    async def use(s: Services) -> None:
        client = Client(s, SHOP)
        for number in range(20):
            await client.blob(os.urandom(1_000) + bytes((number,)))
        real = backup.Backup._copy
        copied = 0

        async def broken(self: backup.Backup, some: Any) -> None:
            nonlocal copied
            copied += 1
            if copied == 12:
                raise Unavailable("the store went away")
            await real(self, some)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backup.Backup, "_copy", broken)
            with pytest.raises(Unavailable):
                await take(s, vault)
        assert vault.ids() == []
        made = await take(s, vault)
        assert 0 < made.copied < 20
        assert made.manifest.objects.count == 20
        assert [each.name for each in (vault.root / "backups").iterdir()] == [made.manifest.id]
        assert list((vault.root / "incoming").iterdir()) == []

    one.run(use)


def test_another_registry_has_a_directory_of_its_own(
    one: Registries, tmp_path: Path, vault: Vault
) -> None:
    """Otherwise each would prune the other's; a restored one goes on where it was."""
    one.run(lambda s: take(s, vault))
    other = Registries(settings_in(tmp_path / "other", {}))
    with pytest.raises(Refused, match="another registry"):
        other.run(lambda s: take(s, vault))
    assert len(vault.ids()) == 1

    async def goes_on(s: Services, _: Restored) -> None:
        await take(s, vault)

    restored(settings_in(tmp_path / "new", {}), vault, goes_on)
    assert len(vault.ids()) == 2


def test_a_full_disk_says_so(one: Registries, vault: Vault) -> None:
    async def use(s: Services) -> None:
        await Client(s, SHOP).blob(b"x" * 1_000)

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("moorage.blobs.vault.Incoming.write", full)
            with pytest.raises(Refused) as refused:
                await take(s, vault)
        assert refused.value.why == "No space left on device"
        assert vault.ids() == []

    one.run(use)


def test_verify_finds_every_kind_of_damage(one: Registries, vault: Vault) -> None:
    """In a table, in an index, in an object, and what is missing; each is named."""

    async def use(s: Services) -> None:
        client = Client(s, SHOP)
        raws = [os.urandom(2_000) for _ in range(3)]
        for raw in raws:
            await client.blob(raw)
        await client.manifest(image(*raws), "v1")
        first = (await take(s, vault)).manifest.id
        second = kept.read(vault, (await take(s, vault)).manifest.id)

        async def problems() -> dict[str, list[str]]:
            chosen = [kept.read(vault, each) for each in vault.ids()]
            found = await kept.verify(vault, chosen, None, lambda _: None)
            told: dict[str, list[str]] = {}
            for each in found.problems:
                told.setdefault(each.backup, []).append(each.what)
            return told

        assert await problems() == {}
        path = vault.directory(first) / TABLES / "tag.jsonl.gz"
        damaged = bytearray(path.read_bytes())
        damaged[30] ^= 1
        path.write_bytes(damaged)
        rotten = vault.path_of(digest_of(raws[0]).key[1:])
        rotten.write_bytes(bytes(2_000))
        vault.path_of(digest_of(raws[1]).key[1:]).unlink()
        told = await problems()
        assert any("tag.jsonl.gz" in each for each in told[first])
        everything = [each for some in told.values() for each in some]
        assert any(str(digest_of(raws[0])) in each and "other" in each for each in everything)
        assert any(str(digest_of(raws[1])) in each and "missing" in each for each in everything)
        assert len(everything) == 3
        # What was damaged was set aside: the next backup brings it anew, and heals the others.
        assert not rotten.exists()
        assert (await take(s, vault)).copied == 2
        assert second.manifest.id not in await problems()

    one.run(use)


def test_verify_knows_who_made_it(one: Registries, vault: Vault) -> None:
    """By the key of the trail, kept elsewhere, a manifest that was written anew is found."""

    async def use(s: Services) -> None:
        await Client(s, SHOP).blob(b"x")
        found = kept.read(vault, (await take(s, vault)).manifest.id)
        key = (await seal_key(s.db)).public
        assert kept.check_files(vault, found, key) == []
        assert kept.check_files(vault, found, SealKey(bytes(32)).public) != []
        path = vault.directory(found.manifest.id) / MANIFEST
        document = json.loads(path.read_text())
        document["version"] = "6.6.6"
        path.write_text(json.dumps(document))
        changed = kept.read(vault, found.manifest.id)
        assert kept.check_files(vault, changed, None) == []
        assert "not signed" in kept.check_files(vault, changed, key)[0]

    one.run(use)


def test_prune_keeps_what_is_named(one: Registries, vault: Vault) -> None:
    """The youngest stay with all of their objects; what only the others had goes."""

    async def use(s: Services) -> None:
        client = Client(s, SHOP)
        await client.blob(b"old" * 100)
        await client.blob(b"both" * 100)
        first = await take(s, vault)
        await purge.purge_content(s, ADMINISTRATOR, digest_of(b"old" * 100), "", BY)
        await client.blob(b"new" * 100)
        second = await take(s, vault)
        (vault.root / "incoming" / "left").write_bytes(b"x")
        pruned = kept.prune(vault, 1)
        assert pruned.backups == (first.manifest.id,)
        assert (pruned.objects, pruned.bytes) == (1, 300)
        assert vault.ids() == [second.manifest.id]
        assert not list((vault.root / "incoming").iterdir())
        found = await kept.verify(vault, [kept.read(vault, vault.ids()[0])], None, lambda _: None)
        assert (found.objects, found.problems) == (2, ())

    one.run(use)


def test_prune_removes_nothing_on_doubt(one: Registries, vault: Vault) -> None:
    """Without a sound index of what stays nobody knows what may go."""

    async def use(s: Services) -> None:
        await Client(s, SHOP).blob(b"x")
        await take(s, vault)
        second = await take(s, vault)
        (vault.directory(second.manifest.id) / "objects.idx").write_bytes(b"")
        with pytest.raises(Refused, match="nothing was removed"):
            kept.prune(vault, 1)
        assert len(vault.ids()) == 2

    one.run(use)


from moorage.model.access import Actor  # noqa: E402


def test_a_purge_names_the_backups(one: Registries, vault: Vault) -> None:
    """Those that can be looked up are certain; those elsewhere may have it."""

    async def use(s: Services) -> None:
        raw = b"a secret" * 100
        client = Client(s, SHOP)
        await client.blob(b"something else")
        source = Source(s.db, s.clock, s.blobs, lambda file: snapshot(s.config, file))
        work = (source, vault, platform.node(), OPERATOR, lambda _: None)
        without = await backup.Backup(*work).make()
        await client.blob(raw)
        await client.manifest(image(raw), "v1")
        with_it = await backup.Backup(*work).make()
        elsewhere = Row("20200101T000000000Z-00000000", "another host", "/srv", "complete", 1, 1, 1)
        await s.db.write(lambda tx: backups.put_backup(tx, elsewhere))
        for digest in (digest_of(raw), digest_of(image(raw))):
            plan = await purge.plan_purge(s, ADMINISTRATOR, digest)
            told = {each.backup.id: each.is_certain for each in plan.backups}
            assert told == {with_it.manifest.id: True, elsewhere.id: False}
            assert without.manifest.id not in told
        done = await purge.purge_content(s, ADMINISTRATOR, digest_of(raw), "leaked", BY)
        assert {each.backup.id for each in done.backups} == {with_it.manifest.id, elsewhere.id}
        # It is gone from the next one.
        third = await backup.Backup(*work).make()
        assert kept.holding(vault, digest_of(raw).key[1:]) == [with_it.manifest.id]
        assert third.manifest.id in vault.ids()

    one.run(use)


def test_the_age_of_the_last_is_told(registries: Registries, vault: Vault) -> None:
    async def use(s: Services) -> None:
        await known.tell_age(s)
        assert "moorage_backup_age_seconds +Inf" in exposed(s)
        await take(s, vault)
        await known.tell_age(s)
        line = next(
            each for each in exposed(s).splitlines() if each.startswith("moorage_backup_age")
        )
        assert 0 <= float(line.split()[1]) < 60

    registries.run(use)


def exposed(s: Services) -> str:
    """Return the process's metrics as text."""
    return generate_latest(s.telemetry.registry).decode()


def test_a_restore_that_was_broken_off_goes_on(
    one: Registries, tmp_path: Path, vault: Vault
) -> None:
    """No server starts before its end; what is there is not brought again."""
    raws = [os.urandom(3_000) for _ in range(10)]

    async def fill(s: Services) -> None:
        for raw in raws:
            await Client(s, SHOP).blob(raw)
        await take(s, vault)

    one.run(fill)
    config = settings_in(tmp_path / "new", {})
    found = kept.read(vault, vault.ids()[0])
    load(config, vault, found)
    with pytest.raises(Refused, match="being restored"):
        prepare(config)
    key = prepare(config, restoring=True)
    target = Registries.__new__(Registries)
    target.config, target.key = config, key
    real = Recovery._bring
    count = 0

    async def broken(self: Recovery, row: Any) -> None:
        nonlocal count
        count += 1
        if count == 5:
            raise Unavailable("the disk went away")
        await real(self, row)

    async def use(s: Services) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Recovery, "_bring", broken)
            patch.setattr(recovery, "_AT_ONCE", 2)
            with pytest.raises(Unavailable):
                await bring(s, vault, found)
        there = {each.location async for each in s.blobs.list("")}
        assert 0 < len(there) < 10
        told = await bring(s, vault, found)
        assert (told.objects, told.lost) == (10, ())
        assert there <= {each.location async for each in s.blobs.list("")}
        for raw in raws:
            assert await content(s, raw) == raw

    target.run(use)
    state = restore_state(config)
    assert state is not None
    assert state.done
    prepare(config)


def test_a_store_with_anything_in_it_is_refused(old: Registries) -> None:
    async def use(s: Services) -> None:
        await recovery.require_empty(s.blobs)
        await Client(s, SHOP).blob(b"mine")
        with pytest.raises(Refused, match="not empty"):
            await recovery.require_empty(s.blobs)

    old.run(use)


def test_a_database_with_tables_is_refused(
    one: Registries, vault: Vault, url: str, tmp_path: Path
) -> None:
    """PostgreSQL is filled in one transaction, and only where nothing of ours is."""
    one.run(lambda s: take(s, vault))
    found = kept.read(vault, vault.ids()[0])
    config = settings_in(tmp_path / "new", {"MOORAGE_DATABASE": url})
    with pytest.raises(Refused, match="not empty"):
        load(config, vault, found)


def test_an_older_schema_is_brought_up(
    one: Registries, tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup of an earlier release is restored by this one: its tables, then the steps.

    The last step is the one that made the columns which that backup has not got.
    """
    whole = moments.columns_of
    new = {"repository": {"changed_at", "content_kind"}, "readable": {"changed_at"}}

    def columns_then(table: sa.Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
        both = zip(*whole(table), strict=True)
        names, kinds = zip(*(e for e in both if e[0] not in new.get(table.name, ())), strict=True)
        return names, kinds

    async def fill(s: Services) -> None:
        await Client(s, SHOP).blob(b"x")
        with monkeypatch.context() as then:
            then.setattr(moments, "columns_of", columns_then)
            await take(s, vault)

    one.run(fill)
    found = kept.read(vault, vault.ids()[0])
    manifest = msgspec.structs.replace(found.manifest, schema=SCHEMA_VERSION - 1)
    config = settings_in(tmp_path / "new", {})
    load(config, vault, Kept(manifest, found.digest))
    key = prepare(config, restoring=True)
    target = Registries.__new__(Registries)
    target.config, target.key = config, key

    async def use(s: Services) -> None:
        await bring(s, vault, found)
        assert await content(s, b"x") == b"x"

    target.run(use)


def test_manifests_are_hashed_one_by_one(one: Registries, vault: Vault) -> None:
    """Damage that was there before the backup was taken is found by its verification."""

    async def use(s: Services) -> None:
        client = Client(s, SHOP)
        await client.blob(b"x")
        await client.manifest(image(b"x"), "v1")
        text = "UPDATE manifest SET raw = x'00'"
        await s.db.write(lambda tx: tx.run(Query("test rot", sa.text(text))))
        found = kept.read(vault, (await take(s, vault)).manifest.id)
        (problem,) = kept.check_files(vault, found, None)
        assert str(digest_of(image(b"x"))) in problem
        assert Digest.parse(problem.split()[2])

    one.run(use)
