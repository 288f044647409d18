"""Drivers for the contract suites: a new one joins by a parameter here."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from moorage.app import build, prepare
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.store import BlobStore
from moorage.config import Config, load
from moorage.db.migrate import migrate_sqlite
from moorage.db.sqlite import SqliteDatabase

Value = TypeVar("Value")


@pytest.fixture(params=["directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """Return an empty store of each driver."""
    assert request.param == "directory"
    FilesystemBlobs.prepare(tmp_path)
    return FilesystemBlobs(tmp_path)


class OpenDatabase:
    """A database that is opened and closed around one coroutine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        migrate_sqlite(directory)

    def run(self, use: Callable[[SqliteDatabase], Awaitable[Value]]) -> Value:
        """Run the coroutine function on the open database."""

        async def body() -> Value:
            db = SqliteDatabase(self.directory)
            await db.open()
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

    def __init__(self, directory: Path) -> None:
        self.config: Config = load(
            None, {}, {"data": str(directory), "limits.free_bytes": 1, "log.access": False}
        ).config
        self.key = prepare(self.config)

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
def registries(tmp_path: Path) -> Registries:
    """Return a registry on a real directory and database."""
    return Registries(tmp_path)
