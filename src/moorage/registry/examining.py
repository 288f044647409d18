"""Reads an object to its end and says whether its bytes are right: at a bounded rate, in turns.

A turn is short, because the process of jobs does one thing after the other. What is half read when
it ends goes on in the next; the running hash stays in this process, and whoever goes on elsewhere
begins the object anew.
"""

import asyncio
import errno
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import cast

import msgspec

from moorage.db.engine import Tx
from moorage.db.verifying import Object
from moorage.jobs.queue import Running
from moorage.model.artifacts import Blob
from moorage.oci.digest import Digest, Hasher
from moorage.registry.services import Services

MIB = 1 << 20
TURN_SECONDS = 15.0
_BEAT_SECONDS = 30.0
# Hashing this much takes 40 µs, a thread hand-over 70.
_INLINE = 64 << 10
# What a disk says of a sector that it can't read, and a file system of what it finds to be wrong.
_ROTTEN = frozenset({errno.EIO, errno.EBADMSG, getattr(errno, "EUCLEAN", errno.EIO)})


class Verdict(msgspec.Struct, frozen=True):
    """What is wrong with an object (`missing`, `size`, `content`, `unreadable`), empty if nothing.

    `read` is how many bytes were read for it.
    """

    object: Object
    why: str
    read: int = 0


class Turn:
    """How long a job may go on before others have theirs, and its lease meanwhile."""

    def __init__(self, s: Services, running: Running, seconds: float = TURN_SECONDS) -> None:
        """Begin now."""
        self._clock = s.clock
        self._running = running
        self._beaten = s.clock.monotonic()
        self._end = self._beaten + seconds

    @property
    def is_over(self) -> bool:
        """Whether it is time for others."""
        return self._clock.monotonic() >= self._end

    async def beat(self) -> None:
        """Keep the lease while an object is being read.

        Raises:
            LeaseLost: another worker has the job.
        """
        now = self._clock.monotonic()
        if now < self._beaten + _BEAT_SECONDS:
            return
        self._beaten = now
        await self._running.write(_nothing)


class _Begun:
    """An object that is being read: how far, and whether for the second time."""

    def __init__(self, blob: Blob, *, again: bool = False) -> None:
        self.blob = blob
        self.again = again
        self.offset = 0
        self.hasher = Hasher()


class Examiner:
    """Reads objects one after the other; one that is found to be wrong is read twice."""

    def __init__(self, s: Services) -> None:
        """Have read nothing yet."""
        self._s = s
        self._begun: _Begun | None = None
        self._free_at = 0.0

    async def examine(self, each: Object, turn: Turn) -> Verdict | None:
        """Return what is wrong with the object, None if the turn ended before it was read.

        Raises:
            Unavailable: the store does not answer.
            LeaseLost: another worker has the job.
        """
        begun = self._begun
        try:
            if begun is None or begun.blob != each.blob:
                why = await self.wrong_size(each.blob)
                if why:
                    return Verdict(each, why)
                begun = self._begun = _Begun(each.blob)
            while await self._read(begun, turn):
                verdict = self._judge(begun, each.identity)
                if verdict is not None:
                    self._begun = None
                    return Verdict(each, verdict, each.blob.size)
                begun = self._begun = _Begun(each.blob, again=True)
        except FileNotFoundError:
            return self._failed(each, "missing")
        except EOFError:
            return self._failed(each, "size")
        except OSError as error:
            if error.errno not in _ROTTEN:
                raise
            return self._failed(each, "unreadable")
        return None

    async def examine_some(self, objects: Iterable[Object], turn: Turn) -> list[Verdict]:
        """Return the verdicts on the objects, in their order, as far as the turn goes."""
        verdicts: list[Verdict] = []
        for each in objects:
            verdict = await self.examine(each, turn)
            if verdict is None:
                break
            verdicts.append(verdict)
            await turn.beat()
            if turn.is_over:
                break
        return verdicts

    async def wrong_size(self, blob: Blob) -> str:
        """Return `missing` or `size` if that is what the store says of the blob, else nothing."""
        size = await self._s.blobs.size(blob.location)
        if size is None:
            return "missing"
        return "" if size == blob.size else "size"

    def _failed(self, each: Object, why: str) -> Verdict:
        self._begun = None
        return Verdict(each, why)

    def _judge(self, begun: _Begun, wanted: Digest | None) -> str | None:
        """Return what is wrong with what was read, None if it is to be read once more."""
        if wanted in (None, begun.hasher.digest()):
            return ""  # without an identity it is the row that is at fault
        return "content" if begun.again else None

    async def _read(self, begun: _Begun, turn: Turn) -> bool:
        """Read on to the end; False if the turn ended before."""
        size = begun.blob.size
        if begun.offset == size:
            return True
        rest = self._s.blobs.read(begun.blob.location, begun.offset, size)
        async with aclosing(cast("AsyncGenerator[bytes, None]", rest)) as chunks:
            async for chunk in chunks:
                await self._hash(begun.hasher, chunk)
                begun.offset += len(chunk)
                await self._pace(len(chunk))
                await turn.beat()
                if turn.is_over and begun.offset < size:
                    return False
        if begun.offset < size:
            raise EOFError("the object is shorter than its row says")
        return True

    async def _hash(self, hasher: Hasher, chunk: bytes) -> None:
        if len(chunk) <= _INLINE:
            hasher.update(chunk)
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._s.hashes.pool, hasher.update, chunk)

    async def _pace(self, count: int) -> None:
        """Wait as long as the settings say for so many bytes."""
        rate = self._s.config.verification.mib_per_second * MIB
        if not rate:
            return
        now = self._s.clock.monotonic()
        self._free_at = max(now, self._free_at) + count / rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


async def _nothing(_: Tx) -> None:
    return
