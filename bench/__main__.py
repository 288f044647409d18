"""`python -m bench`: chooses the measurements, prints the table, keeps the results."""

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench import (
    access,
    blobs,
    fleet,
    fleet_pages,
    fleet_pushes,
    fleet_replicas,
    manifests,
    pages,
    pushes,
    report,
    resources,
)
from bench.report import Report, Row
from bench.rounds import Bench, keep_apart, say
from bench.servers import Moorage, Server, SpareRegistry, make_certificate
from bench.tools import BenchError

Measurement = Callable[[Bench], list[Row]]

MEASUREMENTS: Mapping[str, Measurement] = {
    "manifests": manifests.manifest_requests,
    "many-tags": manifests.many_tags,
    "auth": access.credentials,
    "wrong-passwords": access.wrong_passwords,
    "small-blobs": blobs.small_blobs,
    "ranges": blobs.ranges,
    "pull": blobs.pulls,
    "pull-tls": blobs.pulls_tls,
    "push-put": pushes.push_put,
    "push-patch": pushes.push_patch,
    "images": pushes.small_images,
    "skopeo": pushes.skopeo,
    "tags": pages.tags_at_scale,
    "catalog": pages.catalog_at_scale,
    "idle": resources.idle_memory,
    "loop-lag": resources.loop_lag,
    "fairness": resources.fairness,
    "huge": blobs.huge,
    "fleet-pulls": fleet.pulls,
    "fleet-password": fleet.passwords,
    "fleet-redirects": fleet.redirects,
    "fleet-streams": fleet.streams,
    "fleet-trips": fleet.trips,
    "fleet-images": fleet_pushes.images,
    "fleet-push-put": fleet_pushes.push_put,
    "fleet-push-patch": fleet_pushes.push_patch,
    "fleet-reread": fleet_pushes.reread,
    "fleet-pages": fleet_pages.pages,
    "fleet-scaling": fleet_replicas.scaling,
    "fleet-idle": fleet_replicas.idle,
}
ONLY = "measure these alone; `fleet-` is all that begin so"
# Measured only when named.
ASKED_FOR = {"huge", *(name for name in MEASUREMENTS if name.startswith("fleet-"))}


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line, its names checked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME,NAME", help=ONLY)
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--no-save", action="store_true", help="print without keeping results")
    parser.add_argument(
        "--self-test", action="store_true", help="docker-registry on both sides; keeps nothing"
    )
    chosen = parser.parse_args(words)
    asked = [name for name in chosen.only.split(",") if name]
    chosen.names = [each for name in asked for each in named(name)] or [
        name for name in MEASUREMENTS if name not in ASKED_FOR
    ]
    if unknown := set(chosen.names) - set(MEASUREMENTS):
        parser.error(f"no measurement {', '.join(sorted(unknown))}; see --list")
    return chosen


def named(name: str) -> list[str]:
    """Return what a name on the command line stands for; one that ends in `-` begins several."""
    several = [each for each in MEASUREMENTS if name.endswith("-") and each.startswith(name)]
    return several or [name]


def measure(bench: Bench, names: Sequence[str], kind: str) -> Report:
    """Make the measurements; one that fails leaves its reason in the report."""
    result = Report(kind)
    started = time.perf_counter()
    for name in names:
        say(f"{name} ")
        begun = time.perf_counter()
        try:
            result.rows += MEASUREMENTS[name](bench)
        except (BenchError, OSError, ValueError) as error:
            result.failures[name] = " ".join(str(error).split())
            say(f" FAILED: {error}")
        say(f" {time.perf_counter() - begun:.0f} s\n")
    say(f"{(time.perf_counter() - started) / 60:.1f} minutes in all\n")
    return result


def warm(pool: ProcessPoolExecutor) -> None:
    """Start the load processes now, before any thread exists that a fork could catch."""
    pool.submit(os.getpid).result()


def main() -> int:
    """Run the benchmark; the status is 1 if something could not be measured."""
    chosen = arguments()
    if chosen.list:
        sys.stdout.write("\n".join(MEASUREMENTS) + "\n")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ours: type[Server] = SpareRegistry if chosen.self_test else Moorage
    scratch = Path(tempfile.mkdtemp(prefix="moorage-bench-"))
    keep_apart(scratch)
    context = multiprocessing.get_context("fork")
    try:
        with ProcessPoolExecutor(3, mp_context=context) as pool:
            warm(pool)
            bench = Bench(scratch, pool, make_certificate(scratch), ours, quick=chosen.quick)
            kind = "quick run" if chosen.quick else "full run"
            part = f" of {chosen.only}" if chosen.only else ""
            result = measure(bench, chosen.names, kind + part)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.write(result.markdown())
    if not (chosen.no_save or chosen.self_test):
        result.save(report.HERE)
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
