"""Drivers for the contract suites: a new one joins by a parameter here."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from collecting import Collector
from moorage.app import build, prepare
from moorage.app import database as choose
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.s3 import S3Blobs
from moorage.blobs.store import BlobStore
from moorage.clock import SystemClock
from moorage.config import Config, load
from moorage.db.engine import Database, WriteObserver
from moorage.db.migrate import migrate_sqlite
from moorage.registry.services import Services
from postgres import Postgres
from racing import Client
from s3 import GATEWAY, S3Server

Value = TypeVar("Value")


STORES = ["directory", "swift", pytest.param("versitygw", marks=pytest.mark.where(GATEWAY))]


class OpenStore:
    """A store that is closed after one coroutine."""

    def __init__(self, make: Callable[[], BlobStore], *, is_locking: bool) -> None:
        self._make = make
        self.is_locking = is_locking

    def run(self, use: Callable[[BlobStore], Awaitable[Value]]) -> Value:
        """Run the coroutine function on the store."""

        async def body() -> Value:
            store = self._make()
            try:
                return await use(store)
            finally:
                await store.close()

        return asyncio.run(body())


@pytest.fixture(params=STORES)
def store(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    s3_servers: Callable[[str], S3Server],
    monkeypatch: pytest.MonkeyPatch,
) -> OpenStore:
    """Return an empty store of each driver."""
    if request.param == "directory":
        FilesystemBlobs.prepare(tmp_path)
        return OpenStore(lambda: FilesystemBlobs(tmp_path), is_locking=True)
    server = s3_servers(request.param)
    for name, value in server.credentials.items():
        monkeypatch.setenv(name, value)
    place = server.storage
    options = server.options()
    return OpenStore(lambda: S3Blobs(place, options, SystemClock()), is_locking=False)


DATABASES = ["sqlite", "postgres"]


def settings_in(directory: Path, environment: Mapping[str, str]) -> Config:
    """Return the settings of a test's registry in the directory."""
    flags = {"data": str(directory), "limits.free_bytes": 1, "log.access": False}
    return load(None, environment, flags).config


class OpenDatabase:
    """A database with the schema, opened and closed around one coroutine.

    `url` is empty for the embedded one, which is in the directory.
    """

    def __init__(self, directory: Path, url: str = "") -> None:
        self.directory, self.url = directory, url
        self.config = settings_in(directory, {"MOORAGE_DATABASE": url})
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
        return asyncio.run(self.within(use, count))

    async def within(self, use: Callable[..., Awaitable[Any]], count: int = 1) -> Any:
        """Run it in the event loop that is running already."""
        built = [await build(self.config, self.key, str(n)) for n in range(count)]
        try:
            return await use(*built)
        finally:
            for services in built:
                await services.blobs.close()
                await services.db.close()


@pytest.fixture
def registries(database: OpenDatabase) -> Registries:
    """Return a registry on a real directory and database."""
    return Registries(database.config)


@pytest.fixture
def s3_registries(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registries:
    """Return a registry that keeps its blobs in an object store."""
    for name, value in s3.credentials.items():
        monkeypatch.setenv(name, value)
    return Registries(settings_in(tmp_path, s3.settings()))


@pytest.fixture
def collected(registries: Registries) -> Callable[..., None]:
    """Return what runs a test with a registry, its collector and a client."""

    def run(
        use: Callable[[Collector, Client], Awaitable[None]],
        sparse: str = "indexes",
        **settings: Any,
    ) -> None:
        async def body(services: Services) -> None:
            collector = Collector(services, **settings)
            await use(collector, Client(collector.s, "web/shop", sparse))

        registries.run(body)

    return run
