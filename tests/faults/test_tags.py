"""Tags are registers with one order of all that happens to them (P4); referrers are a set (P7)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from faults.linearizability import LOST, Kind, Operation, is_linearizable
from faults.tagging import Client, run_clients, with_a_stale_answer
from faults.watching import commits_of, samples_of, wait_for_workers, workers_of
from process import Server
from registry import (
    EMPTY_JSON,
    OCI_EMPTY,
    Registry,
    describe,
    image_document,
    next_link,
)

CLIENTS = 6
SECONDS = 4.0


def at(
    called: float,
    returned: float,
    kind: Kind,
    value: str | None = None,
    expected: str | None = None,
    *,
    done: bool | None = True,
) -> Operation:
    """Return an operation."""
    return Operation(called, returned, kind, value, expected, done)


PUT_A = at(0, 1, "put", value="a")


@pytest.mark.parametrize(
    ("history", "holds"),
    [
        ([PUT_A, at(2, 3, "get", value="a")], True),
        ([PUT_A, at(2, 3, "put", value="b"), at(4, 5, "get", value="a")], False),
        ([PUT_A, at(2, 5, "put", value="b"), at(3, 4, "get", value="a")], True),
        # A lost answer: it may happen late, or never, but not be undone.
        ([PUT_A, at(2, LOST, "put", value="b", done=None), at(4, 5, "get", value="a")], True),
        (
            [
                PUT_A,
                at(2, LOST, "put", value="b", done=None),
                at(4, 5, "get", value="b"),
                at(6, 7, "get", value="a"),
            ],
            False,
        ),
        # Two that saw the same value can't both replace it.
        (
            [
                PUT_A,
                at(2, 6, "swap", value="b", expected="a"),
                at(3, 7, "swap", value="c", expected="a"),
            ],
            False,
        ),
        ([PUT_A, at(2, 3, "swap", value="b", expected="z", done=False)], True),
        ([PUT_A, at(2, 3, "delete"), at(4, 5, "get", value=None)], True),
        ([PUT_A, at(2, 3, "delete"), at(2, 3, "delete")], False),
        ([at(0, 4, "create", value="a"), at(1, 5, "create", value="b")], False),
    ],
)
def test_the_checker_itself(history: list[Operation], holds: bool) -> None:
    """It takes what a register can do, and nothing else."""
    assert is_linearizable(history) is holds


@pytest.mark.parametrize("killing", [False, True], ids=["calm", "killing a worker"])
def test_a_tag_has_one_history(
    server: Callable[..., Server], figure: Callable[[str], None], killing: bool
) -> None:
    """Reads, writes, conditional writes and deletions by six clients through two workers."""
    running = server()

    def disturb() -> None:
        if killing:
            os.kill(workers_of(running)[0], signal.SIGKILL)

    wait_for_workers(running)
    repository = Registry(running.url).repository()
    clients = [Client(repository, seed) for seed in range(CLIENTS)]
    history = run_clients(clients, SECONDS, disturb)
    began = time.monotonic()
    for tag, operations in history.items():
        assert is_linearizable(operations), f"{tag}: {operations}"
        assert not is_linearizable(with_a_stale_answer(operations)), "the checker takes anything"
    count = sum(map(len, history.values()))
    lost = sum(one.returned == LOST for operations in history.values() for one in operations)
    figure(f"{count} operations, {lost} lost, checked in {time.monotonic() - began:.1f} s")
    if not killing:
        commits = commits_of(samples_of(running))
        assert min(commits["0"], commits["1"]) > 0, "one worker did all"
        assert lost == 0


def test_no_referrer_is_lost(server: Callable[..., Server]) -> None:
    """Many clients attach to one image at once: all that were acknowledged are listed."""
    running = server()
    wait_for_workers(running)
    repository = Registry(running.url).repository()
    subject = repository.push_image("signed").descriptor()
    repository.push_blob(EMPTY_JSON)
    empty = describe(EMPTY_JSON, OCI_EMPTY)
    start = threading.Barrier(8)

    def attach(client: int) -> list[str]:
        start.wait()
        return [
            repository.push_manifest(
                image_document(
                    empty,
                    [empty],
                    artifactType="application/vnd.test.signature",
                    subject=subject,
                    annotations={"by": f"{client}-{number}"},
                )
            ).digest
            for number in range(12)
        ]

    with ThreadPoolExecutor(8) as pool:
        made = [digest for digests in pool.map(attach, range(8)) for digest in digests]
    target: str | None = repository.path(f"referrers/{subject['digest']}")
    listed: list[str] = []
    while target:
        answer = repository.registry.get(target).expect(200)
        listed += [descriptor["digest"] for descriptor in answer.json()["manifests"]]
        target = next_link(answer)
    assert sorted(listed) == sorted(made)
