"""Blob requests: HEAD, small GETs, ranges of a large blob, bulk pulls, and one of 12 GiB."""

from collections.abc import Callable

from bench import bodies, load, uploads
from bench.bodies import MIB, Blob, NoiseFile
from bench.manifests import head, wrk_get
from bench.processes import Watch
from bench.report import Row, least, most, within
from bench.rounds import BYTES, REQUESTS, Bench, Comparison, Pair, interleave
from bench.servers import Server
from bench.uploads import Source
from bench.wire import request

SMALL = "bench/small"
BIG = "bench/big"
RANGE = 64 * 1024
RANGES = """
math.randomseed(%d)
request = function()
  local from = math.random(0, %d)
  return wrk.format("GET", nil, {["Range"] = "bytes=" .. from .. "-" .. (from + %d)})
end
"""


def small_blobs(bench: Bench) -> list[Row]:
    """HEAD and GET of a blob of 4 KiB."""
    blob = bodies.blob(bodies.noise("small blob", 4096))
    path = f"/v2/{SMALL}/blobs/{blob.digest}"
    with bench.pair() as pair:
        _push_to_both(pair, SMALL, blob)
        heads = head(bench, pair, path)
        gets = wrk_get(bench, pair, path)
    return [
        *heads.rows("blob HEAD", REQUESTS),
        *gets.rows("blob GET, 4 KiB", REQUESTS),
        gets.waits("blob GET, 4 KiB", "p99 ms", max),
    ]


def _push_to_both(pair: Pair, repository: str, blob: Blob) -> None:
    for server in pair:
        connection = server.connection()
        uploads.push_blob(connection, repository, blob)
        connection.close()


def _push_file(bench: Bench, pair: Pair, name: str, size: int) -> str:
    """Push a file of noise to both and return the path it is served at."""
    noise = NoiseFile(bench.scratch / name, size)
    source = Source(noise.path, noise.size, noise.digest)
    for server in pair:
        bench.load(uploads.push_file, server.endpoint, BIG, source, chunked=False)
    noise.path.unlink()
    return f"/v2/{BIG}/blobs/{noise.digest}"


def ranges(bench: Bench) -> list[Row]:
    """GET of 64 KiB at random places of a large blob."""
    size = bench.size(1024, 256) * MIB
    lua = RANGES % (7, size - RANGE, RANGE - 1)
    with bench.pair() as pair:
        path = _push_file(bench, pair, "ranged", size)
        result = wrk_get(bench, pair, path, lua=lua)
    return result.rows(f"64 KiB range of {size // MIB} MiB", REQUESTS)


def pulls(bench: Bench) -> list[Row]:
    """Bulk pulls over plain HTTP."""
    return _pulls(bench, "HTTP", tls=False)


def pulls_tls(bench: Bench) -> list[Row]:
    """Bulk pulls over TLS."""
    return _pulls(bench, "TLS", tls=True)


def _pulls(bench: Bench, kind: str, *, tls: bool) -> list[Row]:
    """1 GiB with one connection, a quarter of it with eight, 100 MiB with sixty-four."""
    whole = bench.size(1024, 256)
    plan = {1: whole, 8: whole // 4, 64: bench.size(100, 20)}
    rows: list[Row] = []
    for connections, mib in plan.items():
        name = f"pull {mib} MiB x {connections}, {kind}"
        with bench.pair(tls=tls) as pair:
            path = _push_file(bench, pair, f"pulled-{connections}", mib * MIB)
            idle = (pair.ours.memory() / MIB, pair.peer.memory() / MIB)
            rounds = bench.rounds if connections == 1 else bench.long_rounds
            result = interleave(pair, rounds, _puller(bench, path, connections))
        rows += result.rows(name, BYTES, {"rate": least(1.0), "cpu": most(0.8)})
        if connections == max(plan):
            rows.append(_growth(name, result, idle))
    return rows


def _puller(bench: Bench, path: str, connections: int) -> Callable[[Server, int], load.Work]:
    """Return a pull, repeated for a whole round, by two client processes from two connections."""
    processes = min(connections, 2)

    def run(server: Server, _: int) -> load.Work:
        message = request(server.endpoint, "GET", path)
        share = connections // processes
        part = (load.pull_for, server.endpoint, message, share, bench.seconds)
        return bench.side_by_side([part] * processes)

    return run


def _growth(name: str, result: Comparison, idle: tuple[float, float]) -> Row:
    """Return how far memory rose over what it was before the first pull."""
    ours = tuple(sample.peak / MIB - idle[0] for sample in result.ours)
    peer = tuple(sample.peak / MIB - idle[1] for sample in result.peer)
    return Row(name, "memory growth MiB", ours, peer, within(32.0))


def huge(bench: Bench) -> list[Row]:
    """Push and pull one blob of 12 GiB on Moorage alone: memory stays flat."""
    size = bench.size(12 * 1024, 2 * 1024) * MIB
    with bench.pair() as pair:
        server = pair.ours
        noise = NoiseFile(bench.scratch / "huge", size)
        source = Source(noise.path, noise.size, noise.digest)
        idle = server.memory()
        rows = []
        with Watch(server.pid) as watch:
            work = bench.load(uploads.push_file, server.endpoint, BIG, source, chunked=False)
        rows += _huge_rows(f"push {size // MIB} MiB", work, watch.peak - idle)
        noise.path.unlink()
        message = request(server.endpoint, "GET", f"/v2/{BIG}/blobs/{noise.digest}")
        with Watch(server.pid) as watch:
            work = bench.load(load.pull, server.endpoint, message, 1)
        rows += _huge_rows(f"pull {size // MIB} MiB", work, watch.peak - idle)
    return rows


def _huge_rows(name: str, work: load.Work, growth: int) -> list[Row]:
    return [
        Row(name, "MB/s", (work.operations / 1e6 / work.seconds,)),
        Row(name, "memory growth MiB", (growth / MIB,), target=within(32.0)),
    ]
