"""What the supervisor's children do: serve requests, or run jobs, until SIGTERM."""

import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from moorage import worker
from moorage.api import metrics
from moorage.app import admin_front, build, front
from moorage.auth.fair_use import FairUse
from moorage.auth.secrets import Secrets
from moorage.config import Config
from moorage.registry import fence
from moorage.registry.services import Services
from moorage.web.listen import ReloadingTls

# The serving process that answers the admin socket too.
FIRST = "0"
_PR_SET_PDEATHSIG = 1
_KERNEL_BACKLOG = 1_024
# The parts of uploads to an object store go back to the system when they are freed. Left to itself
# glibc keeps them: a process that passed 10 GiB had up to 95 MiB more, with this 37.
_M_MMAP_THRESHOLD = -3
_GIVEN_BACK = 4 << 20
_CUT_SECONDS = 1.0
# How long a server that was told to stop still accepts connections; each is closed with its answer.
_LAST_CALL_SECONDS = 0.5
# A thread that holds the interpreter gives it up after this long, so that the event loop, which
# answers everybody, does not wait 5 ms for each thread that parses or writes.
_SWITCH_SECONDS = 0.001
# Look for cycles after so many new objects: at Python's 700 it is once for every two requests and
# takes a fifteenth of the time of a push.
_GARBAGE = 20_000
# How far behind those that serve the jobs stand for a processor (`nice`). Not the farthest: what
# holds the right to write must get to its end, and at 19 a busy machine leaves it a seventieth of
# a processor, at 10 a tenth.
_NICENESS = 10


class Shared(msgspec.Struct, frozen=True):
    """What every child inherits."""

    config: Config
    origins: Mapping[str, str]
    secrets: Secrets
    listeners: list[socket.socket]
    tls: ReloadingTls | None
    run_directory: Path
    fair_use: FairUse
    admin: socket.socket | None = None
    # When the database was last restored, as the server began; None where that can't happen to it.
    restored_at: int | None = None


def begin(supervisor: int) -> None:
    """Become a child of that process: own signals, an end when it ends, frugal memory."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's reaches the supervisor as well
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_with(supervisor)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # musl has none
            libc.mallopt(_M_MMAP_THRESHOLD, _GIVEN_BACK)
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(_GARBAGE, *gc.get_threshold()[1:])


def end_with(parent: int) -> None:
    """Have this process, a child of that one, be killed when that one ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we could ask to be told
            os._exit(1)


def serve(shared: Shared, name: str) -> None:
    """Answer requests until SIGTERM, then finish those under way; the first also as the admin's."""
    if shared.admin is not None and name != FIRST:
        shared.admin.close()
    _run(shared, name, lambda s: _serve(s, shared, is_first=name == FIRST))


def run_jobs(shared: Shared) -> None:
    """Run jobs until SIGTERM, then finish the one under way."""
    for listener in (*shared.listeners, *((shared.admin,) if shared.admin else ())):
        listener.close()
    give_way()
    _run(shared, "jobs", _work)


def give_way() -> None:
    """Have this process, and the threads that it begins, wait for those that serve requests."""
    os.nice(_NICENESS)
    # A job that wakes up takes the processor from nobody; without this it may in the middle of a
    # request.
    if hasattr(os, "SCHED_BATCH"):  # Linux
        with suppress(OSError):  # a sandbox may forbid it, and a job runs as well without
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    # Its threads hand work to each other all the time. On two processors of two they slowed one
    # request in a hundred to 2.2 times, on one they cost it a fifth, and collect as fast.
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        with suppress(OSError):
            # Not the same one for every server of a host.
            os.sched_setaffinity(0, {allowed[os.getpid() % len(allowed)]})


def _run(shared: Shared, name: str, main: Callable[[Services], Coroutine[Any, Any, None]]) -> None:
    async def body() -> None:
        s = await build(
            shared.config,
            shared.secrets,
            name,
            shared.run_directory,
            shared.fair_use,
            shared.origins,
        )
        s.telemetry.adopt_libraries()
        sibling = await metrics.serve_own(s, shared.run_directory / f"{name}.sock")
        lag = asyncio.create_task(s.telemetry.metrics.watch_loop())
        uses = asyncio.create_task(s.guard.uses.keep(s.db))
        pulls = asyncio.create_task(s.pulls.keep(s.db))
        proxies = asyncio.create_task(s.proxies.keep())
        fencing = asyncio.create_task(_fence(s, shared.restored_at))
        try:
            await main(s)
        finally:
            lag.cancel()
            uses.cancel()
            pulls.cancel()
            proxies.cancel()
            fencing.cancel()
            sibling.close()
            await s.refusals.close()
            await s.follower.close()
            await s.guard.uses.flush(s.db)
            await s.pulls.flush(s.db)
            await s.blobs.close()
            await s.db.close()
            s.telemetry.flush()
            s.telemetry.sink.close()

    asyncio.run(body())


async def _fence(s: Services, began: int | None) -> None:
    """Have the whole server end when its database is no longer the one that it began with."""
    if began is not None:
        await fence.watch(s, began, lambda: os.kill(os.getppid(), signal.SIGTERM))


async def _serve(s: Services, shared: Shared, *, is_first: bool) -> None:
    if shared.admin is not None and is_first:
        async with _admin(s, shared.admin):
            await _serve_clients(s, shared)
    else:
        await _serve_clients(s, shared)


@asynccontextmanager
async def _admin(s: Services, listener: socket.socket) -> AsyncIterator[None]:
    door = admin_front(s)
    server = door.server()
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=_CUT_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield
    finally:
        await door.drain(server, _CUT_SECONDS)
        await runner.cleanup()


async def _serve_clients(s: Services, shared: Shared) -> None:
    door = front(s)
    server = door.server()
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=_CUT_SECONDS)
    await runner.setup()
    context = shared.tls.context if shared.tls is not None else None
    for listener in shared.listeners:
        # One connection for each wake-up: asyncio would take as many as the backlog holds, and
        # the worker that woke first would get them all.
        await web.SockSite(runner, listener, ssl_context=context, backlog=1).start()
        listener.listen(_KERNEL_BACKLOG)
    await _told_to_stop().wait()
    door.wind_down()
    # A proxy has sent some that are not accepted yet, and sends more until it knows: closing the
    # listener would reset them all.
    await asyncio.sleep(_LAST_CALL_SECONDS)
    for site in list(runner.sites):
        await site.stop()
    await door.drain(server, s.config.limits.drain_seconds)
    await runner.cleanup()


async def _work(s: Services) -> None:
    await worker.run(s, _told_to_stop())


def _told_to_stop() -> asyncio.Event:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return stop
