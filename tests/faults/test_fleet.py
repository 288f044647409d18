"""Three replicas behind nginx: one dies every few seconds, then the database, then the store.

The short form is for every change; `make faults` runs the long one.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from faults.fleetload import Client, Failure, Load, Record, Unanswered, check_image
from faults.fronting import Front
from process import require_tool

PUSHES = int(os.environ.get("FLEET_PUSHES", "360"))
PULLS = int(os.environ.get("FLEET_PULLS", "3600"))
SECONDS_BETWEEN_KILLS = float(os.environ.get("FLEET_KILL_SECONDS", "1"))
PUSHERS, PULLERS = 6, 6
LONGEST = 60.0 + (PUSHES + PULLS) / 15
Figure = Callable[[str], None]

pytestmark = [require_tool("nginx"), pytest.mark.timeout(LONGEST + 120)]


class Killer(threading.Thread):
    """Kills one replica after the other, and starts each again shortly afterwards."""

    def __init__(self, front: Front) -> None:
        super().__init__()
        self._servers = front.servers
        self._end = threading.Event()
        # From when the signal was sent until no process had the port any more.
        self.kills: list[tuple[float, float]] = []

    def run(self) -> None:
        """Go on until `end`."""
        while not self._end.wait(SECONDS_BETWEEN_KILLS):
            replica = self._servers[len(self.kills) % len(self._servers)]
            sent = time.monotonic()
            replica.kill()
            while is_open(replica.port):
                time.sleep(0.001)
            self.kills.append((sent, time.monotonic()))
            self._end.wait(0.5)
            replica.start()

    def end(self) -> None:
        """Stop killing, and wait until all replicas are there."""
        self._end.set()
        self.join()


def is_open(port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def unexplained(failures: list[Failure], spans: list[tuple[float, float]]) -> list[Failure]:
    """Return the failures that were not under way during any of the spans."""
    return [
        failure
        for failure in failures
        if not any(failure.began <= end and failure.ended >= start for start, end in spans)
    ]


def check_everything(front: Front, record: Record) -> None:
    """Ask every replica for all that was acknowledged, byte by byte."""
    for number, replica in enumerate(front.servers):
        client = Client(replica.port, front.credentials, record)
        for image in record.images[number :: len(front.servers)]:
            check_image(client, image, record, blobs=list(image.blobs))
        client.close()


def test_replicas_die(front: Front, figure: Figure) -> None:
    """Nothing acknowledged is lost, no byte is wrong, and only what was under way fails."""
    load = Load(front.port, front.credentials, PUSHES, PULLS)
    killer = Killer(front)
    began = time.monotonic()
    killer.start()
    try:
        load.run(PUSHERS, PULLERS, began + LONGEST)
    finally:
        seconds = time.monotonic() - began
        killer.end()
    record = load.record
    failed = list(record.failures)
    check_everything(front, record)
    figure(
        f"{len(record.images)} pushes and {record.pulls} pulls in {seconds:.0f} s over "
        f"{len(killer.kills)} kills: {len(failed)} requests failed, "
        f"{len(unexplained(failed, killer.kills))} of them sent after the kill, "
        f"{len(record.wrong)} wrong"
    )
    assert record.wrong == []
    assert len(record.images) == PUSHES
    assert record.pulls >= 0.95 * PULLS
    assert len(killer.kills) >= 2
    assert unexplained(failed, killer.kills) == []
    assert record.failures == failed, "a request failed when nothing was killed any more"


def outage(
    front: Front, stop: Callable[[], None], start: Callable[[], object]
) -> tuple[Record, float, float]:
    """Stop something in the middle of a load and start it again; return what clients saw."""
    load = Load(front.port, front.credentials, PUSHES // 2, PULLS // 2)
    times: list[float] = []

    def disturb() -> None:
        while len(load.record.images) < PUSHES // 8:
            time.sleep(0.05)
        times.append(time.monotonic())
        stop()
        time.sleep(3)
        start()
        times.append(time.monotonic())

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    load.run(PUSHERS, PULLERS, time.monotonic() + LONGEST)
    disturbing.join()
    return load.record, times[0], times[1]


def test_the_database_dies(front: Front, figure: Figure) -> None:
    """503 with Retry-After while it is gone, nothing false, and on as before afterwards."""
    record, stopped, started = outage(front, front.fleet.database.kill, front.fleet.database.start)
    failed = list(record.failures)
    check_everything(front, record)
    late = [one.ended - started for one in failed if one.ended > started]
    figure(
        f"PostgreSQL gone for {started - stopped:.1f} s: {len(failed)} requests failed, "
        f"{record.retry_after} with Retry-After, the last {max(late, default=0):.1f} s after that"
    )
    assert record.wrong == []
    assert len(record.images) == PUSHES // 2
    assert record.retry_after > 0
    assert all("503" in one.why for one in failed), [one for one in failed if "503" not in one.why]
    assert unexplained(failed, [(stopped, started + 5)]) == []


def test_the_store_dies(front: Front, figure: Figure) -> None:
    """Pushes are 503 with Retry-After, tags and manifests are pulled meanwhile."""
    record, stopped, started = outage(front, front.fleet.store.close, front.fleet.store.launch)
    failed = list(record.failures)
    check_everything(front, record)
    figure(
        f"the store gone for {started - stopped:.1f} s: {len(failed)} requests failed, "
        f"{record.retry_after} with Retry-After"
    )
    assert record.wrong == []
    assert len(record.images) == PUSHES // 2
    ours = [one for one in failed if "at the store" not in one.request]
    assert all("503" in one.why for one in ours), ours
    assert not any("/manifests/" in one.request and one.request.startswith("GET") for one in ours)
    assert unexplained(failed, [(stopped, started + 10)]) == []


def test_ready_tells_what_fails(front: Front) -> None:
    """`/readyz` names the dependency; `/healthz` goes on; both are well at once after it."""
    with closing(Client(front.servers[0].port, front.credentials, Record())) as client:
        assert client.ask("GET", "/readyz")[0] == 200
        front.fleet.database.kill()
        try:
            with pytest.raises(Unanswered):
                client.ask("GET", "/readyz")
            assert client.ask("GET", "/healthz")[0] == 200
        finally:
            front.fleet.database.start()
        assert client.ask("GET", "/readyz")[0] == 200


def readiness(port: int) -> tuple[int, dict[str, str]]:
    """Return what `/readyz` answers: the status, and each dependency's state."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as asking:
        asking.request("GET", "/readyz")
        answer = asking.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("dependency", ["database", "storage"])
def test_ready_tells_what_hangs(front: Front, dependency: str) -> None:
    """The same of what stands still and keeps its connections, within three seconds each time."""
    frozen = front.fleet.database if dependency == "database" else front.fleet.store
    frozen.freeze()
    try:
        for _ in range(4):
            began = time.monotonic()
            status, found = readiness(front.servers[0].port)
            assert time.monotonic() - began < 3
            assert status == 503
            assert [name for name, state in found.items() if state != "ok"] == [dependency]
    finally:
        frozen.thaw()
    until = time.monotonic() + 15
    while not front.servers[0].is_ready():
        assert time.monotonic() < until
        time.sleep(0.2)
