"""Drivers for the contract suites: a new one joins by a parameter here."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from moorage.app import build, prepare
from moorage.app import database as choose
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.store import BlobStore
from moorage.config import Config, load
from moorage.db.engine import Database, WriteObserver
from moorage.db.migrate import migrate_sqlite
from postgres import Postgres

Value = TypeVar("Value")


@pytest.fixture(params=["directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """Return an empty store of each driver."""
    assert request.param == "directory"
    FilesystemBlobs.prepare(tmp_path)
    return FilesystemBlobs(tmp_path)


DATABASES = ["sqlite", "postgres"]


class OpenDatabase:
    """A database with the schema, opened and closed around one coroutine.

    `url` is empty for the embedded one, which is in the directory.
    """

    def __init__(self, directory: Path, url: str = "") -> None:
        self.directory, self.url = directory, url
        flags = {"data": str(directory), "limits.free_bytes": 1, "log.access": False}
        self.config: Config = load(None, {}, {**flags, "database": url}).config
        if not url:
            migrate_sqlite(directory)

    def make(self, observer: WriteObserver | None = None) -> Database:
        """Return another one of the same content, not open yet."""
        return choose(self.config, observer)[0]

    def run(self, use: Callable[[Database], Awaitable[Value]]) -> Value:
        """Run the coroutine function on the open database."""

        async def body() -> Value:
            db = self.make()
            await db.open()
            try:
                return await use(db)
            finally:
                await db.close()

        return asyncio.run(body())


@pytest.fixture
def embedded(tmp_path: Path) -> OpenDatabase:
    """Return an empty database in a file."""
    return OpenDatabase(tmp_path)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the address of an empty database on the server."""
    server: Postgres = request.getfixturevalue("postgres")
    made = server.database()
    yield made
    server.drop(made)


@pytest.fixture
def shared(tmp_path: Path, url: str) -> OpenDatabase:
    """Return an empty database on a server."""
    return OpenDatabase(tmp_path, url)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> OpenDatabase:
    """Return an empty database of each driver."""
    found: OpenDatabase = request.getfixturevalue(
        {"sqlite": "embedded", "postgres": "shared"}[request.param]
    )
    return found


class Registries:
    """Processes of one registry, each with services of its own, in one test's event loop."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.key = prepare(config)

    def run(self, use: Callable[..., Awaitable[Any]], count: int = 1) -> Any:
        """Run the coroutine function with so many processes' services."""

        async def body() -> Any:
            built = [await build(self.config, self.key, None, str(n)) for n in range(count)]
            try:
                return await use(*built)
            finally:
                for services in built:
                    await services.db.close()

        return asyncio.run(body())


@pytest.fixture
def registries(database: OpenDatabase) -> Registries:
    """Return a registry on a real directory and database."""
    return Registries(database.config)
