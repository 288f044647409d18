"""Blobs in an S3-compatible object store: parts straight to the final key, nothing ever renamed.

Nothing is held on entry. Whoever is about to send parts reserves their numbers by `keep`, which
fails for all but one writer; a number is never given out twice, so that a writer who was overtaken
can change nothing that counts.
"""

import asyncio
import io
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress

import msgspec

from moorage.blobs.budget import Budget
from moorage.blobs.s3bucket import Bucket, Place
from moorage.blobs.s3state import MOST_PARTS, Remainder, State, part_bytes
from moorage.blobs.store import (
    MARK,
    UPLOADS,
    Finished,
    Keep,
    Redirect,
    SessionBusy,
    SessionLost,
    Stored,
    decode_mark,
    encode_mark,
    is_ours,
)
from moorage.clock import Clock, new_id
from moorage.config import S3
from moorage.errors import SizeInvalid, Unavailable

_OBJECTS = "objects/"
_MEMORY = 256 << 20
# Up to here an upload asks nobody for memory.
_SMALL = 1 << 20
_MOST_REMAINDERS = 16
_MOST_RESERVED = 64
_ANSWER_SECONDS = 30.0
# A client begins to fetch within 15 minutes of having been given an address.
_ADDRESS_SECONDS = 20 * 60
_ADDRESS_KEPT_SECONDS = 5 * 60
_MOST_ADDRESSES = 4_096


class S3Blobs:
    """A `BlobStore` in one bucket."""

    def __init__(
        self, address: str, options: S3, clock: Clock, *, answer_seconds: float = _ANSWER_SECONDS
    ) -> None:
        """Use `s3://bucket/prefix`; nothing is opened before the first call."""
        self._bucket = Bucket(Place.parse(address), options, answer_seconds)
        self._part_bytes = options.part_bytes
        self._clock = clock
        self._memory = Budget(_MEMORY)
        self._addresses: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def begin(self, key: str, hint: int | None) -> bytes:  # noqa: ARG002 - keys are fresh
        """Return the state of a new session, of parts that suffice for the length."""
        return State(new_id(), part_bytes(self._part_bytes, hint), hint or 0).encode()

    @asynccontextmanager
    async def session(self, state: bytes, keep: Keep) -> AsyncIterator["S3Session"]:
        """Open the session; who else has it open is found out by `keep`."""
        session = S3Session(self._bucket, self._memory, State.decode(state), keep, self._part_bytes)
        try:
            yield session
        finally:
            await session.settle()

    async def size(self, location: str) -> int | None:
        """Return the object's size, None if there is none."""
        return await self._bucket.size(_key(location))

    async def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes as they come."""
        if start == end and await self.size(location) is None:
            raise FileNotFoundError("no such object")
        async with aclosing(self._bucket.read(_key(location), start, end)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def locate(self, location: str, *, redirect: bool) -> Redirect | None:
        """Return an address that is good for 15 minutes or more."""
        if not redirect:
            return None
        now = self._clock.monotonic()
        url, until = self._addresses.get(location, ("", 0.0))
        if until <= now:
            url = await self._bucket.presign(_key(location), _ADDRESS_SECONDS)
            self._addresses[location] = (url, now + _ADDRESS_KEPT_SECONDS)
            self._addresses.move_to_end(location)
            while len(self._addresses) > _MOST_ADDRESSES:
                self._addresses.popitem(last=False)
        return Redirect(url)

    async def delete(self, locations: Sequence[str]) -> None:
        """Remove the objects, 1,000 a call."""
        await self._bucket.delete([_key(location) for location in locations])

    async def list(self, after: str) -> AsyncIterator[Stored]:
        """Yield the objects in the order of their keys, remainders at the end."""
        for under, prefix in ((_OBJECTS, ""), (UPLOADS, UPLOADS)):
            begins = _key(after) if after and after.startswith(prefix) else under
            async for key, size, changed_at in self._bucket.list(under, max(begins, under)):
                name = key.rpartition("/")[2]
                if is_ours(name):
                    yield Stored(prefix + name, size, changed_at)

    async def free(self) -> None:
        """Return None: the store knows no end."""
        return

    async def read_mark(self) -> int:
        """Return what the object says."""
        size = await self._bucket.size(MARK)
        if size is None:
            return 0
        try:
            async with aclosing(self._bucket.read(MARK, 0, size)) as chunks:
                return decode_mark(b"".join([chunk async for chunk in chunks]))
        except (FileNotFoundError, EOFError):  # another one was put in its place just now
            return 0

    async def write_mark(self, at: int) -> None:
        """Put another object in its place."""
        await self._bucket.put(MARK, io.BytesIO(encode_mark(at)))

    async def expiry_rules(self) -> Sequence[str]:
        """Return the bucket's own rules by which it would remove blobs or uploads under way."""
        return await self._bucket.expiry_rules()

    async def close(self) -> None:
        """Close the connections."""
        await self._bucket.close()


class S3Session:
    """One request's view of a session: the state as it was, and as it is becoming."""

    is_current = True  # whatever it changes goes through `keep`

    def __init__(
        self, bucket: Bucket, memory: Budget, state: State, keep: Keep, part_bytes: int
    ) -> None:
        """Begin with what the session's row has; parts of that size are the usual ones."""
        self._bucket = bucket
        self._memory = memory
        self._kept = state
        self._state = state.copy()
        self._keep = keep
        self._usual = part_bytes
        # The memory for the part that is being received, and for the one that is being sent.
        self._unit = self._claims = 0
        # What came in this request and is not in a part yet.
        self._buffer = io.BytesIO()
        self._filled = 0
        self._numbers = range(0)
        self._next_count = 1
        self._sending: asyncio.Task[None] | None = None
        self._finished: Finished | None = None
        # The object that `sync` wrote, of which no row knows yet.
        self._synced = ""

    async def settle(self) -> None:
        """End what is still being sent, when the request failed, and free the memory."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        self._memory.give(self._unit * self._claims)
        self._claims = 0

    async def append(self, offset: int, chunks: AsyncIterator[bytes]) -> int:
        """Send whole parts while they arrive; the rest stays in memory."""
        state = self._state
        if state.size != offset:
            raise SessionLost
        state.follow_chunks(self._usual)
        async for chunk in chunks:
            view = memoryview(chunk)
            while view:
                if not self._claims and self._filled + len(view) > _SMALL:
                    self._unit = await self._memory.take(state.part_bytes)
                    self._claims = 1
                room = state.part_bytes - state.remaining - self._filled
                self._filled += self._buffer.write(view[:room])
                view = view[room:]
                if state.remaining + self._filled == state.part_bytes:
                    await self._send_part()
        await self._sent()
        return state.size + self._filled

    async def sync(self) -> bytes:
        """Write the rest to an object of its own; return the state that has it."""
        state = self._state
        if self._filled:
            if len(state.remainders) >= _MOST_REMAINDERS:
                await self._gather()
            # If the blob ends here, this is the whole of it, and its place is where blobs are.
            place = new_id() if not state.size else UPLOADS + new_id()
            await self._write(place)
            self._synced = place
            state.remainders.append(Remainder(place, self._filled))
            self._buffer, self._filled = io.BytesIO(), 0
        if self._kept.stale:
            # Named by the row as it was found, so nothing that counts has them any more. What is
            # not removed takes up room, and nothing else.
            with suppress(Unavailable):
                await self._bucket.delete([_key(each) for each in self._kept.stale])
                state.stale = state.stale[len(self._kept.stale) :]
        return state.encode()

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield what was written; parts are made the object first, and read as that."""
        if self._state.upload:
            finished = await self._finish()
            async for chunk in self._bucket.read(_key(finished.location), start, end):
                yield chunk
            # Whoever read it knows by now what it is.
            self._finished = Finished(finished.location, None, False, True, finished.leftovers)
            return
        await self._gather()
        raw = self._buffer.getbuffer()[start:end]
        yield bytes(raw)

    async def finish(self) -> Finished:
        """Make the bytes an object: by parts, at once, or where they are."""
        if self._finished is None:
            self._finished = await self._finish()
        return self._finished

    async def withdraw(self) -> None:
        """Remove the object of the rest; its parts go when the session is finished or given up."""
        if self._synced:
            with suppress(Unavailable):  # then it takes up room, and nothing else
                await self._bucket.delete([_key(self._synced)])
            self._synced = ""

    async def abort(self) -> None:
        """Remove whatever the session has written."""
        state = self._state
        state.drop_remainders()
        places = [*state.stale, *self._kept.stale]
        places += [each.location for each in self._kept.remainders]
        if state.upload:
            await self._bucket.abort(_key(state.location), state.upload)
        # It may have been finished by a request that did not get to know of it.
        places.append(state.location)
        await self._bucket.delete(sorted({_key(place) for place in places}))

    async def _finish(self) -> Finished:
        state = self._state
        total = state.size + self._filled
        if state.upload and total:
            return await self._finish_parts(total)
        if len(state.remainders) == 1 and not self._filled:
            (only,) = state.remainders
            if not only.location.startswith(UPLOADS):
                if await self._bucket.size(_key(only.location)) != total:
                    raise SessionLost
                return Finished(only.location, None, False, True, tuple(state.stale))
        await self._gather()
        place = new_id()
        await self._write(place)
        return Finished(place, None, True, True, tuple(state.stale))

    async def _finish_parts(self, total: int) -> Finished:
        state = self._state
        is_certain = True
        try:
            if state.remaining + self._filled:
                await self._send_part()
                await self._sent()
            await self._bucket.complete(_key(state.location), state.upload, state.parts)
        except (SessionLost, Unavailable):
            # It may be done all the same: by this request, whose answer was lost, or by another.
            if await self._bucket.size(_key(state.location)) != total:
                raise
            is_certain = False
            state.drop_remainders()
        return Finished(state.location, None, False, is_certain, tuple(state.stale))

    async def _send_part(self) -> None:
        """Begin to send what is behind the last part; the one before it has then arrived."""
        if not self._numbers:
            await self._reserve()
        await self._sent()
        await self._gather()
        number, self._numbers = self._numbers[0], self._numbers[1:]
        body, self._buffer, self._filled = self._buffer, io.BytesIO(), 0
        self._sending = asyncio.create_task(self._send(number, body))
        if self._claims and self._memory.take_now(self._unit):
            self._claims = 2
        else:
            await self._sent()

    async def _send(self, number: int, body: io.BytesIO) -> None:
        state = self._state
        body.seek(0)
        part = await self._bucket.put_part(_key(state.location), state.upload, number, body)
        state.parts.append(part)

    async def _sent(self) -> None:
        """Wait for the part that is being sent."""
        if self._sending is None:
            return
        await self._sending
        self._sending = None
        if self._claims == 2:
            self._memory.give(self._unit)
            self._claims = 1

    async def _reserve(self) -> None:
        """Have part numbers that nobody else has; the first time, begin the upload by parts."""
        state = self._state
        count = min(self._wanted(), MOST_PARTS + 1 - state.next_number)
        if count < 1:
            raise SizeInvalid(
                f"the upload has used up its {MOST_PARTS} parts of {state.part_bytes} bytes",
                hint="Send it in fewer requests, each with its length, or raise s3.part_bytes",
            )
        is_first = not state.upload
        if is_first:
            state.upload = await self._bucket.begin(_key(state.location))
        numbers = range(state.next_number, state.next_number + count)
        state.next_number = numbers.stop
        kept = msgspec.structs.replace(
            self._kept, upload=state.upload, next_number=state.next_number
        )
        try:
            await self._keep(kept.encode())
        except SessionBusy:
            if is_first:  # no row names it
                with suppress(Unavailable):
                    await self._bucket.abort(_key(state.location), state.upload)
            raise
        self._kept, self._numbers = kept, numbers

    def _wanted(self) -> int:
        """Return for how many parts to have numbers: as many as will come, or twice as many again.

        A number that is not used in this request is lost, and each reservation is a transaction.
        """
        state = self._state
        left = state.declared - len(state.parts) * state.part_bytes
        if left > 0:
            return min(-(-left // state.part_bytes), _MOST_RESERVED)
        count = self._next_count
        self._next_count = min(count * 2, _MOST_RESERVED)
        return count

    async def _gather(self) -> None:
        """Put the remainders in front of what is in memory."""
        state = self._state
        if not state.remainders:
            return
        whole = io.BytesIO()
        try:
            for each in state.remainders:
                async for chunk in self._bucket.read(_key(each.location), 0, each.size):
                    whole.write(chunk)
        except (FileNotFoundError, EOFError) as error:
            raise SessionLost from error
        self._filled += state.remaining
        whole.write(self._buffer.getvalue())
        self._buffer = whole
        state.drop_remainders()

    async def _write(self, location: str) -> None:
        self._buffer.seek(0)
        await self._bucket.put(_key(location), self._buffer)


def _key(location: str) -> str:
    if location.startswith(UPLOADS):
        return location
    return f"{_OBJECTS}{location[:2]}/{location}"
