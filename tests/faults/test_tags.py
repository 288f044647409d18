"""Tags are registers with one order of all that happens to them (P4); referrers are a set (P7)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faults.linearizability import LOST, Kind, Operation, is_linearizable
from faults.tagging import Client, run_clients, with_a_stale_answer
from faults.watching import commits_of, samples_of, wait_for_workers, workers_of
from mutants import Mutant, spoiled
from process import Server
from registry import (
    EMPTY_JSON,
    OCI_EMPTY,
    Registry,
    describe,
    image_document,
    next_link,
)

# Each has a history of each of four tags; a release is tested with two hundred histories.
ROUNDS = int(os.environ.get("TAG_ROUNDS", "1"))
MOST_ALONE = 3
CLIENTS = 6
SECONDS = 4.0
KILLS = ("nothing", "a worker", "the server")
BROKEN = [
    Mutant(
        "a condition is looked at before the tag is written",
        "v2/manifests.py",
        "    prepared = push.prepare(name, raw, manifest, digest, tags, _condition(request))\n",
        "    condition = _condition(request)\n"
        "    if condition != Condition():\n"
        "        _, seen = await pull.find_manifest(s, actor, name, reference, raw=False)\n"
        "        is_as_asked = seen is None if not condition.match else (\n"
        "            seen is not None and seen.digest in condition.match\n"
        "        )\n"
        "        if is_as_asked:\n"
        "            condition = Condition()\n"
        "    prepared = push.prepare(name, raw, manifest, digest, tags, condition)\n",
    ),
    Mutant(
        "each worker remembers for a moment what a tag was",
        "registry/pull.py",
        "    return await s.db.read(read)\n\n\nasync def find_blob(",
        "    seen = find_manifest.__dict__.setdefault(f'{name}:{reference}:{raw}', [0, None])\n"
        "    if seen[0] < s.clock.now():\n"
        "        seen[:] = s.clock.now() + 50, await s.db.read(read)\n"
        "    return seen[1]\n\n\nasync def find_blob(",
    ),
]


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


def disturb(running: Server, what: str) -> None:
    """Kill one of two workers, or twice the whole server."""
    if what == "a worker":
        os.kill(workers_of(running)[0], signal.SIGKILL)
    elif what == "the server":
        for _ in range(2):
            running.kill()
            running.start()
            time.sleep(0.3)


def histories(running: Server, what: str = "nothing") -> dict[str, list[Operation]]:
    """Return what six clients of two workers saw of four new tags, while something was killed."""
    wait_for_workers(running)
    repository = Registry(running.url).repository()
    clients = [Client(repository, seed) for seed in range(CLIENTS)]
    return run_clients(clients, SECONDS, lambda: disturb(running, what))


@pytest.mark.timeout(60 + 30 * ROUNDS)
@pytest.mark.parametrize("killing", KILLS)
def test_a_tag_has_one_history(
    server: Callable[..., Server], figure: Callable[[str], None], killing: str
) -> None:
    """Reads, writes, conditional writes and deletions by six clients through two workers."""
    checked: Counter[str] = Counter()
    seconds = 0.0
    rounds = alone = 0
    while rounds < ROUNDS:
        running = server()
        history = histories(running, killing)
        began = time.monotonic()
        for tag, operations in history.items():
            assert is_linearizable(operations), f"{tag}: {operations}"
            stale = with_a_stale_answer(operations)
            assert stale is operations or not is_linearizable(stale), "it takes anything"
            checked["stale"] += stale is not operations
            checked["histories"] += 1
            checked["operations"] += len(operations)
            checked["lost"] += sum(one.returned == LOST for one in operations)
        seconds += time.monotonic() - began
        commits = commits_of(samples_of(running)) if killing == "nothing" else {}
        running.kill()
        if commits and not min(commits["0"], commits["1"]):
            # Now and then all six connections are one worker's, which says nothing about two.
            alone += 1
            assert alone <= MOST_ALONE, "one worker did all"
        else:
            rounds += 1
    figure(
        f"{checked['histories']} histories of {checked['operations']} operations, "
        f"{checked['lost']} of them lost, all linearizable, checked in {seconds:.1f} s"
    )
    assert (checked["lost"] == 0) == (killing == "nothing")
    assert checked["stale"] > 0


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.title)
def test_a_broken_registry_is_noticed(
    server: Callable[..., Server],
    tmp_path: Path,
    figure: Callable[[str], None],
    broken: Mutant,
) -> None:
    """The checker finds what a registry does wrong that takes no care in one place."""
    running = server(env={"PYTHONPATH": str(spoiled(broken, tmp_path / "broken"))})
    for tries in range(1, 6):
        history = histories(running)
        wrong = [tag for tag, operations in history.items() if not is_linearizable(operations)]
        if wrong:
            figure(f"{len(wrong)} of {len(history)} histories are none of a register, try {tries}")
            return
    pytest.fail("every history was that of a register")


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
