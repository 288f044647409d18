"""The seam between the use cases and where bytes are kept.

A *location* is a fresh opaque key for each upload, never re-used and never renamed once it is
given out; the database says which location is whose content. A *state* is a small versioned byte
string that the use case keeps with the upload session; the driver keeps nothing.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from moorage.errors import RangeInvalid


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


class Finished(msgspec.Struct, frozen=True):
    """Where an object is or will be, and what is left to do for it before anybody is told.

    `rest` blocks, shortly, and may run in any thread, once; nothing is durable before it returned.
    """

    location: str
    rest: Callable[[], None] | None = None


class UploadSession(Protocol):
    """The exclusive right to write one upload, from the offset check to the commit."""

    @property
    def is_new(self) -> bool:
        """Whether it is certain that nobody has held the session before."""
        ...

    async def append(self, offset: int, chunks: AsyncIterator[bytes]) -> tuple[bytes, int]:
        """Write the chunks from `offset` on and return the new state and offset.

        What stands beyond `offset` was never acknowledged and is overwritten. Nothing is durable
        before `sync` or `finish` returned.

        Raises:
            SessionLost: fewer than `offset` bytes are there.
        """
        ...

    async def sync(self) -> None:
        """Make what was appended survive a power loss; never retried once it failed."""
        ...

    def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end` of what was written."""
        ...

    async def finish(self) -> Finished:
        """Make the bytes an object of its own, durably once the `rest` of it is done as well.

        What `rest` raises says that there is no such object. It is over before the session is.
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

    def session(self, state: bytes) -> AbstractAsyncContextManager[UploadSession]:
        """Hold the session for one writer.

        Raises:
            SessionBusy: another writer holds it, in this process or any other.
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

    async def locate(self, location: str) -> Located:
        """Return how a client's connection can get the bytes without this process reading them."""
        ...

    async def delete(self, location: str) -> None:
        """Remove the bytes; does nothing when they are gone already."""
        ...

    def list(self, after: str) -> AsyncIterator[str]:
        """Yield every location that sorts behind `after`, in order."""
        ...

    async def free(self) -> int | None:
        """Return how many bytes more the store can take, None if it knows no end."""
        ...
