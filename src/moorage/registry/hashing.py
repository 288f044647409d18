"""Running hashes of upload sessions, and bodies hashed beside their being written."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from moorage.errors import BodyTimeout, SizeInvalid
from moorage.model.artifacts import Upload
from moorage.oci.digest import Hasher
from moorage.web.request import Disconnected

_MAX_KEPT = 4_096
# Chunks come from the socket by 64 to 256 KiB; fewer, larger steps cost fewer thread hand-overs.
GATHER = 256 << 10
# Hashing this much takes 40 µs, a thread hand-over 70.
_INLINE = 64 << 10


class Hashes:
    """The running hashes of this process, found again by session, offset and epoch.

    A session that went on in another process has none here; its content is then read once at the
    end. Nothing of a hash's state ever leaves the process.
    """

    def __init__(self) -> None:
        """Start with none; threads are started on first use."""
        self._kept: OrderedDict[str, tuple[int, int, Hasher]] = OrderedDict()
        self.pool = ThreadPoolExecutor(4, thread_name_prefix="hash")

    def take(self, upload: Upload) -> Hasher | None:
        """Return the hash of exactly the bytes that the session has, None if it is not here."""
        offset, epoch, hasher = self._kept.pop(upload.id, (0, 0, None))
        if hasher is not None and (offset, epoch) == (upload.offset, upload.epoch):
            return hasher
        return Hasher(upload.algorithm) if upload.offset == 0 else None

    def keep(self, upload_id: str, offset: int, epoch: int, hasher: Hasher) -> None:
        """Keep the hash for the session's next request."""
        self._kept[upload_id] = (offset, epoch, hasher)
        while len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)


class Hashed:
    """A body on its way to the store: gathered, hashed beside the writing, and cut cleanly.

    When the client goes away, the chunks end and `broken` says so: what arrived is still written
    and the session can be resumed.
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        hasher: Hasher | None,
        pool: ThreadPoolExecutor,
        *,
        most: int | None = None,
    ) -> None:
        """Read the chunks; with no hasher, only pass them on; refuse more than `most` bytes."""
        self._chunks = chunks
        self._most = most
        self._hasher = hasher
        self._pool = pool
        self.broken: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield larger chunks; each is hashed while the store writes it."""
        loop = asyncio.get_running_loop()
        async for chunk in self._gathered():
            if self._hasher is None or len(chunk) <= _INLINE:
                if self._hasher is not None:
                    self._hasher.update(chunk)
                yield chunk
                continue
            hashed = loop.run_in_executor(self._pool, self._hasher.update, chunk)
            try:
                yield chunk
            finally:
                await hashed

    async def _gathered(self) -> AsyncIterator[bytes]:
        parts: list[bytes] = []
        size = total = 0
        try:
            async for chunk in self._chunks:
                parts.append(chunk)
                size += len(chunk)
                total += len(chunk)
                if self._most is not None and total > self._most:
                    raise SizeInvalid(f"the body has more than the {self._most} bytes of its range")
                if size >= GATHER:
                    yield b"".join(parts)
                    parts, size = [], 0
        except (Disconnected, BodyTimeout) as error:
            self.broken = error
        if parts:
            yield b"".join(parts)
