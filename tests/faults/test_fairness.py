"""Two workers at one database: neither starves, no push waits for long, the loops stay quick.

These measure, on a machine that others use too: each takes the best of three runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from faults.watching import Samples, commits_of, samples_of, wait_for_workers
from process import Server
from registry import OCI_INDEX, Registry, Repository, encode, index_document

Start = Callable[..., Server]
Figure = Callable[[str], None]
Found = TypeVar("Found")

RUNS = 3
SECONDS = 5.0
PUSHERS = 8
LAG = "moorage_event_loop_lag_seconds"
QUIET = {"MOORAGE_LOG__ACCESS": "false"}


def best_of_runs(
    measure: Callable[[], Found], good: Callable[[Found], bool], figure: Figure
) -> Found:
    """Measure until it is good, three times at most; return the good one, else the last."""
    for _ in range(RUNS):
        found = measure()
        figure(str(found))
        if good(found):
            break
    return found


def push_until(repository: Repository, client: int, until: float, pause: float) -> list[float]:
    """Push manifests over one connection, one transaction each; return the seconds of each."""
    taken = []
    kind = {"Content-Type": OCI_INDEX}
    with repository.registry.wire() as wire:
        for number in range(1 << 30):
            raw = encode(index_document([], annotations={"by": f"{client}-{number}-{until}"}))
            began = time.perf_counter()
            target = repository.path(f"manifests/t{client}")
            repository.registry.request("PUT", target, kind, raw, wire).expect(201)
            taken.append(time.perf_counter() - began)
            if time.monotonic() > until:
                return taken
            time.sleep(pause)
    return taken


def pull_until(repository: Repository, digest: str, until: float) -> None:
    """Pull a blob again and again over one connection, 20 times a second."""
    with repository.registry.wire() as wire:
        while time.monotonic() < until:
            target = repository.path(f"blobs/{digest}")
            repository.registry.request("GET", target, wire=wire).expect(200)
            time.sleep(0.05)


def grown(before: Samples, after: Samples, name: str) -> dict[str, float]:
    """Return by how much a histogram's buckets have grown, by their upper ends."""
    return {
        dict(labels)["le"]: value - before.get((sample, labels), 0)
        for (sample, labels), value in after.items()
        if sample == f"{name}_bucket"
    }


def test_no_worker_starves(server: Start, figure: Figure) -> None:
    """With eight clients pushing flat out, each of two workers makes its share of the commits."""
    running = server(env=QUIET)
    wait_for_workers(running)
    repository = Registry(running.url).repository()

    def share() -> float:
        before = commits_of(samples_of(running))
        until = time.monotonic() + SECONDS
        with ThreadPoolExecutor(PUSHERS) as pool:
            pushing = [
                pool.submit(push_until, repository, client, until, 0) for client in range(PUSHERS)
            ]
            for client in pushing:
                client.result(60)
        after = commits_of(samples_of(running))
        made = [after[worker] - before[worker] for worker in ("0", "1")]
        return round(min(made) / sum(made), 3)

    assert best_of_runs(share, lambda found: found >= 0.4, figure) >= 0.4


def test_no_push_waits_for_long(server: Start, figure: Figure) -> None:
    """The longest wait of any push is at most ten times the usual one."""
    running = server(env=QUIET)
    wait_for_workers(running)
    repository = Registry(running.url).repository()

    def waits() -> tuple[float, float]:
        until = time.monotonic() + SECONDS
        with ThreadPoolExecutor(PUSHERS) as pool:
            pushing = [
                pool.submit(push_until, repository, client, until, 0) for client in range(PUSHERS)
            ]
            taken = [seconds for client in pushing for seconds in client.result(60)]
        return round(statistics.median(taken), 4), round(max(taken), 4)

    def is_good(found: tuple[float, float]) -> bool:
        return found[1] <= 10 * found[0]

    assert is_good(best_of_runs(waits, is_good, figure))


def test_the_event_loops_stay_quick(server: Start, figure: Figure) -> None:
    """Pulls and pushes together: 99 of 100 times the loop is late by 20 ms at most."""
    running = server(env=QUIET)
    wait_for_workers(running)
    repository = Registry(running.url).repository()
    digest = repository.push_blob(bytes(1 << 20))["digest"]

    def late() -> float:
        before = samples_of(running)
        until = time.monotonic() + SECONDS
        with ThreadPoolExecutor(PUSHERS) as pool:
            working = [
                pool.submit(push_until, repository, client, until, 0.02) for client in range(4)
            ]
            pulling = [pool.submit(pull_until, repository, digest, until) for _ in range(4)]
            for client in (*working, *pulling):
                client.result(60)
        buckets = grown(before, samples_of(running), LAG)
        return round(1 - buckets["0.02"] / buckets["+Inf"], 4)

    assert best_of_runs(late, lambda found: found <= 0.01, figure) <= 0.01
