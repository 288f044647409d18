"""Clients that read and write tags at random, and what they saw: histories of registers."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from faults.linearizability import LOST, Operation
from registry import OCI_INDEX, Answer, Repository, digest_of, encode, index_document

TAGS = ("one", "two", "three", "four")
History = dict[str, list[Operation]]


class Client:
    """One client that reads and writes tags at random, and writes down what it saw.

    `lost` are statuses by which a proxy says that it lost the answer.
    """

    def __init__(self, repository: Repository, seed: int, lost: Container[int] = ()) -> None:
        self._repository = repository
        self._lost = lost
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
                time.sleep(0.01)  # whoever died is not there again at once

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
        answer = self._repository.registry.request(method, target, headers, body, self._wire)
        if answer.status in self._lost:
            raise ConnectionResetError(f"the proxy answered {answer.status}")
        return answer

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


def run_clients(clients: Sequence[Client], seconds: float, disturb: Callable[[], None]) -> History:
    """Let all clients work for so long, disturb them after a third, and return what they saw."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(len(clients)) as pool:
        running = [pool.submit(client.run, until) for client in clients]
        time.sleep(seconds / 3)
        disturb()
        for client in running:
            client.result(60)
    return {tag: [seen for client in clients for seen in client.history[tag]] for tag in TAGS}


def with_a_stale_answer(history: list[Operation]) -> list[Operation]:
    """Return the history with its last read told what was replaced before; as it is if it can't be.

    In between there must have been a write for certain: a server that is killed early has few.
    """
    puts = [one for one in history if one.kind == "put" and one.done]
    reads = [one for one in history if one.kind == "get" and one.returned != LOST]
    if not puts or not reads:
        return history
    oldest = min(puts, key=lambda one: one.called)
    last = max(reads, key=lambda one: one.called)
    if not any(
        one.done and oldest.returned < one.called and one.returned < last.called
        for one in history
        if one.kind != "get"
    ):
        return history
    return [replace(one, value=oldest.value) if one is last else one for one in history]
