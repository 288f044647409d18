"""A page that is open, as the server sees it: a stream of what is pushed."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from registry import Registry


class Stream:
    """An open stream of one visitor."""

    def __init__(self, registry: Registry, last: str = "", after: int | None = None) -> None:
        self._connection = HTTPConnection(registry.host, registry.port, timeout=5)
        headers = {"Accept": "text/event-stream"}
        if registry.authorization:
            headers["Authorization"] = registry.authorization
        if last:
            headers["Last-Event-ID"] = last
        place = "/events" if after is None else f"/events?after={after}"
        self._connection.request("GET", place, headers=headers)
        self.answer: HTTPResponse = self._connection.getresponse()
        assert self.answer.status == 200
        assert self.answer.readline().startswith(b"retry:")
        self.answer.readline()
        self.place = ""

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._connection.close()

    def next(self) -> dict[str, Any]:
        """Return the next push that is told."""
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream has ended"
            if line.startswith("id:"):
                self.place = line[3:].strip()
            if line.startswith("data:"):
                told: dict[str, Any] = json.loads(line[5:])
                return told


def wait_for_a_place(registry: Registry, seconds: float = 2.0) -> None:
    """Wait until a visitor may listen: the server has seen that somebody went."""
    until = time.monotonic() + seconds
    while registry.head("/events").status == 429:
        assert time.monotonic() < until, "no place is free"
        time.sleep(0.05)
