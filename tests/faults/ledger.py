"""What clients were told is stored, and what they may therefore find after a fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from registry import Registry, Wire, digest_of

Place = tuple[str, str]


@dataclass
class Pointer:
    """A tag: what it is known to be, and what was asked of it since then without an answer."""

    known: str | None = None
    asked: list[str | None] = field(default_factory=list)

    @property
    def possible(self) -> set[str | None]:
        """What the tag may be, had everything stopped now."""
        return {self.known, *self.asked}


@dataclass
class Session:
    """An upload session: what is to be uploaded, and how much of it was acknowledged."""

    repository: str
    content: bytes
    offset: int = 0


class Ledger:
    """The acknowledgements of all clients of a test.

    A tag is moved by one client alone, so that the order of its values is known. `tell` is given
    each entry as a line of text before the client goes on; `read` makes a ledger of such lines.
    """

    def __init__(self, tell: Callable[[str], object] | None = None) -> None:
        self._tell = tell
        self.blobs: set[Place] = set()
        self.manifests: set[Place] = set()
        self.tags: dict[Place, Pointer] = {}
        self.sessions: dict[str, Session] = {}
        self.unchecked: list[tuple[str, str, str]] = []

    @classmethod
    def read(cls, lines: Iterable[str]) -> Ledger:
        """Return the ledger of lines that were told."""
        ledger = cls()
        for line in lines:
            ledger.note(*json.loads(line))
        return ledger

    def note(self, kind: str, repository: str, name: str, value: str | None = None) -> None:
        """Take in an entry: a blob or manifest is stored, a tag is asked to be, or is, a value."""
        if self._tell is not None:
            self._tell(json.dumps([kind, repository, name, value]) + "\n")
        place = (repository, name)
        if kind == "asked":
            self.tags.setdefault(place, Pointer()).asked.append(value)
        elif kind == "tag":
            self.tags[place] = Pointer(value)
        else:
            (self.blobs if kind == "blob" else self.manifests).add(place)
            self.unchecked.append((kind, *place))

    def __len__(self) -> int:
        return len(self.blobs) + len(self.manifests) + len(self.tags)

    def check(self, registry: Registry) -> None:
        """Ask a server that was started again for all that is new since the last check.

        Sessions are finished from where the server says that they are.
        """
        with registry.wire() as wire:
            while self.unchecked:
                kind, repository, digest = self.unchecked.pop()
                target = f"/v2/{repository}/{kind}s/{digest}"
                content = registry.request("GET", target, wire=wire).expect(200).body
                assert digest_of(content) == digest, f"{target} has other bytes"
            for (repository, tag), pointer in self.tags.items():
                if pointer.asked:
                    target = f"/v2/{repository}/manifests/{tag}"
                    answer = registry.request("HEAD", target, wire=wire).expect((200, 404))
                    found = answer["Docker-Content-Digest"] if answer.status == 200 else None
                    assert found in pointer.possible, f"{target} is {found}, not {pointer}"
                    self.tags[repository, tag] = Pointer(found)
            self._check_sessions(registry, wire)

    def _check_sessions(self, registry: Registry, wire: Wire) -> None:
        for location, session in list(self.sessions.items()):
            answer = registry.request("GET", location, wire=wire).expect(204)
            offset = int(answer["Range"].partition("-")[2]) + 1
            assert offset >= session.offset, f"{location} has lost bytes: {answer['Range']}"
            digest = digest_of(session.content)
            target = f"{location}?digest={digest}"
            rest = session.content[offset:]
            registry.request("PUT", target, body=rest, wire=wire).expect(201)
            del self.sessions[location]
            self.note("blob", session.repository, digest)
