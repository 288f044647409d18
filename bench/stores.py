"""What a fleet is measured on: PostgreSQL and an S3 server, both of the measurement's own.

PostgreSQL is as durable as it is shipped. Versity's gateway writes to a directory without waiting
for the disk, so that what an object store costs a client is not to be learned here.
"""

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bench import processes
from bench.load import Work
from bench.rounds import Bench, Pair
from bench.servers import Moorage
from bench.tools import BenchError
from counting import CountingProxy
from postgres import Postgres
from s3 import GATEWAY, Gateway, S3Server, Swift

MEMORY = {"shared_buffers": "256MB", "max_wal_size": "4GB"}  # a small server's
FLEET = ("fleet", "embedded")


class Stores:
    """A PostgreSQL server and an S3 server that run between enter and exit."""

    def __init__(self, directory: Path) -> None:
        """Prepare to keep objects in `directory`."""
        kind = Gateway if GATEWAY.exists() else Swift
        self.objects: S3Server = kind(directory)
        self.database = Postgres(**MEMORY)
        self._made = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start both; :raises BenchError: if one does not start."""
        try:
            with ExitStack() as stack:
                stack.callback(shutil.rmtree, self.objects.directory, ignore_errors=True)
                stack.enter_context(self.database)
                stack.enter_context(self.objects)
                self._stack = stack.pop_all()
        except (AssertionError, RuntimeError) as error:
            raise BenchError(str(error)) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Stop both and remove what they keep."""
        self._stack.close()

    def settings(self) -> dict[str, str]:
        """Return the environment of the replicas of a new registry on both."""
        self._made += 1
        found = self.objects.environment()
        del found["MOORAGE_S3__PART_BYTES"]  # the tests' is smaller than what is shipped
        return found | {"MOORAGE_DATABASE": self.database.empty(f"bench_{self._made}")}

    def cpu(self) -> tuple[float, float]:
        """Return the CPU seconds that PostgreSQL and the S3 server have used."""
        lines = (self.database.data / "postmaster.pid").read_text().splitlines()
        objects = sum(processes.cpu_seconds(pid) for pid in self.objects.pids)
        return processes.cpu_seconds(int(lines[0])), objects


class Replica(Moorage):
    """A server of a fleet, with one worker unless it is told otherwise."""

    name = "Moorage (fleet)"
    workers = 1

    @classmethod
    def make(cls, bench: Bench, settings: Mapping[str, str], workers: int = 1) -> "Replica":
        """Return a replica that does not run yet; `settings` are those of `Stores.settings`."""
        replica = cls(bench.directory())
        replica.environment = {**os.environ, **settings}
        replica.workers = workers
        return replica


class Alone(Moorage):
    """The embedded shape with as many workers as what it is compared with."""

    name = "Moorage (embedded)"


@contextmanager
def running(servers: list[Moorage]) -> Iterator[None]:
    """Start the servers one after another; at the end stop them and remove what they stored."""
    try:
        for server in servers:
            server.start()
        yield
    except BenchError as error:
        complaints = [server.complaint() for server in servers if server.log.exists()]
        raise BenchError(f"{error}; {'; '.join(complaints)}") from error
    finally:
        for server in servers:
            server.stop()
            shutil.rmtree(server.directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class FleetPair:
    """One replica beside the embedded shape, as many workers each."""

    stores: Stores
    settings: Mapping[str, str]
    pair: Pair


@contextmanager
def fleet_pair(bench: Bench, workers: int = 2, **settings: str) -> Iterator[FleetPair]:
    """Start the stores, a replica and an embedded Moorage."""
    with Stores(bench.directory()) as stores:
        found = stores.settings() | settings
        replica = Replica.make(bench, found, workers)
        alone = Alone(bench.directory())
        alone.workers = workers
        with running([replica, alone]):
            yield FleetPair(stores, found, Pair(replica, alone))


@dataclass(slots=True)
class Spent:
    """What the stores spent on each round of the fleet, in CPU seconds an operation."""

    stores: Stores
    database: list[float] = field(default_factory=list)
    objects: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    @contextmanager
    def counted(self, done: list[Work]) -> Iterator[None]:
        """Count what the block's one piece of work cost; the block adds it to `done`."""
        before = self.stores.cpu()
        yield
        after = self.stores.cpu()
        work = done[-1]
        self.database.append((after[0] - before[0]) / work.operations)
        self.objects.append((after[1] - before[1]) / work.operations)
        # Of PostgreSQL, the object store and the client; the replicas' own comes on top.
        self.busy.append((sum(after) - sum(before) + work.client_cpu) / work.seconds)


class Counter:
    """Counts what passes to a loopback port, in a thread of its own."""

    def __init__(self, target: int) -> None:
        """Pass to `target`."""
        self.proxy = CountingProxy(target)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self.proxy:
            self._ready.set()
            await self._end.wait()

    def __enter__(self) -> CountingProxy:
        """Listen, and return what counts."""
        self._thread.start()
        if not self._ready.wait(10):
            raise BenchError("the counting proxy does not listen")
        return self.proxy

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
