"""The supervisor: binds, imports, freezes the heap, forks, and keeps its processes alive.

It opens no connection and starts no thread, so that a fork copies nothing that is under way.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec

from moorage.auth.fair_use import FairUse
from moorage.cli import heap, process
from moorage.cli.admin import AdminSocket
from moorage.cli.announce import announce, introduce
from moorage.cli.lock import BEAT_SECONDS, DataLock
from moorage.cli.preparing import prepare_apart
from moorage.config import Loaded
from moorage.db.at_rest import compile_at_rest
from moorage.telemetry import unbuffered_log
from moorage.web.listen import ReloadingTls, bind, parse_address
from moorage.web.server import require_c_parser

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_FIRST_BACKOFF = 0.5
_LAST_BACKOFF = 30.0
_STEADY_SECONDS = 10.0


def serve(loaded: Loaded) -> None:
    """Serve with these settings until SIGTERM or SIGINT, then drain.

    Raises:
        Refused: something that is needed to start is missing or taken.
    """
    config = loaded.config
    require_c_parser()
    addresses = [parse_address(text) for text in config.listen]
    tls = ReloadingTls(config.tls.cert, config.tls.key) if config.tls.cert else None
    # Before anything is changed there.
    introduce(config, loaded.file)
    with ExitStack() as held:
        # Before the addresses: whoever can connect there finds the admin socket as well.
        admin = AdminSocket.open(config)
        if admin is not None:
            held.callback(admin.close)
        listeners = [bind(address) for address in addresses]
        lock = DataLock.acquire(config.directory) if config.uses_directory else None
        if lock is not None:
            held.callback(lock.release)
        prepared = prepare_apart(config, held)
        run_directory = Path(tempfile.mkdtemp(prefix="moorage-"))
        held.callback(shutil.rmtree, run_directory, ignore_errors=True)
        announce(config, addresses, listeners, prepared.link, run_directory)
        compile_at_rest("sqlite" if config.is_embedded else "postgresql")
        heap.settle()
        shared = process.Shared(
            config,
            loaded.origins,
            prepared.secrets,
            listeners,
            tls,
            run_directory,
            FairUse(config.limits),
            admin.listener if admin is not None else None,
            prepared.restored_at,
        )
        locks = [each.descriptor for each in (lock, admin) if each is not None]
        sys.exit(Supervisor(shared, lock, locks).run())


class _Child(msgspec.Struct):
    """One process: what it runs, since when, and how long to wait before the next try."""

    name: str
    run: Callable[[], None]
    pid: int = 0
    started: float = 0.0
    backoff: float = _FIRST_BACKOFF
    start_at: float = 0.0


class Supervisor:
    """Keeps one process per worker and one for jobs running."""

    def __init__(
        self, shared: process.Shared, lock: DataLock | None, descriptors: list[int]
    ) -> None:
        """Plan the processes; the lock is this process's alone, and kept alive by it.

        `descriptors` are those of all locks, which no child may hold on to.
        """
        self._descriptors = descriptors
        self._log = unbuffered_log("supervisor", shared.config.log.format)
        self._drain = shared.config.limits.drain_seconds
        self._lock = lock
        self._beat_failed = False
        names = [str(number) for number in range(shared.config.worker_count)]
        self._children = [
            *(_Child(name, partial(process.serve, shared, name)) for name in names),
            _Child("jobs", partial(process.run_jobs, shared)),
        ]
        self._listeners = shared.listeners

    def run(self) -> int:
        """Start all, restart what ends by itself, and return the exit code."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        while True:
            self._beat()
            self._start_due()
            caught = signal.sigtimedwait(_SIGNALS, self._until_next_start())
            self._reap()
            if caught is not None and caught.si_signo in (signal.SIGTERM, signal.SIGINT):
                return self._stop()

    def _beat(self) -> None:
        if self._lock is None:
            return
        try:
            self._lock.beat()
        except OSError as error:  # a disk in trouble: what can be served still is
            if not self._beat_failed:
                self._log.warning("other hosts may take the data directory", error=str(error))
            self._beat_failed = True
        else:
            self._beat_failed = False

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.pid or child.start_at > now:
                continue
            child.started = now
            try:
                child.pid = self._fork(child)
            except OSError as error:  # no memory, too many processes: the others go on
                self._wait_to_start(child)
                told = f"process {child.name} can't be started yet"
                self._log.warning(told, error=str(error))

    def _fork(self, child: _Child) -> int:
        supervisor = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            for descriptor in self._descriptors:
                os.close(descriptor)
            process.begin(supervisor)
            child.run()
            code = 0
        finally:
            # Never back into the supervisor's code, whatever happened.
            try:
                if code:
                    self._log.error(f"process {child.name} failed", exc_info=True)
            finally:
                os._exit(code)

    def _until_next_start(self) -> float:
        now = time.monotonic()
        waits = [child.start_at - now for child in self._children if not child.pid]
        return max(0.0, min([*waits, BEAT_SECONDS]))

    def _reap(self) -> None:
        for child in self._children:
            if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                child.pid = 0
                self._wait_to_start(child)
                self._log.warning(f"process {child.name} ended, starting it again")

    def _wait_to_start(self, child: _Child) -> None:
        steady = time.monotonic() - child.started > _STEADY_SECONDS
        child.backoff = _FIRST_BACKOFF if steady else min(child.backoff * 2, _LAST_BACKOFF)
        child.start_at = time.monotonic() + child.backoff

    def _stop(self) -> int:
        for listener in self._listeners:
            listener.close()
        for child in self._children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        until = time.monotonic() + self._drain + 5
        while any(child.pid for child in self._children):
            if time.monotonic() > until:
                for child in self._children:
                    if child.pid:
                        os.kill(child.pid, signal.SIGKILL)
                return 1
            signal.sigtimedwait(_SIGNALS, 0.2)
            for child in self._children:
                if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                    child.pid = 0
        return 0
