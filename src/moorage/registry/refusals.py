"""Counts what is refused, so that the trail tells of it and nobody can fill the trail with it.

A refusal costs an entry of a dictionary; every few seconds what has come together is written, and
`registry/audit.py` makes entries of the trail of it. A caller without any credentials is told to
show some, which is no refusal.
"""

import asyncio

import msgspec

from moorage.clock import MINUTE, Clock
from moorage.db import audit
from moorage.db.engine import Database, Tx
from moorage.errors import (
    Denied,
    NameInvalid,
    NotPermitted,
    PreconditionFailed,
    RegistryError,
    SignInNeeded,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from moorage.model.audit import Refusal
from moorage.oci.names import RepositoryName
from moorage.telemetry import Telemetry
from moorage.web.request import Request

OTHERS = "others"
_EVERY_SECONDS = 3.0
# In one minute a process tells apart so many kinds of refusals, of one caller at one address so
# many; the rest is counted together. Those who can't be made out leave room for those who can.
_MOST = 500
_MOST_OF_STRANGERS = 250
_MOST_OF_CALLER = 20
# While the database is away, so many wait.
_MOST_WAITING = 5_000
_SLICE = 100
_LONGEST_REASON = 300
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

# Actor, address, repository, action.
_Key = tuple[str, str, str, str]
_TOGETHER: _Key = ("", "", "", OTHERS)


class _Counted(msgspec.Struct):
    times: int
    reason: str
    credential: str
    request_id: str


class Refusals:
    """The refusals of one process that are not written yet."""

    def __init__(self, db: Database, clock: Clock, telemetry: Telemetry) -> None:
        """Have counted nothing yet."""
        self._db = db
        self._clock = clock
        self._telemetry = telemetry
        self._waiting: dict[tuple[int, *_Key], _Counted] = {}
        self._minute = 0
        self._known: set[_Key] = set()
        self._kinds: dict[tuple[str, str], int] = {}
        self._writing: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    def count(self, request: Request, refused: RegistryError) -> None:
        """Count what a request was refused, if it is of that kind.

        What is told to the caller may hide that there is anything; the trail has the reason.
        """
        if isinstance(refused.__cause__, NotPermitted):
            refused = refused.__cause__
        if not _is_refusal(refused):
            return
        self._telemetry.metrics.refusals.inc()
        minute = self._clock.now() // MINUTE
        if minute != self._minute:
            self._minute = minute
            self._known.clear()
            self._kinds.clear()
        key = (minute, *self._bounded(_key_of(request)))
        counted = self._waiting.get(key)
        if counted is None:
            counted = self._waiting[key] = _Counted(0, "", "", "")
        counted.times += 1
        counted.reason = refused.message[:_LONGEST_REASON]
        counted.credential, counted.request_id = request.credential, request.id
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_soon())

    async def flush(self) -> None:
        """Write what is counted.

        Raises:
            StoreUnavailable: not all could be written; it is kept, and can be written again.
        """
        waiting, self._waiting = self._waiting, {}
        keys = sorted(waiting)
        try:
            while keys:
                some = keys[:_SLICE]
                rows = [_row(key, waiting[key]) for key in some]

                async def write(tx: Tx, rows: list[Refusal] = rows) -> None:
                    await audit.add_refusals(tx, rows)

                await self._db.write(write)
                del keys[:_SLICE]
        finally:
            for key in keys:
                self._put_back(key, waiting[key])

    async def close(self) -> None:
        """Write what is left, before the database is closed."""
        self._stop.set()
        if self._writing is not None:
            await self._writing

    def _bounded(self, key: _Key) -> _Key:
        """Return what a refusal is counted under: its own key, or one of those for the rest."""
        if key in self._known:
            return key
        actor, address, _, _ = key
        most = _MOST if actor else _MOST_OF_STRANGERS
        if len(self._known) >= most or len(self._waiting) >= _MOST_WAITING:
            return _TOGETHER
        caller = (actor, address)
        kinds = self._kinds.get(caller, 0)
        if kinds >= _MOST_OF_CALLER:
            return (actor, address, "", OTHERS)
        self._kinds[caller] = kinds + 1
        self._known.add(key)
        return key

    def _put_back(self, key: tuple[int, *_Key], counted: _Counted) -> None:
        newer = self._waiting.get(key)
        if newer is None:
            self._waiting[key] = counted
        else:
            newer.times += counted.times

    async def _write_soon(self) -> None:
        while self._waiting:
            await self._pause()
            try:
                await self.flush()
            except Unavailable as error:
                times = sum(each.times for each in self._waiting.values())
                if self._stop.is_set():
                    self._telemetry.log.error("refusals lost", times=times, reason=str(error))
                    return
                self._telemetry.log.warning("refusals wait", times=times, reason=str(error))

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_EVERY_SECONDS):
                await self._stop.wait()
        except TimeoutError:
            return


def _is_refusal(refused: RegistryError) -> bool:
    if isinstance(refused, Unauthorized):
        # Whoever shows nothing is asked for credentials, and a token that was not asked for enough
        # is asked for again by the client itself.
        is_challenge = isinstance(refused, SignInNeeded)
        return not is_challenge and refused.error != "insufficient_scope"
    if isinstance(refused, Denied):
        return not isinstance(refused, PreconditionFailed)
    return isinstance(refused, TooManyRequests)


def _key_of(request: Request) -> _Key:
    # No method or name as it came: either may be anything, and goes no further before it is parsed.
    method = request.method.lower() if request.method in _METHODS else "other"
    action = f"{method} {request.action}" if request.action else method
    return (request.actor, request.client, _name(request.repository), action)


def _name(text: str) -> str:
    try:
        return RepositoryName.parse(text) if text else ""
    except NameInvalid:
        return ""


def _row(key: tuple[int, *_Key], counted: _Counted) -> Refusal:
    minute, actor, address, repository, action = key
    return Refusal(
        minute,
        actor,
        address,
        repository,
        action,
        counted.times,
        counted.reason,
        counted.credential,
        counted.request_id,
    )
