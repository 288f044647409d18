"""What running costs: idle memory, starts, event-loop lag under load, fairness of the workers."""

import math
import re
import statistics
import time

from bench import bodies, load, uploads
from bench.bodies import MIB
from bench.load import Work
from bench.manifests import SMALL, small_repository
from bench.report import Row, Target, reaching, within
from bench.rounds import MB, Bench, Pair
from bench.servers import Server
from bench.tools import BenchError
from bench.uploads import Batch
from bench.wire import request

SETTLE = 10.0
LAG = "moorage_event_loop_lag_seconds_bucket"
COMMITS = "moorage_commits_total"
SERIES = re.compile(r"^(\w+)\{([^}]*)\} (\S+)", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def idle_memory(bench: Bench) -> list[Row]:
    """Memory of a fresh server ten seconds after its start."""
    values: list[list[float]] = [[], []]
    for _ in range(bench.long_rounds):
        with bench.pair() as pair:
            time.sleep(SETTLE)
            for server, seen in zip(pair, values, strict=True):
                seen.append(server.memory() / MB)
    ours, peer = map(tuple, values)
    return [Row("idle, two workers", "PSS MB", ours, peer, within(120.0))]


def cold_starts(bench: Bench, pair: Pair, name: str) -> list[Row]:
    """Restart both servers over what they hold; the page cache stays warm."""
    values: list[list[float]] = [[], []]
    for _ in range(bench.rounds):
        for server, seen in zip(pair, values, strict=True):
            server.stop()
            seen.append(server.start("/v2/"))
    ours, peer = map(tuple, values)
    return [Row(name, "s to first 200", ours, peer, within(1.0))]


def loop_lag(bench: Bench) -> list[Row]:
    """Event-loop lag of Moorage under manifest GETs, pulls of 100 MiB and pushes together."""
    seconds = bench.size(15, 4)
    with bench.pair() as pair:
        small_repository(pair)
        server = pair.ours
        blob = bodies.blob(bodies.noise("lag", 100 * MIB))
        connection = server.connection()
        uploads.push_blob(connection, SMALL, blob)
        connection.close()
        before = series(server, LAG, "le")
        message = request(server.endpoint, "GET", f"/v2/{SMALL}/blobs/{blob.digest}")
        batch = Batch("lag", 400 * seconds, 4, seconds)
        running = [
            bench.submit(load.pull_for, server.endpoint, message, 2, seconds),
            bench.submit(uploads.push_images, server.endpoint, batch),
        ]
        target = (server.endpoint, f"/v2/{SMALL}/manifests/v0")
        gets = load.wrk(target, bench.scratch / "lag.lua", seconds, 8, accept=bodies.MANIFEST)
        pulled, pushed = (future.result() for future in running)
        lag = quantile(risen(series(server, LAG, "le"), before), 0.99)
    return [
        Row("mixed load", "loop lag p99 ms", (lag * 1e3,), target=within(20.0)),
        *_mixture(gets, pulled, pushed),
    ]


def _mixture(gets: Work, pulled: Work, pushed: Work) -> list[Row]:
    """Return what the mixed load consisted of."""
    return [
        Row("mixed load", "manifest GETs/s", (gets.operations / gets.seconds,)),
        Row("mixed load", "pulled MB/s", (pulled.operations / MB / pulled.seconds,)),
        Row("mixed load", "images pushed/s", (pushed.operations / pushed.seconds,)),
    ]


def fairness(bench: Bench) -> list[Row]:
    """Flat-out pushing with 16 pushers: each worker's share of commits, the longest wait."""
    seconds = bench.size(10, 4)
    shares: list[float] = []
    waits: list[float] = []
    with bench.pair() as pair:
        server = pair.ours
        for number in range(bench.long_rounds):
            before = series(server, COMMITS, "worker")
            batches = [Batch(f"f{number}p{place}", 500 * seconds, 8, seconds) for place in range(2)]
            calls = [(uploads.push_images, server.endpoint, batch) for batch in batches]
            work = bench.side_by_side(calls)
            commits = risen(series(server, COMMITS, "worker"), before)
            commits = {worker: n for worker, n in commits.items() if worker.isdigit()}
            if not sum(commits.values()):
                raise BenchError(f"{COMMITS} does not count")
            least = min(commits.values()) if len(commits) > 1 else 0
            shares.append(100 * least / sum(commits.values()))
            waits.append(max(work.waits) / statistics.median(work.waits))
    name = "fairness, 16 pushers"
    longest = Target(10.0, of="value", at_least=False)
    return [
        Row(name, "% of commits, lesser worker", tuple(shares), target=reaching(40.0)),
        Row(name, "longest commit / median", tuple(waits), target=longest),
    ]


def series(server: Server, name: str, label: str) -> dict[str, float]:
    """Return a metric of `/metrics` summed by one of its labels."""
    connection = server.connection()
    answer = connection.exchange(request(server.endpoint, "GET", "/metrics")).expect(200)
    connection.close()
    sums: dict[str, float] = {}
    for metric, labels, value in SERIES.findall(answer.body.decode()):
        found = dict(LABEL.findall(labels))
        if metric == name and label in found:
            sums[found[label]] = sums.get(found[label], 0.0) + float(value)
    return sums


def risen(now: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    """Return how far each counter rose."""
    return {label: value - before.get(label, 0.0) for label, value in now.items()}


def quantile(buckets: dict[str, float], share: float) -> float:
    """Return a quantile of a cumulative histogram, interpolated inside its bucket.

    Beyond the last finite edge it is that edge, which is then a lower bound.
    """
    edges = sorted((float(edge), total) for edge, total in buckets.items())
    if not edges or not edges[-1][1]:
        raise BenchError(f"{LAG} counts nothing")
    wanted = share * edges[-1][1]
    low, below = 0.0, 0.0
    for high, total in edges:
        if total >= wanted:
            if math.isinf(high):
                return low
            return low + (high - low) * (wanted - below) / max(total - below, 1.0)
        low, below = high, total
    return low
