"""One replica and three, one worker each, on the same stores; and what an idle one takes.

On a machine of two cores the load generator, PostgreSQL and the object store share the cores with
the replicas: `cores busy` says how much of them the whole took, and so what the limit was.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench import bodies, load, uploads
from bench.bodies import MANIFEST
from bench.load import Work
from bench.manifests import SMALL
from bench.report import Row
from bench.resources import SETTLE
from bench.rounds import IMAGES, MB, REQUESTS, Bench, Unit, say
from bench.servers import Server
from bench.stores import FLEET, Replica, Spent, Stores, fleet_pair, running
from bench.uploads import Batch

MOST = 3
SIDES = ("three replicas", "one replica")
CONNECTIONS = 24  # over all replicas


@dataclass(slots=True)
class Side:
    """What was measured with so many replicas, a value a round."""

    spent: Spent
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)


def scaling(bench: Bench) -> list[Row]:
    """Manifest GETs and small images over one replica and over three, the same load on both."""
    rows: list[Row] = []
    with Stores(bench.directory()) as stores:
        settings = stores.settings()
        replicas: list[Server] = [Replica.make(bench, settings) for _ in range(MOST)]
        with running(replicas):
            connection = replicas[0].connection()
            uploads.push_image(connection, SMALL, "v0", bodies.image("scaling", padding=1400))
            connection.close()
            rows += _scaled(bench, stores, replicas, _manifests(bench), REQUESTS)
            rows += _scaled(bench, stores, replicas, _pushes(bench), IMAGES)
    return rows


Load = Callable[[Sequence[Server], int], Work]


def _manifests(bench: Bench) -> Load:
    def run(replicas: Sequence[Server], _: int) -> Work:
        share = CONNECTIONS // len(replicas)
        script = bench.scratch / "scaling.lua"
        calls = [
            (
                load.wrk,
                (replica.endpoint, f"/v2/{SMALL}/manifests/v0"),
                script.with_suffix(f".{place}"),
                bench.seconds,
                share,
                MANIFEST,
            )
            for place, replica in enumerate(replicas)
        ]
        return bench.side_by_side(calls)

    return run


def _pushes(bench: Bench) -> Load:
    def run(replicas: Sequence[Server], number: int) -> Work:
        seconds = bench.size(6, 3)
        share = CONNECTIONS // len(replicas)
        calls = [
            (
                uploads.push_images,
                replica.endpoint,
                Batch(f"s{len(replicas)}n{number}r{place}", 2400 // len(replicas), share, seconds),
            )
            for place, replica in enumerate(replicas)
        ]
        return bench.side_by_side(calls)

    return run


def _scaled(
    bench: Bench, stores: Stores, replicas: Sequence[Server], run: Load, unit: Unit
) -> list[Row]:
    sides = {count: Side(Spent(stores)) for count in (MOST, 1)}
    for number in range(bench.rounds):
        for count, side in sides.items():
            _round(side, replicas, lambda n=number, c=count: run(replicas[:c], n), unit)  # type: ignore[misc]
            say(".")
    name = "manifest GET by tag" if unit is REQUESTS else "small images"
    name += f", {CONNECTIONS} connections"
    many, few = sides[MOST], sides[1]
    scale = unit.cost_scale

    def row(figure: str, read: Callable[[Side], list[float]], size: float = 1.0) -> Row:
        ours, peer = (tuple(value * size for value in read(side)) for side in (many, few))
        return Row(name, figure, ours, peer, sides=SIDES)

    return [
        row(unit.rate, lambda side: side.rates),
        row(f"{unit.cost}, replicas", lambda side: side.costs, scale),
        row(f"{unit.cost}, PostgreSQL", lambda side: side.spent.database, scale),
        row(f"{unit.cost}, object store", lambda side: side.spent.objects, scale),
        row("cores busy", lambda side: side.busy),
    ]


def _round(side: Side, replicas: Sequence[Server], run: Callable[[], Work], unit: Unit) -> None:
    done: list[Work] = []
    before = sum(replica.cpu() for replica in replicas)
    with side.spent.counted(done):
        done.append(run())
    used = sum(replica.cpu() for replica in replicas) - before
    work = done[0]
    side.rates.append(work.operations / unit.rate_size / work.seconds)
    side.costs.append(used / work.operations)
    side.busy.append(side.spent.busy[-1] + used / work.seconds)


def idle(bench: Bench) -> list[Row]:
    """Memory of a replica of one worker beside the embedded shape, ten seconds after the start."""
    values: list[list[float]] = [[], []]
    for _ in range(bench.long_rounds):
        with fleet_pair(bench, workers=1) as fleet:
            time.sleep(SETTLE)
            for server, seen in zip(fleet.pair, values, strict=True):
                seen.append(server.memory() / MB)
    ours, peer = map(tuple, values)
    return [Row("idle, one worker", "PSS MB", ours, peer, sides=FLEET)]
