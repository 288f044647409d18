"""Drivers for the contract suites: a new one joins by a parameter here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from moorage.app import build, prepare
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.s3 import S3Blobs
from moorage.blobs.store import BlobStore
from moorage.clock import SystemClock
from moorage.config import Config, load
from moorage.db.migrate import migrate_sqlite
from moorage.db.sqlite import SqliteDatabase
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


class OpenDatabase:
    """A database that is opened and closed around one coroutine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        migrate_sqlite(directory)

    def run(self, use: Callable[[SqliteDatabase], Awaitable[Value]]) -> Value:
        """Run the coroutine function on the open database."""

        async def body() -> Value:
            db = SqliteDatabase(self.directory)
            db.open()
            try:
                return await use(db)
            finally:
                await db.close()

        return asyncio.run(body())


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> OpenDatabase:
    """Return an empty database of each driver."""
    assert request.param == "sqlite"
    return OpenDatabase(tmp_path)


class Registries:
    """Processes of one registry, each with services of its own, in one test's event loop."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.config: Config = load(
            None,
            environment,
            {"data": str(directory), "limits.free_bytes": 1, "log.access": False},
        ).config
        self.key = prepare(self.config)

    def run(self, use: Callable[..., Awaitable[Any]], count: int = 1) -> Any:
        """Run the coroutine function with so many processes' services."""

        async def body() -> Any:
            built = [build(self.config, self.key, None, str(n)) for n in range(count)]
            try:
                return await use(*built)
            finally:
                for services in built:
                    await services.blobs.close()
                    await services.db.close()

        return asyncio.run(body())


@pytest.fixture
def registries(tmp_path: Path) -> Registries:
    """Return a registry on a real directory and database."""
    return Registries(tmp_path, {})


@pytest.fixture
def s3_registries(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registries:
    """Return a registry that keeps its blobs in an object store."""
    for name, value in s3.credentials.items():
        monkeypatch.setenv(name, value)
    return Registries(tmp_path, s3.settings())
