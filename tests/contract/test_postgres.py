"""What the driver of PostgreSQL promises beyond `Database`: servers that go, and its costs."""

import asyncio
import contextlib
import os
import pwd
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase
from contract.test_database import CHANGE, GET, PUT, get, put
from counting import CountingProxy
from moorage.db import repositories, server
from moorage.db.engine import Conflict, Query, Raced, StoreUnavailable, Tx
from moorage.db.postgres import PostgresDatabase
from moorage.errors import Refused
from moorage.model.access import NOBODY
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import pull
from postgres import Postgres, running
from process import find_tool, free_port, is_listening, require_tool

PAUSE = Query("test_pause", sa.select(sa.literal_column("pg_sleep(0.1)")), only="postgresql")


@pytest.fixture
def own() -> Iterator[Postgres]:
    """Run a server that the test may stop."""
    yield from running()


def use(url: str, body: Callable[[PostgresDatabase], object], connections: int = 4) -> None:
    """Run a coroutine function on the open database."""

    async def run() -> None:
        db = PostgresDatabase(url, connections)
        await db.open()
        try:
            await body(db)  # type: ignore[misc]
        finally:
            await db.close()

    asyncio.run(run())


def test_a_restarted_server_costs_no_read(own: Postgres) -> None:
    """All connections are dead, and each of many readers gets its answer; the next write too."""

    async def body(db: PostgresDatabase) -> None:
        await put(db, "a")
        await asyncio.gather(*(get(db, "a") for _ in range(20)))
        own.kill()
        own.start()
        assert await asyncio.gather(*(get(db, "a") for _ in range(20))) == ["x"] * 20
        await put(db, "b")
        own.stop()
        own.start()
        await put(db, "c")
        assert await get(db, "c") == "x"

    use(own.database(), body)


def test_a_server_that_hangs_is_left(own: Postgres) -> None:
    """Nobody waits for an answer for longer than the driver was told, nor is a read tried again."""
    url = own.database()

    async def run() -> None:
        db = PostgresDatabase(url, 2, answer_seconds=0.5)
        await db.open()
        try:
            await put(db, "a")
            own.freeze()
            began = time.monotonic()
            answers = await asyncio.gather(
                get(db, "a"), put(db, "b"), get(db, "a"), return_exceptions=True
            )
            assert [type(each) for each in answers] == [StoreUnavailable] * 3
            assert time.monotonic() - began < 5
            own.thaw()
            assert await get(db, "a") == "x"
            await put(db, "c")
            # Both connections have been given back or replaced.
            assert await asyncio.gather(*(get(db, "c") for _ in range(4))) == ["x"] * 4
        finally:
            own.thaw()
            await db.close()

    asyncio.run(run())


def test_a_server_that_hangs_in_rollback_is_left(own: Postgres) -> None:
    """What the caller is told is its own refusal, and the connection is closed."""
    url = own.database()

    async def refuse(tx: Tx) -> None:
        await tx.one(GET, key="a")
        own.freeze()
        raise Conflict("refused")

    async def run() -> None:
        db = PostgresDatabase(url, 2, answer_seconds=0.5)
        await db.open()
        try:
            with pytest.raises(Conflict):
                await asyncio.wait_for(db.write(refuse), 5)
        finally:
            own.thaw()
            await db.close()

    asyncio.run(run())


def test_a_server_that_is_away_is_said_to_be(own: Postgres) -> None:
    """Within seconds, with when to try again; and it works again by itself."""

    async def body(db: PostgresDatabase) -> None:
        await put(db, "a")
        own.kill()
        began = time.monotonic()
        for attempt in (get(db, "a"), put(db, "b")):
            with pytest.raises(StoreUnavailable) as refused:
                await attempt
            assert refused.value.headers["Retry-After"] == "2"
        assert time.monotonic() - began < 12
        own.start()
        assert await get(db, "a") == "x"
        await put(db, "b")

    use(own.database(), body)


def test_a_connection_lost_in_the_middle_is_not_retried(url: str, postgres: Postgres) -> None:
    runs = 0

    async def body(db: PostgresDatabase) -> None:
        async def lose(tx: Tx) -> None:
            nonlocal runs
            runs += 1
            await tx.run(PUT, key="lost", value="x")
            postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                " AND state = 'idle in transaction'",
                url.rpartition("/")[2],
            )
            await tx.one(GET, key="lost")

        with pytest.raises(StoreUnavailable):
            await db.write(lose)
        assert await get(db, "lost") is None

    use(url, body)
    assert runs == 1


def test_a_deadlock_is_run_again(url: str) -> None:
    """Two bodies that lock each other's rows both end."""
    runs = 0

    async def body(db: PostgresDatabase) -> None:
        await put(db, "a")
        await put(db, "b")
        is_over = asyncio.Event()

        async def change(first: str, second: str) -> None:
            async def both(tx: Tx) -> None:
                nonlocal runs
                runs += 1
                # Who is run again could take its row before the other, just woken, has it.
                if runs == 3:
                    await is_over.wait()
                await tx.run(CHANGE, name=first, new="y")
                await tx.one(PAUSE)
                await tx.run(CHANGE, name=second, new="y")

            await db.write(both)
            is_over.set()

        await asyncio.gather(change("a", "b"), change("b", "a"))
        assert await get(db, "a") == await get(db, "b") == "y"

    use(url, body)
    assert runs == 3


@pytest.mark.parametrize(("lost", "told"), [(3, None), (1_000, StoreUnavailable)])
def test_a_lost_race_is_run_again_for_a_while(url: str, lost: int, told: type | None) -> None:
    runs = 0

    async def body(db: PostgresDatabase) -> None:
        async def lose(tx: Tx) -> None:
            nonlocal runs
            runs += 1
            await tx.run(PUT, key="a", value="x")  # undone each time: its key is free again
            if runs <= lost:
                raise Raced

        with contextlib.nullcontext() if told is None else pytest.raises(told):
            await db.write(lose)
        assert (await get(db, "a") is None) == (told is not None)

    use(url, body)
    assert 3 < runs < 20


def test_an_error_that_a_body_hides_is_not_committed(url: str) -> None:
    async def body(db: PostgresDatabase) -> None:
        await put(db, "taken")

        async def hide(tx: Tx) -> None:
            await tx.run(PUT, key="a", value="x")
            with contextlib.suppress(psycopg.IntegrityError):
                await tx.run(PUT, key="taken", value="x")

        with pytest.raises(StoreUnavailable):
            await db.write(hide)
        assert await get(db, "a") is None
        with pytest.raises(Conflict):
            await put(db, "taken")

    use(url, body)


def test_no_connection_is_lost_to_callers_that_go(url: str) -> None:
    """Cancelled anywhere in a write or a read, a caller leaves its connection usable."""

    async def body(db: PostgresDatabase) -> None:
        for number in range(40):
            tasks = [asyncio.create_task(put(db, f"{number}-{each}")) for each in range(4)] + [
                asyncio.create_task(get(db, "a")) for _ in range(4)
            ]
            await asyncio.sleep(number * 0.0002)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(asyncio.gather(*(put(db, f"k{n}") for n in range(8))), 10)

    use(url, body, connections=2)


def test_the_clock_is_the_servers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the machine's own clock is an hour slow."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)

    async def body(db: PostgresDatabase) -> None:
        assert abs(db.clock.now() - real() * 1000) < 500

    use(url, body)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_may_lose_pushes_is_refused(setting: str) -> None:
    with Postgres(**{setting: "off"}) as unsafe, pytest.raises(Refused) as refused:
        server.check_postgres(unsafe.url)
    assert setting in refused.value.why
    assert setting in refused.value.do


def test_a_sound_server_is_not_refused(url: str) -> None:
    server.check_postgres(url)


def test_another_encoding_is_refused(postgres: Postgres) -> None:
    postgres.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(Refused) as refused:
        server.check_postgres(postgres.url_of("latin"))
    postgres.drop(postgres.url_of("latin"))
    assert "LATIN1" in refused.value.why


@pytest.mark.parametrize(
    "address",
    ["postgresql://alice:hunter2@127.0.0.1:{port}/none", "postgresql://alice:hunter2@[bad/none"],
)
def test_a_refusal_shows_no_password(address: str) -> None:
    with pytest.raises(Refused) as refused:
        server.check_postgres(address.format(port=free_port()))
    told = f"{refused.value.what} {refused.value.why} {refused.value.do}"
    assert "hunter2" not in told
    assert refused.value.do


def test_a_pull_by_tag_is_one_round_trip(shared: OpenDatabase, postgres: Postgres) -> None:
    """Of a repository that is not there it is two: it may have had another name.

    A write adds two to those of its statements: one to begin and one to commit.
    """
    name, tag = RepositoryName.parse("web/shop"), Tag.parse("latest")

    async def body() -> None:
        async with CountingProxy(postgres.port) as proxy:
            url = shared.url.replace(str(postgres.port), str(proxy.port))
            db = PostgresDatabase(url, 1)
            await db.open()

            async def read(tx: Tx) -> object:
                return await pull.manifests.find_for_pull(
                    tx, NOBODY, name, tag, raw=True, is_local=True
                )

            async def cost(what: object) -> int:
                before = proxy.bursts
                await what  # type: ignore[misc]
                return proxy.bursts - before

            async def make(tx: Tx) -> object:
                return await repositories.put_repository(tx, name, "public", 1)

            for trips in (2, 1):
                for _ in range(2):  # the first prepares the statements
                    await db.read(read)
                assert [await cost(db.read(read)) for _ in range(3)] == [trips] * 3
                await db.write(make)
            await put(db, "a")
            assert await cost(put(db, "b")) == 3
            await db.close()

    asyncio.run(body())


@pytest.fixture
def pooler(postgres: Postgres, url: str, tmp_path: Path) -> Iterator[str]:
    """Run PgBouncer in transaction mode with two connections; yield the database behind it."""
    port, name = free_port(), url.rpartition("/")[2]
    tmp_path.chmod(0o755)
    config = tmp_path / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n{name} = host=127.0.0.1 port={postgres.port} dbname={name} user=moorage\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 2\nunix_socket_dir =\n"
    )
    options: dict[str, object] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        for path in (config, *tmp_path.parents[:2]):
            path.chmod(0o755)
    program = find_tool("pgbouncer")
    assert program is not None
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [program, "-q", str(config)], stdout=log, stderr=log, cwd="/", **options
    )  # type: ignore[call-overload]
    log.close()
    until = time.monotonic() + 10
    while not is_listening(port) and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    assert is_listening(port), (tmp_path / "log").read_text()
    yield f"postgresql://moorage@127.0.0.1:{port}/{name}?prepare=off"
    process.terminate()
    process.wait(10)


@require_tool("pgbouncer")
def test_it_works_behind_a_pooler_of_transactions(pooler: str) -> None:
    """Six clients' connections on two of the server's: nothing may be kept in a session."""

    async def body(db: PostgresDatabase) -> None:
        await asyncio.gather(*(put(db, f"k{number}") for number in range(60)))
        found = await asyncio.gather(*(get(db, f"k{number}") for number in range(60)))
        assert set(found) == {"x"}
        with pytest.raises(Conflict):
            await put(db, "k1")

    server.check_postgres(pooler)
    server.migrate_postgres(pooler)
    assert len(server.secret_postgres(pooler, "upload")) == 32
    use(pooler, body, connections=6)
