"""The seam between the use cases and where bytes are kept.

A *location* is a fresh opaque key for each upload, never re-used and never renamed once it is
given out; the database says which location is whose content. A *state* is a small versioned byte
string that the use case keeps with the upload session; the driver keeps nothing.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from moorage.errors import RangeInvalid

UPLOADS = "uploads/"
_NAME = re.compile(r"[0-9a-f]{32}", re.ASCII)
MARK = "mark"
_MARK_DIGITS = 16


class SessionBusy(RangeInvalid):
    """Another writer holds the upload session; whoever gets this has written nothing."""

    message = "another request is writing to this upload"


class SessionLost(Exception):
    """The store no longer has bytes that the session says were written."""


class LocalFile(msgspec.Struct, frozen=True):
    """Content that `web` may send by `sendfile`."""

    path: str


class Redirect(msgspec.Struct, frozen=True):
    """Content that the client fetches from another address."""

    url: str


Located = LocalFile | Redirect | None
Keep = Callable[[bytes], Awaitable[None]]


async def keep_nowhere(state: bytes) -> None:
    """Keep a state nowhere: for a session that nobody else can know of, or go on with."""


class Finished(msgspec.Struct, frozen=True):
    """Where an object is or will be, and what is left to do for it before anybody is told.

    `rest` blocks, shortly, and may run in any thread, once; nothing is durable before it returned.
    """

    location: str
    rest: Callable[[], None] | None = None
    # Whether this finish alone can have given the location out. Where it is not, all who finish
    # the session share it: who loses must never delete it, because the winner's blob is there.
    is_own: bool = True
    # Whether it is certain that these bytes are there. If it is not, an object of that size is,
    # made by somebody's finish of the session, and must be read before anybody is told.
    is_certain: bool = True
    # Locations to delete once the session has ended, and no sooner.
    leftovers: tuple[str, ...] = ()


class Stored(msgspec.Struct, frozen=True):
    """Something in the store: its size, and when it was last written, in milliseconds."""

    location: str
    size: int
    changed_at: int


def is_ours(name: str) -> bool:
    """Tell whether a file or a key is called as this program calls its own.

    What an administrator put there, or another program in the same bucket, is left alone.
    """
    return _NAME.fullmatch(name) is not None


def encode_mark(at: int) -> bytes:
    """Return a mark as it is kept: digits, always as many."""
    return f"{at:0{_MARK_DIGITS}}".encode()


def decode_mark(raw: bytes) -> int:
    """Return the time of a mark; 0 for one that was cut short by a loss of power."""
    return int(raw) if len(raw) == _MARK_DIGITS and raw.isdigit() else 0


class UploadSession(Protocol):
    """One writer's hold on one upload, from the offset check to the commit.

    A driver either holds the session against all others, or finds out by `keep` that somebody else
    has gone on with it.
    """

    @property
    def is_current(self) -> bool:
        """Whether the state that it was opened with needs no second look now that it is held."""
        ...

    async def append(self, offset: int, chunks: AsyncIterator[bytes]) -> int:
        """Write the chunks from `offset` on and return the offset behind them.

        What stands beyond `offset` was never acknowledged and is overwritten. Nothing is durable
        before `sync` or `finish` returned.

        Raises:
            SessionBusy: another writer went on with the session.
            SessionLost: fewer than `offset` bytes are there.
        """
        ...

    async def sync(self) -> bytes:
        """Make what was appended survive a power loss; never retried once it failed.

        Return the state to keep for the next request.
        """
        ...

    def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end` of what was written; then only `finish`.

        A driver may have to make them an object first, as `finish` does.
        """
        ...

    async def finish(self) -> Finished:
        """Make the bytes an object of its own, durably once the `rest` of it is done as well.

        What `rest` raises says that there is no such object. It is over before the session is.
        """
        ...

    async def withdraw(self) -> None:
        """Remove what `sync` wrote, once its state turned out to be kept nowhere.

        Whatever the session had before stays as it is, for whoever goes on with it.
        """
        ...

    async def abort(self) -> None:
        """Give up the bytes; does nothing when they are gone already."""
        ...


class BlobStore(Protocol):
    """Where bytes are kept; every driver passes `tests/contract/test_blob_store.py`."""

    async def begin(self, key: str, hint: int | None) -> bytes:
        """Return the state of a new session.

        `key` is the session's own random name, the same for everybody who begins it, so that a
        driver can keep two first writers apart; `hint` is the length in bytes, where known.
        """
        ...

    def session(self, state: bytes, keep: Keep) -> AbstractAsyncContextManager[UploadSession]:
        """Open the session for one writer.

        `keep` durably makes a state the session's, by compare-and-set on what the writer saw of
        it, and raises `SessionBusy` if another writer came in between. A driver that holds the
        session against all others never calls it.

        Raises:
            SessionBusy: another writer holds it, in this process or any other.
            SessionLost: the state is not this driver's, or nothing is there any more.
        """
        ...

    async def size(self, location: str) -> int | None:
        """Return how many bytes are at the location, None if nothing is."""
        ...

    def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end`.

        Raises:
            FileNotFoundError: nothing is at the location.
        """
        ...

    async def locate(self, location: str, *, redirect: bool) -> Located:
        """Return how a client's connection can get the bytes without this process reading them.

        `redirect` says whether the client may be sent elsewhere.
        """
        ...

    async def delete(self, locations: Sequence[str]) -> None:
        """Remove the bytes of each; does nothing for those that are gone already."""
        ...

    def list(self, after: str) -> AsyncIterator[Stored]:
        """Yield what is at every location that sorts behind `after`, in order.

        What unfinished uploads have written is there as well, some of it behind all else, under
        `uploads/`.
        """
        ...

    async def free(self) -> int | None:
        """Return how many bytes more the store can take, None if it knows no end."""
        ...

    async def close(self) -> None:
        """Close what is open; the last that is done with the store."""
        ...


class MarkedStore(BlobStore, Protocol):
    """A store that keeps a time beside its blobs, by which an older database is found out."""

    async def read_mark(self) -> int:
        """Return the time that was last kept, 0 if none was."""
        ...

    async def write_mark(self, at: int) -> None:
        """Keep a time, not negative; after a loss of power it may be an earlier one."""
        ...
