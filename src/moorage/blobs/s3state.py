"""What an upload session on an object store is: its parts, and what does not make a part yet."""

from typing import NamedTuple

import msgspec

from moorage.blobs.store import SessionLost

# An upload has at most so many parts (Amazon S3 User Guide, "Multipart upload limits").
MOST_PARTS = 10_000
_PLANNED_PARTS = 9_000
# None but the last may be smaller (the same place).
_SMALLEST_PART = 5 << 20
# Then parts become larger, so that their numbers last.
_SMALLER_PARTS = 5_000
_VERSION = b"2"
_STEP = 1 << 20


class Part(NamedTuple):
    """A part that is there, of exactly the size that the session's parts had at the time."""

    number: int
    etag: str


class Remainder(NamedTuple):
    """Bytes behind the last part, in an object of their own."""

    location: str
    size: int


class State(msgspec.Struct, array_like=True):
    """A session as its row has it, or as a request has brought it forward.

    Parts are numbered in the order of their bytes. Numbers below `next_number` belong to the
    writers that reserved them and are never given out again. `stale` names objects whose bytes are
    elsewhere by now. The first `smaller` parts have `smaller_bytes`, the others `part_bytes`.
    """

    location: str
    part_bytes: int
    declared: int = 0
    upload: str = ""
    next_number: int = 1
    parts: list[Part] = []
    remainders: list[Remainder] = []
    stale: list[str] = []
    smaller: int = 0
    smaller_bytes: int = 0

    @classmethod
    def decode(cls, raw: bytes) -> "State":
        """Return the state that `encode` wrote.

        Raises:
            SessionLost: it is another driver's, or of a release that wrote it differently.
        """
        if not raw.startswith(_VERSION):
            raise SessionLost
        try:
            return msgspec.msgpack.decode(raw[1:], type=cls)
        except msgspec.DecodeError as error:
            raise SessionLost from error

    def encode(self) -> bytes:
        """Return it as bytes, the version in front."""
        return _VERSION + msgspec.msgpack.encode(self)

    def copy(self) -> "State":
        """Return one that can be changed without changing this."""
        return State.decode(self.encode())

    @property
    def remaining(self) -> int:
        """How many bytes stand behind the last part."""
        return sum(each.size for each in self.remainders)

    @property
    def size(self) -> int:
        """How many bytes the session has."""
        usual = len(self.parts) - self.smaller
        return self.smaller * self.smaller_bytes + usual * self.part_bytes + self.remaining

    def follow_chunks(self, usual: int) -> None:
        """Have parts as long as the chunks in which the content comes, if they can be parts.

        Otherwise what a chunk has behind the last whole part is read again to be sent with the
        next. To be called when more comes, with the size that parts have otherwise.
        """
        if not self.upload and len(self.remainders) == 1:
            first = self.remainders[0].size
            # What was declared is the length of the first request.
            if max(_SMALLEST_PART, self.declared) <= first < self.part_bytes:
                self.part_bytes = first
        elif self.part_bytes < usual and len(self.parts) >= _SMALLER_PARTS and not self.remaining:
            self.smaller, self.smaller_bytes = len(self.parts), self.part_bytes
            self.part_bytes = usual

    def drop_remainders(self) -> None:
        """Note that the bytes behind the last part are about to be elsewhere."""
        self.stale += [each.location for each in self.remainders]
        self.remainders = []


def part_bytes(least: int, declared: int | None) -> int:
    """Return the size of parts by which content of that length needs no more than 9,000."""
    needed = -(-(declared or 0) // _PLANNED_PARTS)
    return max(least, -(-needed // _STEP) * _STEP)
