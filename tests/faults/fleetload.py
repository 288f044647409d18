"""Clients that push and pull through a balancer, and remember what they were told and what failed.

Every image has a tag of its own, so that what a tag must be is known. A request that fails is noted
with its time, and what it was for is done again: a failure may cost an attempt, never an
acknowledgement.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from registry import (
    MANIFEST_TYPES,
    OCI_CONFIG,
    OCI_LAYER,
    basic,
    describe,
    digest_of,
    encode,
    image_document,
    unique,
    with_query,
)

ACCEPT = ", ".join(MANIFEST_TYPES)


@dataclass(frozen=True)
class Failure:
    """A request that got no answer, or one that says that the server could not."""

    began: float
    ended: float
    request: str
    why: str


@dataclass(frozen=True)
class Image:
    """An image that was acknowledged: its tag, its manifest and the blobs that it names."""

    repository: str
    tag: str
    raw: bytes
    blobs: tuple[str, ...]


@dataclass
class Record:
    """What all clients saw."""

    images: list[Image] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    pulls: int = 0
    retry_after: int = 0
    wrong: list[str] = field(default_factory=list)


class Unanswered(Exception):
    """The request failed; it has been noted."""


class Client:
    """One connection at a time to one address, opened again whenever it was lost."""

    def __init__(self, port: int, credentials: tuple[str, str], record: Record) -> None:
        self._port = port
        self._authorization = basic(*credentials)
        self._record = record
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, target: str, body: bytes | None = None, kind: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers (lower case) and body.

        Raises:
            Unanswered: no answer came, or a 5xx.
        """
        headers = {"Authorization": self._authorization, "Accept": ACCEPT}
        if kind:
            headers["Content-Type"] = kind
        began = time.monotonic()
        try:
            connection = self._connection or http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=60
            )
            self._connection = connection
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self._failed(began, f"{method} {target}", repr(error))
            raise Unanswered from error
        found = {name.lower(): value for name, value in answer.getheaders()}
        if answer.status >= 500:
            if answer.status == 503 and "retry-after" in found:
                self._record.retry_after += 1
            self._failed(began, f"{method} {target}", f"{answer.status} {content[:200]!r}")
            raise Unanswered
        return answer.status, found, content

    def fetch(self, address: str) -> bytes:
        """Return what is at another address, such as the object store's.

        Raises:
            Unanswered: it could not be had.
        """
        parts = urlsplit(address)
        began = time.monotonic()
        try:
            with contextlib.closing(
                http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
            ) as store:
                store.request("GET", f"{parts.path}?{parts.query}")
                answer = store.getresponse()
                content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._failed(began, "GET at the store", repr(error))
            raise Unanswered from error
        if answer.status >= 500:
            self._failed(began, "GET at the store", str(answer.status))
            raise Unanswered
        if answer.status != 200:
            self._record.wrong.append(f"the store answered {answer.status} {content[:200]!r}")
        return content

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _failed(self, began: float, request: str, why: str) -> None:
        self._record.failures.append(Failure(began, time.monotonic(), request, why))


class Load:
    """Pushers and pullers, until so many images have been pushed and so many pulls made."""

    def __init__(self, port: int, credentials: tuple[str, str], pushes: int, pulls: int) -> None:
        self.record = Record()
        self._port = port
        self._credentials = credentials
        self._left = {"push": pushes, "pull": pulls}
        self._lock = threading.Lock()
        self._repositories = [f"fleet/{unique('r')}" for _ in range(8)]

    def run(self, pushers: int, pullers: int, until: float) -> None:
        """Do it all, or stop at the time; raises what no client expects."""
        with ThreadPoolExecutor(pushers + pullers) as pool:
            working = [pool.submit(self._push_all, seed, until) for seed in range(pushers)]
            working += [pool.submit(self._pull_all, seed, until) for seed in range(pullers)]
            for one in working:
                one.result()

    def _take(self, what: str) -> bool:
        with self._lock:
            if self._left[what] <= 0:
                return False
            self._left[what] -= 1
            return True

    def _push_all(self, seed: int, until: float) -> None:
        chance = random.Random(f"push {seed} {self._repositories[0]}")
        client = Client(self._port, self._credentials, self.record)
        while self._take("push") and time.monotonic() < until:
            repository = chance.choice(self._repositories)
            layer = chance.randbytes(chance.choice((300, 4_000, 60_000)))
            config = encode({"architecture": "amd64", "os": "linux", "n": chance.random()})
            while not self._push(client, repository, unique("v"), config, layer):
                if time.monotonic() > until:
                    break
        client.close()

    def _push(self, client: Client, repository: str, tag: str, config: bytes, layer: bytes) -> bool:
        try:
            for content in (config, layer):
                status, headers, body = client.ask("POST", f"/v2/{repository}/blobs/uploads/")
                self._expect(status, 202, "POST", body)
                target = with_query(headers["location"], digest=digest_of(content))
                status, _, body = client.ask("PUT", target, content)
                self._expect(status, 201, "PUT", body)
            document = image_document(describe(config, OCI_CONFIG), [describe(layer, OCI_LAYER)])
            raw = encode(document)
            target = f"/v2/{repository}/manifests/{tag}"
            status, headers, body = client.ask("PUT", target, raw, document["mediaType"])
            self._expect(status, 201, "PUT manifest", body)
        except Unanswered:
            time.sleep(0.05)
            return False
        image = Image(repository, tag, raw, (digest_of(config), digest_of(layer)))
        with self._lock:
            self.record.images.append(image)
        return True

    def _pull_all(self, seed: int, until: float) -> None:
        chance = random.Random(f"pull {seed}")
        client = Client(self._port, self._credentials, self.record)
        while not self.record.images:
            if time.monotonic() > until:
                return
            time.sleep(0.05)
        while self._take("pull") and time.monotonic() < until:
            # What has just been pushed is asked of another replica, as often as what is old.
            newest = self.record.images[-8:]
            image = chance.choice(newest if chance.random() < 0.5 else self.record.images)
            try:
                check_image(client, image, self.record, blobs=chance.sample(image.blobs, 1))
                self.record.pulls += 1
            except Unanswered:
                time.sleep(0.05)
        client.close()

    def _expect(self, status: int, wanted: int, what: str, body: bytes) -> None:
        if status != wanted:
            self.record.wrong.append(f"{what} was answered {status} {body[:200]!r}")
            raise Unanswered


def check_image(client: Client, image: Image, record: Record, blobs: list[str]) -> None:
    """Pull the manifest by its tag, and the blobs, and compare every byte.

    Raises:
        Unanswered: a request failed.
    """
    status, headers, raw = client.ask("GET", f"/v2/{image.repository}/manifests/{image.tag}")
    if status != 200 or raw != image.raw or headers["docker-content-digest"] != digest_of(raw):
        record.wrong.append(f"{image.repository}:{image.tag} was answered {status} {raw[:200]!r}")
        return
    for digest in blobs:
        status, headers, content = client.ask("GET", f"/v2/{image.repository}/blobs/{digest}")
        if status == 307:
            content = client.fetch(headers["location"])
        elif status != 200:
            record.wrong.append(f"blob {digest} was answered {status} {content[:200]!r}")
            continue
        if digest_of(content) != digest:
            record.wrong.append(f"blob {digest} has other bytes: {content[:80]!r}")
