"""What makes the audit trail hard to change unseen: a chain of hashes with a signed head.

Each entry's seal is the hash of the seal before it and of everything that the entry says. Whoever
changes, removes or moves one has to make all later seals anew, and can't sign the last.
"""

import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from moorage.model.audit import Entry, Head

_ENTRY, _PART = b"moorage audit entry 1", b"moorage audit part 1"
_BACKUP = b"moorage backup manifest 1"


class Point(msgspec.Struct, frozen=True):
    """A place in the chain with its seal."""

    place: int
    seal: bytes


# Before the first entry.
ORIGIN = Point(0, bytes(32))


def canonical(entry: Entry) -> bytes:
    """Return everything that an entry says, its seal aside, as bytes that no other entry has.

    Each value comes with its kind and its length: SQLite keeps a number or bytes in a column of
    texts if somebody puts them there.
    """
    values = (
        entry.place,
        entry.id,
        entry.at,
        entry.actor,
        entry.credential,
        entry.address,
        entry.request_id,
        entry.action,
        entry.namespace_id,
        entry.repository_id,
        entry.detail,
    )
    return _ENTRY + b"".join(_field(value) for value in values)


def seal_of(previous: bytes, entry: Entry) -> bytes:
    """Return the seal of an entry behind the one with the seal `previous`."""
    return hashlib.sha256(_field(previous) + canonical(entry)).digest()


class Chain:
    """Follows a chain entry by entry and tells where it breaks."""

    def __init__(self, begin: Point = ORIGIN) -> None:
        """Go on from there."""
        self.begin = begin
        self.place = begin.place
        self.seal = begin.seal

    def follow(self, entry: Entry) -> str:
        """Go on to the entry; return what is wrong with it, empty if nothing is.

        Behind one that is wrong it goes on, so that each is told of and not all that follow.
        """
        named = f"place {entry.place} (row {entry.id})"
        if entry.place <= self.place:
            return f"{named} is there more than once"
        wrong = ""
        if entry.place > self.place + 1:
            wrong = missing(self.place + 1, entry.place - 1)
        elif seal_of(self.seal, entry) != entry.seal:
            wrong = f"{named} is not what was sealed there"
        self.place, self.seal = entry.place, entry.seal
        return wrong


def missing(first: int, last: int) -> str:
    """Return the words for places that nothing is at."""
    return f"place {first} is missing" if first == last else f"places {first} to {last} are missing"


class PublicKey:
    """What signatures of heads are checked with; to be kept away from the registry."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        """Wrap the key."""
        self._key = key
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = hashlib.sha256(raw).hexdigest()[:16]

    @classmethod
    def read(cls, pem: bytes) -> "PublicKey | None":
        """Return the key that a PEM file has, None if it has no such key."""
        try:
            key = load_pem_public_key(pem)
        except ValueError:
            return None
        return cls(key) if isinstance(key, Ed25519PublicKey) else None

    def pem(self) -> str:
        """Return the key as a PEM file."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def has_signed(self, head: Head, begin: Point = ORIGIN) -> bool:
        """Tell whether the part from `begin` to the head is signed by the key."""
        try:
            self._key.verify(head.signature, _part(begin, Point(head.place, head.seal)))
        except InvalidSignature:
            return False
        return head.key_id == self.id

    def has_signed_backup(self, manifest: bytes, signature: bytes) -> bool:
        """Tell whether the manifest of a backup is signed by the key."""
        try:
            self._key.verify(signature, _BACKUP + _field(manifest))
        except InvalidSignature:
            return False
        return True


class SealKey:
    """The registry's own key for the heads of its trail, and for what it says of its backups."""

    def __init__(self, seed: bytes) -> None:
        """Make it from 32 secret bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(self._key.public_key())

    def sign(self, end: Point, now: int, begin: Point = ORIGIN) -> Head:
        """Return the head of a chain, or of a part of one, that ends there."""
        signature = self._key.sign(_part(begin, end))
        return Head(end.place, end.seal, self.public.id, signature, now)

    def sign_backup(self, manifest: bytes) -> bytes:
        """Return the signature of a backup's manifest."""
        return self._key.sign(_BACKUP + _field(manifest))


def _part(begin: Point, end: Point) -> bytes:
    # Both ends: nobody may take entries away from the front of a part either.
    values = (begin.place, begin.seal, end.place, end.seal)
    return _PART + b"".join(_field(value) for value in values)


def _field(value: int | str | bytes) -> bytes:
    if isinstance(value, bytes):
        kind, raw = b"b", value
    elif isinstance(value, str):
        kind, raw = b"t", value.encode("utf-8", "surrogatepass")
    else:
        kind, raw = b"i", str(value).encode()
    return kind + len(raw).to_bytes(4, "big") + raw
