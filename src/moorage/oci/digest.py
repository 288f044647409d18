"""Digests and the hashing that makes them (image-spec, descriptor.md, section "Digests").

A digest's *key* is how the tables hold it: one byte for the algorithm and the raw value.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from moorage.errors import DigestInvalid

_ENCODED = re.compile(r"[0-9a-f]+", re.ASCII)


def _blake3() -> Any:
    # Imported on first use: most registries never see one, and it costs 12 ms of the start.
    from blake3 import blake3  # noqa: PLC0415

    return blake3()


class Algorithm(NamedTuple):
    """A registered digest algorithm: the byte of its keys, its length and its hash object."""

    mark: int
    hex_length: int
    new: Callable[[], Any]


ALGORITHMS = {
    "sha256": Algorithm(1, 64, hashlib.sha256),
    "sha512": Algorithm(2, 128, hashlib.sha512),
    "blake3": Algorithm(3, 64, _blake3),
}
_NAMES = {algorithm.mark: name for name, algorithm in ALGORITHMS.items()}


def parse_algorithm(text: str) -> str:
    """Return the name of a supported algorithm; raise `DigestInvalid` for any other."""
    if text not in ALGORITHMS:
        raise DigestInvalid(
            f"the digest algorithm {text[:40]!r} is not supported",
            hint=f"Use one of {', '.join(ALGORITHMS)}",
        )
    return text


class Digest(str):
    """A validated digest such as `sha256:9f86…`; made only by `parse` and `from_key`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the digest that the text is; raise `DigestInvalid` if it is none we support."""
        name, colon, encoded = text.partition(":")
        if not colon:
            raise DigestInvalid(f"{text[:80]!r} is not a digest", hint="Write algorithm:hex")
        algorithm = ALGORITHMS[parse_algorithm(name)]
        if len(encoded) != algorithm.hex_length or not _ENCODED.fullmatch(encoded):
            raise DigestInvalid(
                f"a {name} digest has {algorithm.hex_length} lower-case hexadecimal digits",
                detail={"digest": text[:200]},
            )
        return cls(text)

    @classmethod
    def from_key(cls, key: bytes) -> Self:
        """Return the digest of a key that came out of the database."""
        return cls(f"{_NAMES[key[0]]}:{key[1:].hex()}")

    @property
    def algorithm(self) -> str:
        """The algorithm's name."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The encoded value without the algorithm."""
        return self.partition(":")[2]

    @property
    def key(self) -> bytes:
        """One byte for the algorithm and the raw value, as the tables hold it."""
        name, _, encoded = self.partition(":")
        return bytes((ALGORITHMS[name].mark,)) + bytes.fromhex(encoded)


class Hasher:
    """Running hashes over one stream of bytes: sha256 always, and one further algorithm if asked.

    The state lives in this process and is never written anywhere: a serialised hash state was a
    remote code execution elsewhere, and a prefix digest is enough to hand a session over.
    """

    def __init__(self, algorithm: str = "sha256") -> None:
        """Start with nothing hashed."""
        self._hashes = {name: ALGORITHMS[name].new() for name in {"sha256", algorithm}}

    def update(self, data: bytes | memoryview) -> None:
        """Take in further bytes; releases the GIL for all but small ones."""
        for running in self._hashes.values():
            running.update(data)

    def digest(self, algorithm: str = "sha256") -> Digest | None:
        """Return the digest of all bytes so far, or None for an algorithm that did not run."""
        running = self._hashes.get(algorithm)
        return Digest(f"{algorithm}:{running.hexdigest()}") if running is not None else None


def digest_of(data: bytes, algorithm: str = "sha256") -> Digest:
    """Return the digest of bytes in memory."""
    running = ALGORITHMS[algorithm].new()
    running.update(data)
    return Digest(f"{algorithm}:{running.hexdigest()}")
