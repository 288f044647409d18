"""Clients that push, tag, mount, skip and delete while collection never rests, and what they know.

Only what a client was told counts: what it does not know the end of is left out until it does.
"""

from __future__ import annotations

import itertools
import math
import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from faults.invariants import Snapshot, key_of
from registry import (
    OCI_CONFIG,
    OCI_LAYER,
    Answer,
    Json,
    Registry,
    Wire,
    describe,
    digest_of,
    encode,
    image_document,
)

# Settings with which everything is collected as soon as a push allows.
LEASE, DELAY = 6, 1
RESTLESS = {
    "MOORAGE_ALLOW_SPARSE": "never",
    "MOORAGE_LOG__ACCESS": "false",
    "MOORAGE_TRASH_DAYS": "0",
    "MOORAGE_COLLECTION__EVERY_MINUTES": "0.001",
    "MOORAGE_COLLECTION__LEASE_HOURS": str(LEASE / 3600),
    "MOORAGE_COLLECTION__DELAY_HOURS": str(DELAY / 3600),
    "MOORAGE_COLLECTION__STOP_PERCENT": "100",
}
# What is left when nothing may go any more; and for how long to wait for that.
LEFT = (
    "SELECT subject_id FROM review_queue",
    "SELECT location FROM delete_queue",
    "SELECT blob_id FROM repository_blob WHERE lease_until <> 0 OR trash_until <> 0",
    "SELECT id FROM manifest WHERE trash_until <> 0",
)
LONGEST = 60

SIZES = (2, 700, 9_000, 90_000)
FEWEST, MOST = 6, 24  # images that a client keeps in each repository, and in both
OLDEST = 2  # of them, which it never deletes: what must outlast all


@dataclass
class Known:
    """What one client was told: its images with the content of their blobs, and its failures.

    The counts are of images, but for blobs that were skipped, mounted or pushed for nothing, and
    for connections that were cut.
    """

    images: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    pushed: int = 0
    pulled: int = 0
    deleted: int = 0
    skipped: int = 0
    mounted: int = 0
    unnamed: int = 0
    cut: int = 0


class Churner:
    """One client with two repositories of its own; a push of its begins and ends within a lease."""

    def __init__(self, name: str, seed: int, pause: float = 0.0) -> None:
        self.known = Known()
        self._pause = pause
        self._repositories = (f"{name}/here", f"{name}/there")
        self._random = random.Random(seed)
        self._registry: Registry | None = None
        self._wire: Wire | None = None

    def churn(self, registry: Registry, until: float = math.inf) -> None:
        """Go on until the time, or until the server is gone."""
        self._registry = registry
        try:
            with registry.wire() as self._wire:
                while time.monotonic() < until:
                    self._step()
                    time.sleep(self._pause)
        except TimeoutError:
            raise
        except OSError:
            self.known.cut += 1

    def _step(self) -> None:
        chosen = self._random.random()
        if len(self.known.images) > MOST or chosen < 0.25:
            self._delete_image()
        elif chosen < 0.4:
            self._push_garbage()
        elif chosen < 0.55:
            self._pull_image()
        else:
            self._push_image()

    def _ask(self, method: str, target: str, body: bytes | None = None, kind: str = "") -> Answer:
        assert self._registry is not None
        headers = {"Content-Type": kind} if kind else {}
        return self._registry.request(method, target, headers, body, self._wire)

    def _blob(self, repository: str, content: bytes) -> None:
        """Have the blob there: by asking whether it is, by a mount, or by a push."""
        digest = digest_of(content)
        if self._ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200:
            self.known.skipped += 1
            return
        target = f"/v2/{repository}/blobs/uploads/"
        other = next(each for each in self._repositories if each != repository)
        mounted = self._ask("POST", f"{target}?mount={digest}&from={other}")
        if mounted.status == 201:
            self.known.mounted += 1
            return
        location = mounted.expect(202)["Location"]
        self._ask("PUT", f"{location}?digest={digest}", content).expect(201)

    def _content(self) -> bytes:
        """Return new content, or some that an image has or had."""
        shared = [each for blobs in self.known.images.values() for each in blobs.values()]
        if shared and self._random.random() < 0.5:
            return self._random.choice(shared)
        size = self._random.choice(SIZES)
        return self._random.randbytes(size) if size > 2 else b"{}"

    def _push_image(self) -> None:
        repository = self._random.choice(self._repositories)
        config = encode({"os": "linux", "n": self._random.random()})
        layers = [self._content() for _ in range(self._random.randrange(1, 4))]
        for content in (config, *layers):
            self._blob(repository, content)
        document = image_document(
            describe(config, OCI_CONFIG), [describe(each, OCI_LAYER) for each in layers]
        )
        raw = encode(document)
        target = f"/v2/{repository}/manifests/v{self._random.randrange(4)}"
        answer = self._ask("PUT", target, raw, document["mediaType"])
        if answer.status != 201:
            self.known.failed.append(f"{target}: {answer.status} {answer.body!r}")
            return
        self.known.pushed += 1
        blobs = {digest_of(each): each for each in (config, *layers)}
        self.known.images[repository, digest_of(raw)] = blobs

    def _push_garbage(self) -> None:
        content = self._random.randbytes(self._random.choice(SIZES))
        self._blob(self._random.choice(self._repositories), content)
        self.known.unnamed += 1

    def _pull_image(self) -> None:
        if not self.known.images:
            return
        repository, digest = place = self._random.choice(list(self.known.images))
        answer = self._ask("GET", f"/v2/{repository}/manifests/{digest}")
        if answer.status != 200 or digest_of(answer.body) != digest:
            self.known.wrong.append(f"{place}: {answer.status} {answer.body!r}")
        for each, content in self.known.images[place].items():
            answer = self._ask("GET", f"/v2/{repository}/blobs/{each}")
            if answer.status != 200 or answer.body != content:
                self.known.wrong.append(f"{each} of {place}: {answer.status}")
        self.known.pulled += 1

    def _delete_image(self) -> None:
        young = itertools.islice(self.known.images, OLDEST, None)
        places = [place for place in young if self._is_many(place[0])]
        if not places:
            return
        place = self._random.choice(places)
        del self.known.images[place]  # whether or not we are told, nobody can count on it
        self._ask("DELETE", f"/v2/{place[0]}/manifests/{place[1]}").expect(202)
        self.known.deleted += 1

    def _is_many(self, repository: str) -> bool:
        return sum(each == repository for each, _ in self.known.images) > FEWEST


class Churn:
    """Several of them at once, each in a thread, with so many seconds between two steps of one."""

    def __init__(self, size: int, seed: int = 1, pause: float = 0.0) -> None:
        self.clients = [Churner(f"churn{n}", seed * 1000 + n, pause) for n in range(size)]
        self._pool = ThreadPoolExecutor(size)
        self._running: list[Future[None]] = []

    def start(self, *registries: Registry, until: float = math.inf) -> None:
        """Let all go on until the time, or until the server is gone; each speaks to another one."""
        pairs = zip(self.clients, itertools.cycle(registries), strict=False)
        self._running = [self._pool.submit(one.churn, server, until) for one, server in pairs]

    def join(self, seconds: float = 60) -> None:
        """Wait until all have stopped, and raise what one of them did not expect."""
        for each in self._running:
            each.result(seconds)

    def check(self, registry: Registry, share: float = 1.0) -> int:
        """Pull what the clients were told that is there, or a share of it; return how many blobs.

        Every byte must be what was pushed.
        """
        chance = random.Random(len(self._running))
        checked = 0
        with registry.wire() as wire:
            for client in self.clients:
                for (repository, digest), blobs in client.known.images.items():
                    if chance.random() > share:
                        continue
                    target = f"/v2/{repository}/manifests/{digest}"
                    registry.request("GET", target, wire=wire).expect(200)
                    for each, content in blobs.items():
                        target = f"/v2/{repository}/blobs/{each}"
                        found = registry.request("GET", target, wire=wire).expect(200)
                        assert found.body == content, target
                        checked += 1
        return checked

    @property
    def failed(self) -> list[str]:
        """The pushes that failed: none may, however collection is under way."""
        return [each for client in self.clients for each in client.known.failed]

    @property
    def wrong(self) -> list[str]:
        """The pulls that did not get what was pushed."""
        return [each for client in self.clients for each in client.known.wrong]

    def total(self, what: str) -> int:
        """Return the sum of a count."""
        return sum(getattr(client.known, what) for client in self.clients)

    def documents(self) -> Json:
        """Return what each repository is to have in the end: digests of manifests and blobs."""
        found: Json = {}
        for client in self.clients:
            for (repository, digest), blobs in client.known.images.items():
                manifests, parts = found.setdefault(repository, (set(), set()))
                manifests.add(digest)
                parts.update(blobs)
        return found


def wait_for_collection(data: Path) -> float:
    """Return after how many seconds nothing was left that may go."""
    began = time.monotonic()
    while True:
        with Snapshot(data) as snapshot:
            left = {statement: snapshot.rows(statement) for statement in LEFT}
        if not any(left.values()):
            return time.monotonic() - began
        assert time.monotonic() < began + LONGEST, left
        time.sleep(0.2)


def assert_exact(snapshot: Snapshot, churn: Churn) -> int:
    """Check that there is what clients have, not one thing more; return how many objects."""
    rows = snapshot.rows(
        "SELECT r.name, m.identity FROM manifest m JOIN repository r ON r.id = m.repository_id"
    )
    links = snapshot.rows(
        "SELECT r.name, d.digest FROM repository_blob l JOIN repository r ON r.id = l.repository_id"
        " JOIN blob_digest d ON d.blob_id = l.blob_id"
    )
    named = churn.documents()
    manifests = {(name, key_of(each)) for name, (found, _) in named.items() for each in found}
    blobs = {(name, key_of(each)) for name, (_, found) in named.items() for each in found}
    assert {(name, bytes(identity)) for name, identity in rows} == manifests
    assert {(name, bytes(digest)) for name, digest in links} == blobs
    assert snapshot.orphans() == []
    ((objects,),) = snapshot.rows("SELECT count(*) FROM blob")
    assert objects == len({digest for _, digest in blobs})
    return int(objects)
