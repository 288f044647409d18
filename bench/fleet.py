"""The fleet's pulls beside the embedded shape: manifests, redirects and streams, and their trips.

Requests a fleet answers cost a round trip to PostgreSQL; how many is counted by a proxy in between.
"""

import base64
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

from bench import bodies, load, manifests, uploads
from bench.bodies import MANIFEST, MIB
from bench.load import Work
from bench.manifests import CONNECTIONS, SMALL, wrk_get
from bench.report import Row, Target, within
from bench.resources import series
from bench.rounds import BYTES, REQUESTS, Bench, Comparison, Pair, Unit, interleave
from bench.servers import Server
from bench.stores import FLEET, Counter, FleetPair, Replica, Spent, Stores, fleet_pair, running
from bench.wire import Connection, request
from proxy import FaultyProxy

BLOB = "bench/blob"
BYTES_SENT = "moorage_http_bytes_total"
PULLS = 200
Count = Callable[[], tuple[int, int]]


def compare(
    fleet: FleetPair, rounds: int, run: Callable[[Server, int], Work], *, settle: bool = False
) -> tuple[Comparison, Spent]:
    """Compare the two shapes and count what the fleet's stores spent meanwhile."""
    spent = Spent(fleet.stores)

    def turn(server: Server, number: int) -> Work:
        if server is not fleet.pair.ours:
            return run(server, number)
        done: list[Work] = []
        with spent.counted(done):
            done.append(run(server, number))
        return done[0]

    return interleave(fleet.pair, rounds, turn, settle=settle), spent


def rows_of(name: str, measured: tuple[Comparison, Spent], unit: Unit) -> list[Row]:
    """Return the rows of a comparison with those of the stores' CPU."""
    result, spent = measured
    scale = unit.cost_scale * unit.cost_size
    costs = {"PostgreSQL": spent.database, "object store": spent.objects}
    parts = [
        Row(name, f"{unit.cost}, {store}", tuple(value * scale for value in values))
        for store, values in costs.items()
        if statistics.median(values) * scale >= 0.01
    ]
    return [replace(row, sides=FLEET) for row in [*result.rows(name, unit), *parts]]


def getting(
    bench: Bench, path: str, accept: str | None = None, connections: int = CONNECTIONS
) -> Callable[[Server, int], Work]:
    """Return a round of GETs of one path, answers being 2xx or 3xx."""
    script = bench.scratch / "fleet.lua"

    def run(server: Server, _: int) -> Work:
        target = (server.endpoint, path)
        return load.wrk(target, script, bench.seconds, connections, accept=accept)

    return run


def pulls(bench: Bench) -> list[Row]:
    """Manifest GETs by tag and by digest, HEADs by tag; two workers on each side."""
    rows: list[Row] = []
    with fleet_pair(bench) as fleet:
        image = manifests.small_repository(fleet.pair)
        paths = {
            "manifest GET by tag": f"/v2/{SMALL}/manifests/v0",
            "manifest GET by digest": f"/v2/{SMALL}/manifests/{image.manifest.digest}",
        }
        for name, path in paths.items():
            run = getting(bench, path, MANIFEST)
            for server in fleet.pair:
                run(server, 0)
            measured = compare(fleet, bench.rounds, run)
            rows += rows_of(name, measured, REQUESTS)
            rows.append(replace(measured[0].waits(name, "p99 ms", max), sides=FLEET))
        lone = getting(bench, paths["manifest GET by tag"], MANIFEST, 1)
        name = "manifest GET by tag, 1 connection"
        rows += rows_of(name, compare(fleet, bench.rounds, lone), REQUESTS)[:1]
    return rows


def passwords(bench: Bench) -> list[Row]:
    """Manifest GETs of a public repository with the administrator's password, and without one."""
    path, name = f"/v2/{SMALL}/manifests/v0", "manifest GET by tag"
    secret = bench.scratch / "password"
    secret.touch(0o600)
    secret.write_text("a password for the bench\n")
    admin = {"MOORAGE_ADMIN_USER": "admin", "MOORAGE_ADMIN_PASSWORD_FILE": str(secret)}
    word = base64.b64encode(b"admin:a password for the bench").decode()
    with Stores(bench.directory()) as stores:
        settings = stores.settings() | {"MOORAGE_VISIBILITY": "public"}
        # Pushed in local mode, which ends with the first account.
        first = Replica.make(bench, settings, 1)
        with running([first]):
            connection = first.connection()
            uploads.push_image(connection, SMALL, "v0", bodies.image("small", padding=1400))
            connection.close()
        pair = Pair(*(Replica.make(bench, settings | admin, 2) for _ in range(2)))
        lua = (
            f"if wrk.port == '{pair.ours.endpoint.port}' then\n"
            f'wrk.headers["Authorization"] = "Basic {word}"\nend\n'
        )
        with running([pair.ours, pair.peer]):
            # Each worker checks the password itself, and remembers it for a minute.
            message = request(pair.ours.endpoint, "GET", path, {"Authorization": f"Basic {word}"})
            for _ in range(8):
                connection = pair.ours.connection()
                connection.exchange(message).expect(200)
                connection.close()
            result = wrk_get(bench, pair, path, MANIFEST, lua)
    sides = ("with a password", "anonymous")
    return [replace(row, sides=sides) for row in result.rows(name, REQUESTS)[:2]]


def redirects(bench: Bench) -> list[Row]:
    """Blob GETs answered with an address, and what bytes of bodies they made the replica send."""
    blob = bodies.blob(bodies.noise("redirected", MIB))
    path = f"/v2/{BLOB}/blobs/{blob.digest}"
    with fleet_pair(bench) as fleet:
        _push_to_both(fleet.pair, blob)
        run = getting(bench, path)
        run(fleet.pair.ours, 0)
        sent: list[float] = []

        def turn(server: Server, number: int) -> Work:
            if server is not fleet.pair.ours:
                return run(server, number)
            before, alone = _sent(server), _sent(server)
            work = run(server, number)
            # A scrape is counted in the next one: so is the one that came just before.
            sent.append((_sent(server) - alone - (alone - before)) / work.operations)
            return work

        measured = compare(fleet, bench.rounds, turn)
    name = "blob GET of 1 MiB, redirect"
    told = "the embedded shape sends the blob itself, the replica an address in the object store"
    rate, *others = rows_of(name, measured, REQUESTS)
    bytes_sent = Row(name, "bytes of bodies sent per pull", tuple(sent), target=within(1.0))
    return [rate.noted(told), *others, replace(bytes_sent, sides=FLEET)]


def _sent(server: Server) -> float:
    return series(server, BYTES_SENT, "direction").get("sent", 0.0)


def _push_to_both(pair: Pair, blob: bodies.Blob) -> None:
    for server in pair:
        connection = server.connection()
        uploads.push_blob(connection, BLOB, blob)
        connection.close()


def streams(bench: Bench) -> list[Row]:
    """Blob pulls through the replica: one connection and eight."""
    mib = bench.size(256, 64)
    blob = bodies.blob(bodies.noise("streamed", mib * MIB))
    rows: list[Row] = []
    with fleet_pair(bench, MOORAGE_REDIRECT__BLOBS="false") as fleet:
        _push_to_both(fleet.pair, blob)
        idle = fleet.pair.ours.memory()
        for connections in (1, 8):
            name = f"streamed pull {mib} MiB x {connections}"

            def run(server: Server, _: int, count: int = connections) -> Work:
                message = request(server.endpoint, "GET", f"/v2/{BLOB}/blobs/{blob.digest}")
                return bench.load(load.pull_for, server.endpoint, message, count, bench.seconds)

            measured = compare(fleet, bench.long_rounds, run)
            rows += rows_of(name, measured, BYTES)
            grown = tuple((sample.peak - idle) / MIB for sample in measured[0].ours)
            rows.append(Row(name, "memory growth MiB", grown, target=within(64.0), sides=FLEET))
    return rows


def trips(bench: Bench) -> list[Row]:
    """Round trips to PostgreSQL and requests to the object store, request by request.

    A trip is counted where the replica sends and then waits; the figure is the median of its kind,
    since jobs in the background use the same database.
    """
    with fleet_pair(bench, workers=1) as fleet:
        stores = fleet.stores
        with (
            Counter(stores.database.port) as counter,
            FaultyProxy(stores.objects.port) as objects,
        ):
            url = fleet.settings["MOORAGE_DATABASE"]
            between = {
                "MOORAGE_DATABASE": url.replace(f":{stores.database.port}/", f":{counter.port}/"),
                "MOORAGE_S3__ENDPOINT": objects.endpoint,
            }
            replica = Replica.make(bench, {**fleet.settings, **between})
            with running([replica]):
                return _trips(replica, lambda: (counter.bursts, len(objects.requests)))


def _trips(replica: Server, count: Count) -> list[Row]:
    """Make each kind of request many times and count."""
    endpoint, connection = replica.endpoint, replica.connection()
    image = bodies.image("trips")
    uploads.push_image(connection, SMALL, "v0", image)
    blob = f"{SMALL}/blobs/{image.blobs[0].digest}"
    reads: dict[str, tuple[str, str, int, Target | None]] = {
        "manifest GET by tag": ("GET", f"{SMALL}/manifests/v0", 200, within(1.0)),
        "manifest GET by digest": (
            "GET",
            f"{SMALL}/manifests/{image.manifest.digest}",
            200,
            within(1.0),
        ),
        "manifest HEAD by tag": ("HEAD", f"{SMALL}/manifests/v0", 200, within(1.0)),
        "blob GET, redirect": ("GET", blob, 307, within(1.0)),
        "blob HEAD": ("HEAD", blob, 200, within(1.0)),
        "tags page": ("GET", f"{SMALL}/tags/list?n=100", 200, None),
        "catalog page": ("GET", "_catalog?n=100", 200, None),
    }
    rows: list[Row] = []
    for name, (method, path, status, aim) in reads.items():
        message = request(endpoint, method, f"/v2/{path}")
        seen: list[tuple[int, int]] = []
        for _ in range(PULLS):
            before = count()
            connection.exchange(message).expect(status)
            seen.append(_since(before, count()))
        rows += _counts(name, seen[1:], aim)
    rows += _push_trips(connection, count)
    connection.close()
    return rows


def _push_trips(connection: Connection, count: Count) -> list[Row]:
    """Push images and count for each of their requests, the first two of a kind left out."""
    names = ("upload POST", "upload PUT of 4 KiB", "manifest PUT by tag, 3 blobs")
    seen: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
    for number in range(PULLS // 10):
        image = bodies.image(f"trips {number}")
        for blob in image.blobs:
            start = count()
            location = uploads.begin(connection, SMALL)
            middle = count()
            target = uploads.closing(location, blob.digest)
            message = request(connection.endpoint, "PUT", target, uploads.STREAM, blob.data)
            connection.exchange(message).expect(201)
            seen[names[0]].append(_since(start, middle))
            seen[names[1]].append(_since(middle, count()))
        start = count()
        uploads.put_manifest(connection, f"{SMALL}/manifests/p{number}", image.manifest)
        seen[names[2]].append(_since(start, count()))
    return [row for name in names for row in _counts(name, seen[name][2:], None)]


def _since(before: tuple[int, int], after: tuple[int, int]) -> tuple[int, int]:
    return after[0] - before[0], after[1] - before[1]


def _counts(name: str, seen: Sequence[tuple[int, int]], aim: Target | None) -> list[Row]:
    trips_each, requests_each = zip(*seen, strict=True)
    mean = statistics.mean(trips_each)
    note = f"mean {mean:.3f} over {len(seen)}, with what jobs did meanwhile"
    none = within(0.0) if aim else None
    rows = [
        Row(name, "round trips to PostgreSQL", (statistics.median(trips_each),), target=aim),
        Row(name, "requests to the object store", (statistics.median(requests_each),), target=none),
    ]
    return [replace(row, sides=FLEET) for row in (rows[0].noted(note), rows[1])]
