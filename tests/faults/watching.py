"""What the server tells of itself: metrics of its workers, and what the kernel knows of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from process import Server
from registry import Registry

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples_of(server: Server) -> Samples:
    """Return all samples of `/metrics` by name and labels."""
    text = Registry(server.url).get("/metrics").expect(200).body.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def commits_of(samples: Samples) -> dict[str, float]:
    """Return how many commits each process has made."""
    return {
        dict(labels)["worker"]: value
        for (name, labels), value in samples.items()
        if name == "moorage_commits_total"
    }


def wait_for_workers(server: Server) -> None:
    """Return when every worker is there, not only the first, and has had time to listen."""
    wanted = {str(number) for number in range(server.workers)}
    deadline = time.monotonic() + 10
    while not wanted <= commits_of(samples_of(server)).keys():
        assert time.monotonic() < deadline, server.stderr_tail()
        time.sleep(0.05)
    time.sleep(0.3)


def in_order(parent: int, numbers: Iterable[int]) -> list[int]:
    """Sort processes or threads by when they were begun: numbers are given in turn, and again."""
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    return sorted(numbers, key=lambda number: (number - parent) % most)


def workers_of(server: Server) -> list[int]:
    """Return the process ids of the workers, in the order of their names."""
    return in_order(server.pid, server.children())[: server.workers]


def jobs_of(server: Server) -> int:
    """Return the process id of the process of jobs; none of the others was started again."""
    return in_order(server.pid, server.children())[-1]


def is_alive(pid: int) -> bool:
    """Return whether a process runs, one that nobody has waited for yet not counted."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until_gone(pids: list[int], seconds: float = 5) -> None:
    """Return when none of the processes runs."""
    deadline = time.monotonic() + seconds
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"still running: {alive}"
        time.sleep(0.002)


def memory_of(server: Server) -> int:
    """Return the bytes of all processes of a server, shared ones counted once."""
    total = 0
    for pid in (server.pid, *server.children()):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) << 10
    return total
