"""The migrations make exactly the schema, the schema keeps its rules, the locks name no place."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from moorage.db import migrate, server
from moorage.db.columns import metadata
from moorage.db.schema import SCHEMA_COMPATIBLE, SCHEMA_VERSION
from moorage.db.sqlite import connect
from moorage.errors import Refused
from postgres import Postgres

ROOT = Path(__file__).parents[2]
STEPS = ROOT / "src" / "moorage" / "db" / "migrations" / "versions"
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PLAIN = (sa.Integer, sa.BigInteger, sa.Text, sa.LargeBinary)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the directory of a migrated database."""
    migrate.migrate_sqlite(tmp_path)
    return tmp_path


@pytest.fixture
def migrated(directory: Path) -> Iterator[apsw.Connection]:
    """Return a connection to it."""
    connection = connect(directory / "moorage.db")
    yield connection
    connection.close()


def shape(connection: apsw.Connection) -> dict[tuple[str, str], str]:
    """Return every table and index with its text, written in one way."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {
        (kind, name): re.sub(r"[\s\"]+", " ", re.sub(r"([(),])", r" \1 ", text)).strip()
        for kind, name, text in rows
        if not name.startswith("sqlite_")
    }


def drawn() -> apsw.Connection:
    """Return a database in memory made from `db/schema.py` itself."""
    connection = apsw.Connection(":memory:")
    dialect = sqlite.dialect()
    for table in metadata.sorted_tables:
        connection.execute(str(CreateTable(table).compile(dialect=dialect)))
        for index in table.indexes:
            connection.execute(str(CreateIndex(index).compile(dialect=dialect)))
    return connection


def test_migrations_make_the_schema(migrated: apsw.Connection) -> None:
    made, wanted = shape(migrated), shape(drawn())
    assert made.keys() == wanted.keys()
    assert {name: text for name, text in made.items() if text != wanted[name]} == {}


def test_the_steps_are_numbered_without_gaps() -> None:
    numbers = [int(path.name.partition("_")[0]) for path in sorted(STEPS.glob("*.py"))]
    assert numbers == list(range(1, SCHEMA_VERSION + 1))


def test_an_older_schema_is_brought_up_step_by_step(migrated: apsw.Connection) -> None:
    stepwise = apsw.Connection(":memory:")
    whole = migrate.render("sqlite", 0)
    for version in range(SCHEMA_VERSION):
        behind = migrate.render("sqlite", version)
        first = behind.removesuffix(migrate.render("sqlite", version + 1))
        assert whole.endswith(behind)
        stepwise.execute(first).fetchall()
    assert shape(stepwise) == shape(migrated)


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_columns_need_no_conversion(table: sa.Table) -> None:
    """Raw execution converts nothing, and no NULL stands in a unique key."""
    for column in table.columns:
        assert isinstance(column.type, PLAIN), column
        assert not column.nullable, column
        assert not isinstance(column.type, sa.Boolean | sa.DateTime | sa.JSON | sa.Enum), column


def test_migrating_again_does_nothing(directory: Path) -> None:
    file = directory / "moorage.db"
    before = file.read_bytes()
    assert migrate.migrate_sqlite(directory) == SCHEMA_VERSION
    assert file.read_bytes() == before


def test_a_new_directory_was_at_version_0(tmp_path: Path) -> None:
    assert migrate.migrate_sqlite(tmp_path) == 0
    assert migrate.migrate_sqlite(tmp_path) == SCHEMA_VERSION


def test_the_file_is_its_owners_alone(directory: Path) -> None:
    assert (directory / "moorage.db").stat().st_mode & 0o077 == 0


def stamp(connection: apsw.Connection, version: int, compatible: int) -> None:
    """Pretend that another release has been here."""
    for key, value in (("schema.version", version), ("schema.compatible", compatible)):
        connection.execute("UPDATE setting SET value = ? WHERE key = ?", (str(value), key))


def test_a_newer_schema_that_breaks_us_is_refused(
    directory: Path, migrated: apsw.Connection
) -> None:
    stamp(migrated, SCHEMA_VERSION + 2, SCHEMA_VERSION + 1)
    before = shape(migrated)
    with pytest.raises(Refused) as refused:
        migrate.migrate_sqlite(directory)
    assert str(SCHEMA_VERSION + 2) in refused.value.what
    assert refused.value.why
    assert refused.value.do
    assert shape(migrated) == before


def test_a_newer_schema_that_we_can_read_is_used(
    directory: Path, migrated: apsw.Connection
) -> None:
    """Two releases run side by side during an upgrade."""
    stamp(migrated, SCHEMA_VERSION + 1, SCHEMA_VERSION)
    assert migrate.migrate_sqlite(directory) == SCHEMA_VERSION + 1
    version = migrated.execute("SELECT value FROM setting WHERE key = 'schema.version'").get
    assert version == str(SCHEMA_VERSION + 1)


def test_the_compatible_version_is_not_of_the_future() -> None:
    assert 1 <= SCHEMA_COMPATIBLE <= SCHEMA_VERSION


def test_the_file_is_in_wal_mode(migrated: apsw.Connection) -> None:
    assert migrated.execute("PRAGMA journal_mode").get == "wal"
    assert migrated.execute("PRAGMA synchronous").get == 2
    assert migrated.execute("PRAGMA foreign_keys").get == 1


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    """Return the address of a PostgreSQL database without tables."""
    made = postgres.empty("schema_test")
    yield made
    postgres.drop(made)


def postgres_shape(postgres: Postgres, url: str) -> set[tuple[str, ...]]:
    """Return every column and index of a database with all that PostgreSQL says of it."""
    name = url.rpartition("/")[2]
    columns = postgres.execute(
        "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name"
        " FROM information_schema.columns WHERE table_schema = 'public'",
        database=name,
    )
    indexes = postgres.execute(
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        database=name,
    )
    return {tuple(str(each) for each in row) for row in (*columns, *indexes)}


def test_migrations_make_the_schema_on_postgres(postgres: Postgres, url: str) -> None:
    assert server.migrate_postgres(url) == 0
    assert server.migrate_postgres(url) == SCHEMA_VERSION
    drawn = postgres.empty("schema_drawn")
    dialect = postgresql.dialect()
    for table in metadata.sorted_tables:
        for part in (CreateTable(table), *map(CreateIndex, table.indexes)):
            postgres.execute(str(part.compile(dialect=dialect)), database="schema_drawn")
    made, wanted = postgres_shape(postgres, url), postgres_shape(postgres, drawn)
    postgres.drop(drawn)
    assert len(made) > 150
    assert made == wanted


def test_texts_are_in_the_order_of_their_bytes(postgres: Postgres, url: str) -> None:
    server.migrate_postgres(url)
    found = {row[2:] for row in postgres_shape(postgres, url) if row[2] == "text"}
    assert {row[-1] for row in found} == {"C"}


def test_programs_that_start_at_once_migrate_once(postgres: Postgres, url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = sorted(threads.map(server.migrate_postgres, [url] * 8))
    assert found == [0] + [SCHEMA_VERSION] * 7
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(server.secret_postgres, [url] * 8, ["one"] * 8))) == 1
    assert server.secret_postgres(url, "one") != server.secret_postgres(url, "two")


def test_a_newer_schema_is_used_or_refused_on_postgres(postgres: Postgres, url: str) -> None:
    assert server.check_schema_postgres(url).found == 0
    server.migrate_postgres(url)
    for compatible, usable in ((SCHEMA_VERSION, True), (SCHEMA_VERSION + 1, False)):
        for key, value in (("version", SCHEMA_VERSION + 1), ("compatible", compatible)):
            postgres.execute(
                "UPDATE setting SET value = %s WHERE key = %s",
                str(value),
                f"schema.{key}",
                database="schema_test",
            )
        state = server.check_schema_postgres(url)
        assert (state.found, state.usable, state.steps) == (SCHEMA_VERSION + 1, usable, ())
        if usable:
            assert server.migrate_postgres(url) == SCHEMA_VERSION + 1
        else:
            with pytest.raises(Refused, match=str(SCHEMA_VERSION + 1)):
                server.migrate_postgres(url)


def test_what_a_migration_would_do_is_told(tmp_path: Path) -> None:
    before = migrate.check_schema_sqlite(tmp_path)
    assert (before.found, before.wanted, before.usable) == (0, SCHEMA_VERSION, True)
    assert [int(step[:4]) for step in before.steps] == list(range(1, SCHEMA_VERSION + 1))
    assert list(tmp_path.iterdir()) == []
    migrate.migrate_sqlite(tmp_path)
    after = migrate.check_schema_sqlite(tmp_path)
    assert (after.found, after.usable, after.steps) == (SCHEMA_VERSION, True, ())


def requirements(lock: Path) -> list[str]:
    """Return the requirements of a lock file, each as one line with its hashes."""
    joined = lock.read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locked_requirements_have_hashes(lock: Path) -> None:
    assert len(requirements(lock)) > 10
    loose = [
        line
        for line in requirements(lock)
        if not re.fullmatch(
            r"[A-Za-z0-9._-]+==[^\s;]+(\s*;[^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", line
        )
    ]
    assert loose == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locks_name_no_address(lock: Path) -> None:
    """Where packages come from is the business of whoever installs."""
    text = lock.read_text()
    for forbidden in ("://", "--index-url", "--extra-index-url", "--find-links", "--trusted-host"):
        assert forbidden not in text


def test_there_are_locks() -> None:
    names = [lock.name for lock in LOCKS]
    assert names == [
        "docs.txt",
        "fleet.txt",
        "oidc-provider.txt",
        "s3-server.txt",
        "serve.txt",
        "test.txt",
    ]
