"""A Moorage server as a process of its own: started, stopped, killed and restarted.

    with Server(data=tmp_path, env={"MOORAGE_ALLOW_SPARSE": "always"}) as server:
        Registry(server.url).get("/v2/")
        server.kill()          # SIGKILL to the supervisor and all its workers
        server.start()         # the same port, the same data directory

The server's environment is the caller's without any `MOORAGE_*`, plus `env`. Everything that it
writes to stdout and stderr is in the file `log` beside the data directory, over all restarts.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self

import apsw
import psycopg
import pytest

READY_SECONDS = 20
STOP_SECONDS = 20
# A restore of what ten minutes of load have made takes minutes.
COMMAND_SECONDS = 600
# Browsers refuse some ports below the first one.
_LOWEST_PORT, _USUAL_LEAST = 11_000, 32_768
# In place of the settings of a server that this machine may have.
NO_FILE = {"MOORAGE_CONFIG": os.devnull}


def free_port() -> int:
    """Return a loopback port that nothing has at this moment.

    The kernel would give one that it gives to connections as well, also while a server that has it
    is away for a moment; so it is from below those, where there is room.
    """
    while True:
        port = _LOWEST_PORT + secrets.randbelow(_least_of_connections() - _LOWEST_PORT)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@functools.cache
def _least_of_connections() -> int:
    """Return the lowest port that the kernel gives to a connection."""
    place = Path("/proc/sys/net/ipv4/ip_local_port_range")
    least = int(place.read_text().split()[0]) if place.exists() else _USUAL_LEAST
    return least if least > 2 * _LOWEST_PORT else _USUAL_LEAST


def is_listening(port: int) -> bool:
    """Return whether something accepts connections on a loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with these settings in place of what it has of Moorage."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MOORAGE_")}
    return {**kept, **NO_FILE, **settings}


def run_moorage(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, with these settings."""
    return subprocess.run(
        [sys.executable, "-m", "moorage", *words],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def require_tool(name: str) -> pytest.MarkDecorator:
    """Mark a test that needs a program: without it the test fails as root, else is not run."""
    return pytest.mark.needs_tool(name)


def find_tool(name: str) -> str | None:
    """Return where a program is, looking where Debian puts servers too."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")


class Stores(Protocol):
    """Where the servers of a run keep what they have (`shapes.py`)."""

    def environment(self) -> Mapping[str, str]:
        """Return the settings of a new server."""
        ...


class Server:
    """One `moorage serve`, in a process group of its own.

    `data` is the data directory (a fresh temporary one by default, removed by `close`), `args` are
    further arguments, `env` further environment, `workers` the number of worker processes.
    `address` is `host:port` and stays the same over restarts; `url` is made from it.
    """

    stores: ClassVar[Stores | None] = None

    def __init__(
        self,
        data: Path | None = None,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        workers: int = 2,
        port: int | None = None,
    ) -> None:
        self._own = tempfile.mkdtemp(prefix="moorage-") if data is None else None
        self.data = Path(self._own) / "data" if self._own else Path(str(data))
        self.args = tuple(args)
        self.env = {**(self.stores.environment() if self.stores else {}), **(env or {})}
        self.workers = workers
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self.log = self.data.with_name(self.data.name + ".log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def command(self) -> list[str]:
        """The command line."""
        serve = [sys.executable, "-m", "moorage", "serve", "--listen", self.address]
        return [*serve, "--data", str(self.data), "--workers", str(self.workers), *self.args]

    def launch(self) -> Self:
        """Start the process without waiting for it."""
        assert self._process is None, "the server is running already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=environment(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def start(self) -> Self:
        """Start the server and return when it is ready; fail with its log when it is not."""
        self.launch()
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            code = self._process.poll() if self._process else None
            if code is not None or time.monotonic() > deadline:
                why = "is not ready" if code is None else f"ended with exit code {code}"
                self.kill()
                message = f"the server {why}: {' '.join(self.command)}\n{self.stderr_tail()}"
                raise AssertionError(message)
            time.sleep(0.05)
        return self

    def is_ready(self) -> bool:
        """Return whether `GET /readyz` answers 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def terminate(self) -> None:
        """Ask the server to end (SIGTERM) without waiting for it."""
        self._running().send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Return the exit code of a server that has been asked to end; fail if it stays."""
        process = self._running()
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            message = f"no end within {STOP_SECONDS} s of SIGTERM\n{self.stderr_tail()}"
            raise AssertionError(message) from None
        self._process = None
        return code

    def stop(self) -> int:
        """Ask the server to end (SIGTERM) and return its exit code; fail when it does not end."""
        self.terminate()
        return self.wait()

    def make_due(self, job: str) -> None:
        """Have a server that does not run now run the job as soon as it does."""
        statement = f"UPDATE job_schedule SET next_at = 1 WHERE name = '{job}'"
        place = self.env.get("MOORAGE_DATABASE")
        if place is None:
            connection = apsw.Connection(str(self.data / "moorage.db"))
            connection.execute(statement)
            connection.close()
        else:
            with psycopg.connect(place) as session:
                session.execute(statement.encode())

    def kill(self) -> None:
        """Kill the supervisor and every worker at once (SIGKILL)."""
        process = self._running()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._process = None

    def restart(self) -> Self:
        """Stop in good order and start again on the same port and data directory."""
        code = self.stop()
        assert code == 0, f"exit code {code} on SIGTERM\n{self.stderr_tail()}"
        return self.start()

    def close(self) -> None:
        """Kill what runs and remove the data directory where it is a temporary one."""
        if self._process is not None:
            self.kill()
        if self._own:
            shutil.rmtree(self._own, ignore_errors=True)

    def is_running(self) -> bool:
        """Return whether the supervisor lives."""
        return self._process is not None and self._process.poll() is None

    def children(self) -> list[int]:
        """Return the process ids of the supervisor's children: workers and the process of jobs."""
        return sorted(_children(self.pid))

    def stderr_tail(self, lines: int = 60) -> str:
        """Return the end of what the server wrote."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def link_file(self) -> Path | None:
        """Return the file with the link for the first account, if the server named one."""
        found = re.search(r"the address is in (\S+)", self.stderr_tail(200))
        return Path(found[1]) if found else None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server is not running"
        return self._process


def _children(parent: int) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                yield int(entry.parent.name)


class Program:
    """A helper program of a test (a proxy in front), running in the foreground until closed."""

    def __init__(self, command: Sequence[str], port: int, log: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)

    def __enter__(self) -> Self:
        deadline = time.monotonic() + 10
        while not is_listening(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                message = f"{self._process.args!r} does not listen: {self._log.read_text()}"
                raise AssertionError(message)
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
