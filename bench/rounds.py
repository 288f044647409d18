"""How a measurement is made: a pair of fresh servers, alternating rounds, three figures a round."""

import fcntl
import os
import random
import shutil
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench import load
from bench.load import Work
from bench.processes import Watch
from bench.report import Row, Target
from bench.servers import Certificate, DockerRegistry, Server
from bench.tools import BenchError

MB = 1e6
# linux/fs.h: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL.
_GET_FLAGS, _SET_FLAGS, _TOP_DIRECTORY = 0x80086601, 0x40086602, 0x20000


@dataclass(frozen=True, slots=True)
class Unit:
    """How work is counted: the rate's name and size, the cost's name, size and scale."""

    rate: str
    cost: str
    rate_size: float = 1.0
    cost_size: float = 1.0
    cost_scale: float = 1.0


REQUESTS = Unit("requests/s", "CPU us per request", cost_scale=1e6)
BYTES = Unit("MB/s", "CPU s per GB", rate_size=MB, cost_size=1e9)
IMAGES = Unit("images/s", "CPU ms per image", cost_scale=1e3)
PAGES = Unit("pages/s", "CPU ms per page", cost_scale=1e3)


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one server."""

    work: Work
    cpu: float
    peak: int

    def rate(self, unit: Unit) -> float:
        """Operations a second."""
        return self.work.operations / unit.rate_size / self.work.seconds

    def cost(self, unit: Unit) -> float:
        """Server CPU an operation."""
        return self.cpu * unit.cost_scale * unit.cost_size / self.work.operations


@dataclass(frozen=True, slots=True)
class Pair:
    """Moorage and its peer, both running."""

    ours: Server
    peer: Server

    def __iter__(self) -> Iterator[Server]:
        """Yield both, Moorage first."""
        yield self.ours
        yield self.peer


@dataclass(slots=True)
class Comparison:
    """The samples of both servers, a pair a round."""

    ours: list[Sample] = field(default_factory=list)
    peer: list[Sample] = field(default_factory=list)

    def rows(self, name: str, unit: Unit, targets: Mapping[str, Target] | None = None) -> list[Row]:
        """Return the rows `rate`, `cpu` and `memory`, each with its target if it has one."""
        aims = targets or {}

        def row(figure: str, read: Callable[[Sample], float], aim: str) -> Row:
            ours, peer = tuple(map(read, self.ours)), tuple(map(read, self.peer))
            shares = (client(self.ours), client(self.peer)) if aim == "rate" else None
            return Row(name, figure, ours, peer, aims.get(aim), shares)

        return [
            row(unit.rate, lambda sample: sample.rate(unit), "rate"),
            row(unit.cost, lambda sample: sample.cost(unit), "cpu"),
            row("peak MB", lambda sample: sample.peak / MB, "memory"),
        ]

    def waits(self, name: str, figure: str, pick: Callable[[Sequence[float]], float]) -> Row:
        """Return a row in milliseconds made from the latencies of each round."""
        ours = tuple(pick(sample.work.waits) * 1e3 for sample in self.ours)
        peer = tuple(pick(sample.work.waits) * 1e3 for sample in self.peer)
        return Row(name, figure, ours, peer)


def client(samples: Sequence[Sample]) -> float:
    """Return the share of one core the load generator took."""
    return statistics.median(sample.work.client_cpu / sample.work.seconds for sample in samples)


def sample(server: Server, run: Callable[[], Work]) -> Sample:
    """Run load once and return what it cost the server."""
    before = server.cpu()
    with Watch(server.pid) as watch:
        work = run()
    return Sample(work, server.cpu() - before, watch.peak)


def interleave(
    pair: Pair, rounds: int, run: Callable[[Server, int], Work], *, settle: bool = False
) -> Comparison:
    """Measure the two servers in turn, `rounds` times.

    `settle` first writes out what earlier rounds left in memory, so that no fsync pays for it.
    """
    result = Comparison()
    for number in range(rounds):
        for server, samples in ((pair.ours, result.ours), (pair.peer, result.peer)):
            if settle:
                os.sync()
            samples.append(sample(server, lambda s=server, n=number: run(s, n)))  # type: ignore[misc]
            say(".")
    return result


def shuffle(
    server: Server, rounds: int, runs: Mapping[str, Callable[[], Work]]
) -> dict[str, list[Sample]]:
    """Run all loads on the same server in each of many rounds, each round in an order of its own.

    Memory is not looked at: that takes the server's time.
    """
    order = random.Random(0)
    found: dict[str, list[Sample]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name in order.sample(sorted(runs), len(runs)):
            before = server.cpu()
            work = runs[name]()
            found[name].append(Sample(work, server.cpu() - before, 0))
        say(".")
    return found


def keep_apart(directory: Path) -> None:
    """Have the file system lay what is made in the directory far apart, where it can (ext4).

    It gives no inode again that was freed within some minutes, and looks through these one by one
    for each file that is made near them. docker-registry frees what each upload was kept in: in one
    place a server's rounds would pay for the other's, and for what the measurement before left.
    """
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without such a mark
            (flags,) = struct.unpack("I", fcntl.ioctl(opened, _GET_FLAGS, bytes(4)))
            fcntl.ioctl(opened, _SET_FLAGS, struct.pack("I", flags | _TOP_DIRECTORY))
    finally:
        os.close(opened)


def say(text: str) -> None:
    """Show progress beside the results."""
    sys.stderr.write(text)
    sys.stderr.flush()


@dataclass(slots=True)
class Bench:
    """What every measurement gets: a scratch directory, the load processes, the sizes to use."""

    scratch: Path
    pool: ProcessPoolExecutor
    certificate: Certificate
    ours: type[Server]
    quick: bool = False
    started: float = field(default_factory=time.perf_counter)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def size(self, full: int, quick: int) -> int:
        """Return the size of a thing in this kind of run."""
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        """Rounds of a quick measurement."""
        return self.size(5, 2)

    @property
    def long_rounds(self) -> int:
        """Rounds of a long measurement."""
        return self.size(3, 1)

    @property
    def seconds(self) -> int:
        """Seconds of one round of small requests."""
        return self.size(3, 1)

    def submit(self, call: Callable[..., Work], *args: object, **named: object) -> Future[Work]:
        """Start load in a process of the pool."""
        return self.pool.submit(call, *args, **named)

    def load(self, call: Callable[..., Work], *args: object, **named: object) -> Work:
        """Run load in a process of the pool."""
        return self.submit(call, *args, **named).result()

    def side_by_side(
        self, calls: Sequence[tuple[Callable[..., Work], *tuple[object, ...]]]
    ) -> Work:
        """Run loads at the same time, each call with its arguments, and return them as one."""
        running = [self.submit(call, *args) for call, *args in calls]
        return load.together([future.result() for future in running])

    def directory(self) -> Path:
        """Return the name of a directory that nothing has used; nothing is made."""
        return self.scratch / f"server-{next(self._numbers)}"

    def fresh(self, kind: type[Server], certificate: Certificate | None = None) -> Server:
        """Return a server that does not run yet, over a directory of its own."""
        return kind(self.directory(), certificate)

    @contextmanager
    def pair(self, *, tls: bool = False) -> Iterator[Pair]:
        """Start a fresh pair; at the end stop it and remove what it stored."""
        certificate = self.certificate if tls else None
        pair = Pair(self.fresh(self.ours, certificate), self.fresh(DockerRegistry, certificate))
        try:
            for server in pair:
                server.start()
            yield pair
        except BenchError as error:
            complaints = [server.complaint() for server in pair if server.log.exists()]
            raise BenchError(f"{error}; {'; '.join(complaints)}") from error
        finally:
            for server in pair:
                server.stop()
                shutil.rmtree(server.directory, ignore_errors=True)
