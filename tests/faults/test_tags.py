"""Tags are registers with one order of all that happens to them (P4); referrers are a set (P7)."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from faults.linearizability import LOST, Kind, Operation, is_linearizable
from faults.watching import commits_of, samples_of, wait_for_workers, workers_of
from process import Server
from registry import (
    EMPTY_JSON,
    OCI_EMPTY,
    OCI_INDEX,
    Answer,
    Registry,
    Repository,
    describe,
    digest_of,
    encode,
    image_document,
    index_document,
    next_link,
)

CLIENTS = 6
TAGS = ("one", "two", "three", "four")
SECONDS = 4.0
History = dict[str, list[Operation]]


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


class Client:
    """One client that reads and writes tags at random, and writes down what it saw."""

    def __init__(self, repository: Repository, seed: int) -> None:
        self._repository = repository
        self._random = random.Random(seed)
        self._seed = seed
        self._seen: dict[str, str | None] = {}
        self._count = 0
        self.history: defaultdict[str, list[Operation]] = defaultdict(list)

    def run(self, until: float) -> None:
        """Go on until the time, over a new connection whenever one was lost."""
        while time.monotonic() < until:
            try:
                with self._repository.registry.wire() as self._wire:
                    while time.monotonic() < until:
                        self._step(self._random.choice(TAGS))
            except TimeoutError:
                raise
            except OSError:
                continue

    def _step(self, tag: str) -> None:
        kind = self._random.choice(("get", "get", "put", "put", "swap", "swap", "create", "delete"))
        self._count += 1
        raw = encode(index_document([], annotations={"by": f"{self._seed}-{self._count}"}))
        value = digest_of(raw) if kind in ("put", "swap", "create") else None
        headers = {"Content-Type": OCI_INDEX} if value else {}
        expected = None
        if kind == "swap":
            expected = self._seen.get(tag) or digest_of(b"never there")
            headers["If-Match"] = f'"{expected}"'
        elif kind == "create":
            headers["If-None-Match"] = "*"
        called = time.monotonic()
        lost = Operation(called, LOST, kind, value, expected)
        try:
            answer = self._ask(kind, tag, headers, raw)
        except OSError:
            self.history[tag].append(lost)
            raise
        self.history[tag].append(self._told(lost, tag, answer))

    def _ask(self, kind: str, tag: str, headers: dict[str, str], raw: bytes) -> Answer:
        method = {"get": self._random.choice(("GET", "HEAD")), "delete": "DELETE"}.get(kind, "PUT")
        target = self._repository.path(f"manifests/{tag}")
        body = raw if method == "PUT" else None
        return self._repository.registry.request(method, target, headers, body, self._wire)

    def _told(self, asked: Operation, tag: str, answer: Answer) -> Operation:
        if asked.kind == "get":
            answer.expect((200, 404))
            value = answer["Docker-Content-Digest"] if answer.status == 200 else None
            self._seen[tag] = value
            return replace(asked, returned=time.monotonic(), value=value)
        refusals = {"put": (), "swap": (412,), "create": (412,), "delete": (404,)}[asked.kind]
        answer.expect((201, 202, *refusals))
        done = answer.status in (201, 202)
        if done:
            self._seen[tag] = asked.value
        return replace(asked, returned=time.monotonic(), done=done)


def run_clients(server: Server, disturb: Callable[[], None]) -> History:
    """Let all clients work on the tags of one repository, and return what they saw."""
    wait_for_workers(server)
    until = time.monotonic() + SECONDS
    repository = Registry(server.url).repository()
    clients = [Client(repository, seed) for seed in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(client.run, until) for client in clients]
        time.sleep(SECONDS / 3)
        disturb()
        for client in running:
            client.result(60)
    return {tag: [seen for client in clients for seen in client.history[tag]] for tag in TAGS}


def with_a_stale_answer(history: list[Operation]) -> list[Operation]:
    """Return the history with its last read told what was replaced long before."""
    puts = [one for one in history if one.kind == "put" and one.done]
    oldest = min(puts, key=lambda one: one.called)
    last = max((one for one in history if one.kind == "get"), key=lambda one: one.called)
    return [replace(one, value=oldest.value) if one is last else one for one in history]


@pytest.mark.parametrize("killing", [False, True], ids=["calm", "killing a worker"])
def test_a_tag_has_one_history(
    server: Callable[..., Server], figure: Callable[[str], None], killing: bool
) -> None:
    """Reads, writes, conditional writes and deletions by six clients through two workers."""
    running = server()

    def disturb() -> None:
        if killing:
            os.kill(workers_of(running)[0], signal.SIGKILL)

    history = run_clients(running, disturb)
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
