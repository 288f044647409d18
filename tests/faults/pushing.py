"""Clients that push without end, in every way the protocol has, and note what they are told."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from faults.ledger import Ledger, Session
from registry import (
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_LAYER,
    Answer,
    Json,
    Registry,
    Wire,
    describe,
    digest_of,
    encode,
    image_document,
    index_document,
)

SIZES = (2, 700, 9_000, 40_000, 150_000)
PIECES = 3


class Pusher:
    """One client with a repository and tags of its own, over one connection at a time."""

    def __init__(self, repository: str, ledger: Ledger, seed: int) -> None:
        self.repository = repository
        self._ledger = ledger
        self._random = random.Random(seed)
        self._images: list[Json] = []
        self._layers: list[Json] = []
        self._recent: list[bytes] = []
        self._registry: Registry | None = None
        self._wire: Wire | None = None
        self._steps: list[Callable[[], object]] = [
            self._push_blob,
            self._push_image,
            self._push_image,
            self._push_index,
            self._push_artifact,
            self._push_again,
            self._remove_tag,
            self._mount,
        ]

    def push(self, registry: Registry, steps: int = 1 << 30) -> None:
        """Take steps until there were enough, or the server is gone."""
        self._registry = registry
        try:
            with registry.wire() as self._wire:
                for _ in range(steps):
                    self._random.choice(self._steps)()
        except TimeoutError:
            raise
        except OSError:
            return

    def _ask(
        self, status: int, method: str, target: str, body: bytes | None = None, kind: str = ""
    ) -> Answer:
        assert self._registry is not None
        if not target.startswith("/"):
            target = f"/v2/{self.repository}/{target}"
        headers = {"Content-Type": kind} if kind else {}
        return self._registry.request(method, target, headers, body, self._wire).expect(status)

    def _stored(self, content: bytes, media_type: str) -> Json:
        self._ledger.note("blob", self.repository, digest_of(content))
        self._recent = [*self._recent[-3:], content]
        return describe(content, media_type)

    def _push_blob(self, content: bytes | None = None, media_type: str = OCI_LAYER) -> Json:
        if content is None:
            size = self._random.choice(SIZES)
            content = self._random.randbytes(size) if size > 2 else b"{}"
        way = self._random.choice((self._put, self._patch, self._post))
        way(content)
        layer = self._stored(content, media_type)
        self._layers = [*self._layers[-5:], layer]
        return layer

    def _put(self, content: bytes) -> None:
        location = self._ask(202, "POST", "blobs/uploads/")["Location"]
        self._ask(201, "PUT", f"{location}?digest={digest_of(content)}", content)

    def _patch(self, content: bytes) -> None:
        location = self._ask(202, "POST", "blobs/uploads/")["Location"]
        session = self._ledger.sessions[location] = Session(self.repository, content)
        step = len(content) // PIECES + 1
        for start in range(0, len(content), step):
            piece = content[start : start + step]
            self._ask(202, "PATCH", location, piece)
            session.offset = start + len(piece)
        # From here on the session may have ended, whether or not we are told.
        del self._ledger.sessions[location]
        self._ask(201, "PUT", f"{location}?digest={digest_of(content)}", b"")

    def _post(self, content: bytes) -> None:
        self._ask(201, "POST", f"blobs/uploads/?digest={digest_of(content)}", content)

    def _push_image(self) -> None:
        config = encode({"architecture": "amd64", "os": "linux", "n": self._random.random()})
        layers = [self._push_blob()]
        if self._layers:
            layers.append(self._random.choice(self._layers))
        document = image_document(self._push_blob(config, OCI_CONFIG), layers)
        self._images = [*self._images[-5:], self._push_manifest(document, self._tag())]

    def _push_index(self) -> None:
        """Two tags in one request: both of them move, or neither does."""
        if len(self._images) > 1:
            chosen = self._random.sample(self._images, 2)
            document = index_document(chosen, annotations={"n": str(self._random.random())})
            self._push_manifest(document, "left", "right")

    def _push_artifact(self) -> None:
        if self._images:
            self._push_blob(b"{}")
            empty = describe(b"{}", OCI_EMPTY)
            document = image_document(
                empty,
                [empty],
                artifactType="application/vnd.test.note",
                subject=self._random.choice(self._images),
                annotations={"n": str(self._random.random())},
            )
            self._push_manifest(document)

    def _push_manifest(self, document: Json, *tags: str) -> Json:
        raw = encode(document)
        digest, media_type = digest_of(raw), document["mediaType"]
        for tag in tags:
            self._ledger.note("asked", self.repository, tag, digest)
        target = f"manifests/{digest}"
        if len(tags) == 1:
            target = f"manifests/{tags[0]}"
        elif tags:
            target += "?" + "&".join(f"tag={tag}" for tag in tags)
        self._ask(201, "PUT", target, raw, media_type)
        self._ledger.note("manifest", self.repository, digest)
        for tag in tags:
            self._ledger.note("tag", self.repository, tag, digest)
        return describe(raw, media_type)

    def _push_again(self) -> None:
        """A blob that is there already: its new bytes replace the old ones."""
        if self._recent:
            self._push_blob(self._random.choice(self._recent))

    def _remove_tag(self) -> None:
        place = (self.repository, self._tag())
        pointer = self._ledger.tags.get(place)
        if pointer is not None and pointer.known is not None:
            self._ledger.note("asked", *place, None)
            self._ask(202, "DELETE", f"manifests/{place[1]}")
            self._ledger.note("tag", *place, None)

    def _mount(self) -> None:
        if self._layers:
            digest = self._random.choice(self._layers)["digest"]
            other = f"{self.repository}/copy"
            query = f"mount={digest}&from={self.repository}"
            self._ask(201, "POST", f"/v2/{other}/blobs/uploads/?{query}")
            self._ledger.note("blob", other, digest)

    def _tag(self) -> str:
        return f"v{self._random.randrange(4)}"


class Crowd:
    """Several pushers at once, each in a thread."""

    def __init__(self, ledger: Ledger, size: int, seed: int = 1) -> None:
        self.pushers = [Pusher(f"crowd/p{n}", ledger, seed * 1000 + n) for n in range(size)]
        self._pool = ThreadPoolExecutor(size)
        self._running: list[Future[None]] = []

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def start(self, registry: Registry, steps: int = 1 << 30) -> None:
        """Let all push until the server is gone, or each has taken its steps."""
        self._running = [self._pool.submit(p.push, registry, steps) for p in self.pushers]

    def join(self) -> None:
        """Wait until all have stopped, and raise what one of them did not expect."""
        for pushing in self._running:
            pushing.result(60)


def children_of(raw: bytes) -> tuple[set[str], str | None]:
    """Return the digests that a manifest names as its parts, and its subject's."""
    document = json.loads(raw)
    named = [document.get("config"), *document.get("layers", []), *document.get("manifests", [])]
    subject = document.get("subject")
    return {part["digest"] for part in named if part}, subject["digest"] if subject else None
