"""A tag has one history over all replicas: each client speaks to another one, or to the proxy.

The short form is for every change; `make faults` runs more rounds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from faults.fronting import Front
from faults.linearizability import LOST, is_linearizable
from faults.tagging import Client, run_clients, with_a_stale_answer
from process import require_tool
from registry import Registry, unique

ROUNDS = int(os.environ.get("FLEET_TAG_ROUNDS", "1"))
SECONDS = 5.0
# By which nginx says that a replica died with the request.
LOST_IN_PROXY = (502, 504)

pytestmark = [require_tool("nginx"), pytest.mark.timeout(120 + 60 * ROUNDS)]


def clients_of(front: Front) -> list[Client]:
    """Return two clients of each replica and two of the proxy, on the tags of one repository."""
    urls = [*(server.url for server in front.servers), f"http://127.0.0.1:{front.port}"]
    name = f"tags/{unique('r')}"
    return [
        Client(Registry(url, front.credentials).repository(name), seed, LOST_IN_PROXY)
        for seed, url in enumerate(urls * 2)
    ]


@pytest.mark.parametrize("killing", [False, True], ids=["calm", "killing a replica"])
def test_a_tag_has_one_history(front: Front, figure: Callable[[str], None], killing: bool) -> None:
    """Reads, writes, conditional writes and deletions by eight clients through three replicas."""
    count = lost = rejected = 0
    seconds = 0.0
    for number in range(ROUNDS):
        victim = front.servers[number % len(front.servers)]

        def disturb(victim=victim) -> None:
            if killing:
                victim.kill()
                time.sleep(0.5)
                victim.start()

        history = run_clients(clients_of(front), SECONDS, disturb)
        began = time.monotonic()
        for tag, operations in history.items():
            assert is_linearizable(operations), f"{tag}: {operations}"
            stale = with_a_stale_answer(operations)
            assert stale is operations or not is_linearizable(stale), "it takes anything"
            rejected += stale is not operations
        seconds += time.monotonic() - began
        count += sum(map(len, history.values()))
        lost += sum(one.returned == LOST for seen in history.values() for one in seen)
    figure(f"{count} operations, {lost} lost, {ROUNDS} rounds checked in {seconds:.1f} s")
    assert rejected > 0
    if not killing:
        assert lost == 0
