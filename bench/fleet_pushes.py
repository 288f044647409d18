"""The fleet's pushes beside the embedded shape: small images, large blobs, and what is read again.

A session that two replicas take turns in is the worst case for the running hash, which lives with
the process that received the bytes.
"""

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bench import uploads
from bench.bodies import MIB, NoiseFile
from bench.fleet import compare, rows_of
from bench.load import Stopwatch, Work
from bench.report import Row, within
from bench.rounds import BYTES, IMAGES, Bench
from bench.servers import Server
from bench.stores import FLEET, Counter, FleetPair, Replica, Stores, fleet_pair, running
from bench.uploads import CHUNK, Batch, Source
from bench.wire import Connection, Endpoint, request
from counting import CountingProxy

PUSHED = "bench/push"


def images(bench: Bench) -> list[Row]:
    """Small images of three blobs with 1 and 16 pushers, each to a repository of its own."""
    rows: list[Row] = []
    for pushers in (1, 16):
        with fleet_pair(bench) as fleet:
            before = _stored(fleet)
            name = f"small images, {'1 pusher' if pushers == 1 else f'{pushers} pushers'}"
            measured = compare(fleet, bench.long_rounds, _images(bench, pushers), settle=True)
            waits = (
                measured[0].waits(name, "median commit ms", statistics.median),
                measured[0].waits(name, "longest commit ms", max),
            )
            rows += [*rows_of(name, measured, IMAGES), *waits]
            made = sum(one.work.operations for one in measured[0].ours)
            grown = (_stored(fleet) - before) / 1e3 / made
            rows.append(Row(name, "KB in PostgreSQL per image", (grown,)))
    return [replace(row, sides=FLEET) for row in rows]


def _images(bench: Bench, pushers: int) -> Callable[[Server, int], Work]:
    parts = min(pushers, 2)

    def run(server: Server, number: int) -> Work:
        batches = [
            Batch(
                seed=f"i{number}p{place}",
                images=2000 // parts,
                pushers=pushers // parts,
                seconds=bench.size(8, 3),
            )
            for place in range(parts)
        ]
        return bench.side_by_side(
            [(uploads.push_images, server.endpoint, batch) for batch in batches]
        )

    return run


def _stored(fleet: FleetPair) -> int:
    """Return the bytes of the fleet's tables and indexes on disk."""
    name = fleet.settings["MOORAGE_DATABASE"].rpartition("/")[2]
    return int(fleet.stores.database.execute("SELECT pg_database_size(%s)", name)[0][0])


def push_put(bench: Bench) -> list[Row]:
    """Push a large blob in one PUT."""
    mib = bench.size(1024, 128)
    noise = NoiseFile(bench.scratch / "fleet-pushed", mib * MIB)
    fresh: set[int] = set()

    def run(server: Server, number: int) -> Work:
        source = _fresh(noise, fresh, number)
        return bench.load(uploads.push_file, server.endpoint, PUSHED, source, chunked=False)

    with fleet_pair(bench) as fleet:
        idle = fleet.pair.ours.memory()
        measured = compare(fleet, bench.long_rounds, run, settle=True)
    noise.path.unlink()
    name = f"push {mib} MiB, one PUT"
    grown = tuple((one.peak - idle) / MIB for one in measured[0].ours)
    growth = Row(name, "memory growth MiB", grown, target=within(128.0), sides=FLEET)
    return [*rows_of(name, measured, BYTES), growth]


def _fresh(noise: NoiseFile, seen: set[int], number: int) -> Source:
    """Return the file, with content that no server knows when the round is a new one."""
    if number not in seen:
        seen.add(number)
        noise.freshen(f"fleet {number}")
    return Source(noise.path, noise.size, noise.digest)


def push_patch(bench: Bench) -> list[Row]:
    """Push a large blob in PATCHes of 5 MiB over two replicas in turn, and over one."""
    mib = bench.size(1024, 128)
    noise = NoiseFile(bench.scratch / "fleet-patched", mib * MIB)
    rates: dict[int, list[float]] = {1: [], 2: []}
    costs: dict[int, list[float]] = {1: [], 2: []}
    last: dict[int, list[float]] = {1: [], 2: []}
    with Stores(bench.directory()) as stores, _two(bench, stores.settings()) as replicas:
        for number, count in itertools.product(range(bench.long_rounds), (1, 2)):
            source = _fresh(noise, set(), 2 * number + count)
            before = sum(replica.cpu() for replica in replicas)
            endpoints = tuple(replica.endpoint for replica in replicas[:count])
            work = bench.load(push_in_turns, endpoints, PUSHED, source)
            spent = sum(replica.cpu() for replica in replicas) - before
            rates[count].append(work.operations / 1e6 / work.seconds)
            costs[count].append(spent * 1e9 / work.operations)
            last[count].append(work.waits[0] * 1e3)
    noise.path.unlink()
    name = f"push {mib} MiB, 5 MiB PATCHes"
    figures = {"MB/s": rates, BYTES.cost: costs, "last PUT ms": last}
    sides = ("two replicas in turn", "one replica")
    return [
        Row(name, figure, tuple(values[2]), tuple(values[1]), sides=sides)
        for figure, values in figures.items()
    ]


@contextmanager
def _two(bench: Bench, settings: Mapping[str, str]) -> Iterator[list[Server]]:
    """Start two replicas."""
    replicas: list[Server] = [Replica.make(bench, settings) for _ in range(2)]
    with running(replicas):
        yield replicas


def reread(bench: Bench) -> list[Row]:
    """Bytes to and from the object store for each byte pushed, through a proxy that counts them."""
    noise = NoiseFile(bench.scratch / "fleet-counted", bench.size(256, 64) * MIB)
    with Stores(bench.directory()) as stores, Counter(stores.objects.port) as counter:
        endpoint = f"http://127.0.0.1:{counter.port}"
        settings = stores.settings() | {"MOORAGE_S3__ENDPOINT": endpoint}
        with _two(bench, settings) as replicas:
            ends = [replica.endpoint for replica in replicas]
            rows = _reread(ends, noise, counter)
    noise.path.unlink()
    return rows


def _reread(ends: Sequence[Endpoint], noise: NoiseFile, counter: CountingProxy) -> list[Row]:
    ways = {
        "one PATCH, as docker": (ends[:1], noise.size),
        "one PATCH, PUT at another": (ends[::-1], noise.size),
        "5 MiB PATCHes, one replica": (ends[:1], CHUNK),
        "5 MiB PATCHes, two in turn": (ends, CHUNK),
    }
    rows: list[Row] = []
    for number, (name, (endpoints, chunk)) in enumerate(ways.items()):
        source = _fresh(noise, set(), 1000 + number)
        size = source.size
        marks: list[tuple[int, int]] = []

        def mark(marks: list[tuple[int, int]] = marks) -> None:
            marks.append((counter.sent, counter.received))

        mark()
        push_in_turns(endpoints, PUSHED, source, chunk, mark)
        mark()
        (sent, received), (_, middle), (sent_at_last, last) = marks
        figures = {
            "bytes to the object store per byte": ((sent_at_last - sent) / size, None),
            "bytes read back per byte": ((last - received) / size, within(1.05)),
            "of these by the closing PUT": ((last - middle) / size, within(1.05)),
        }
        rows += [
            Row(f"push {size // MIB} MiB, {name}", figure, (value,), target=aim, sides=FLEET)
            for figure, (value, aim) in figures.items()
        ]
    return rows


def push_in_turns(
    endpoints: Sequence[Endpoint],
    repository: str,
    source: Source,
    chunk: int = CHUNK,
    before_last: Callable[[], None] | None = None,
) -> Work:
    """Push a file in PATCHes, each request to the next replica; operations are bytes.

    `before_last` is called between the last PATCH and the PUT, which has no body.
    """
    connections = [Connection(endpoint) for endpoint in endpoints]
    turns = itertools.cycle(connections)
    watch = Stopwatch()
    location = uploads.begin(next(turns), repository)
    for sent in range(0, source.size, chunk):
        connection = next(turns)
        count = min(chunk, source.size - sent)
        headers = uploads.STREAM | {
            "Content-Range": f"{sent}-{sent + count - 1}",
            "Content-Length": str(count),
        }
        head = request(connection.endpoint, "PATCH", location, headers)
        location = connection.send_file(head, source.path, sent, count).expect(202).location()
    if before_last is not None:
        before_last()
    connection = next(turns)
    begun = watch.seconds
    target = uploads.closing(location, source.digest)
    connection.exchange(request(connection.endpoint, "PUT", target, uploads.STREAM)).expect(201)
    work = watch.work(source.size, [watch.seconds - begun])
    for connection in connections:
        connection.close()
    return work
