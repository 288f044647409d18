"""The two servers under measurement: how each is started, stopped and asked for its version."""

import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from bench import processes, tools, wire
from bench.tools import BenchError

START_LIMIT = 60.0
STOP_LIMIT = 30.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 and its key."""

    path: str
    key: str


def make_certificate(directory: Path) -> Certificate:
    """Make a certificate that lives for two days."""
    made = Certificate(str(directory / "cert.pem"), str(directory / "key.pem"))
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", made.key, "-out", made.path]
    tools.run(["openssl", "req", "-x509", *kind, *names, *files])
    return made


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server(ABC):
    """A registry over a directory of its own; the process lives between start and stop."""

    name: str
    ready_path: str
    environment: Mapping[str, str] | None = None  # the caller's own

    def __init__(self, directory: Path, certificate: Certificate | None = None) -> None:
        """Prepare to serve `directory`; nothing runs yet."""
        self.directory = directory
        self.certificate = certificate
        self.endpoint = wire.Endpoint(free_port(), certificate.path if certificate else None)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line that serves the directory."""

    @property
    def pid(self) -> int:
        """The process everything else of the server descends from."""
        if self._process is None:
            raise BenchError(f"{self.name} does not run")
        return self._process.pid

    def start(self, path: str | None = None) -> float:
        """Start and return the seconds from exec to the first 200 of `path`."""
        self.directory.mkdir(exist_ok=True)
        command = self.command()
        begun = time.perf_counter()
        self._process = tools.spawn(command, self.directory, self.log, self.environment)
        while time.perf_counter() - begun < START_LIMIT:
            if self._process.poll() is not None:
                break
            if self._answers(path or self.ready_path):
                return time.perf_counter() - begun
            time.sleep(0.002)
        tail = self.log.read_text(errors="replace")[-600:]
        self.stop()
        raise BenchError(f"{self.name} did not become ready: {tail}")

    def stop(self) -> None:
        """End the process by its id, and after a while whatever is left of its tree."""
        if self._process is None:
            return
        left = list(processes.family(self._process.pid))
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(STOP_LIMIT)
        self._process = None

    @property
    def log(self) -> Path:
        """The file that holds everything the server prints."""
        return self.directory / "server.log"

    def complaint(self) -> str:
        """Return the last line of the log that speaks of an error, shortened."""
        lines = self.log.read_text(errors="replace").splitlines()
        found = next((line for line in reversed(lines) if "rror" in line), "no error")
        return f"{self.name} logged: {found[:400]} ... {found[-400:]}"

    def cpu(self) -> float:
        """Return the CPU seconds the server has used since it started."""
        return processes.cpu_seconds(self.pid)

    def memory(self) -> int:
        """Return the server's memory in bytes."""
        return processes.memory(self.pid)

    def connection(self) -> wire.Connection:
        """Return a connection for seeding and looking, not for load."""
        return wire.Connection(self.endpoint)

    def _answers(self, path: str) -> bool:
        connection = self.connection()
        try:
            answer = connection.exchange(wire.request(self.endpoint, "GET", path))
        except (OSError, BenchError):
            return False
        finally:
            connection.close()
        return answer.status == HTTPStatus.OK


class Moorage(Server):
    """Moorage as shipped, with two workers."""

    name = "Moorage"
    ready_path = "/readyz"
    workers = 2

    def command(self) -> list[str]:
        """Return the command line that serves the directory."""
        serve = [sys.executable, "-m", "moorage", "serve", "--workers", str(self.workers)]
        place = ["--listen", self.endpoint.authority, "--data", str(self.directory / "data")]
        if self.certificate is None:
            return serve + place
        tls = ["--tls-cert", self.certificate.path, "--tls-key", self.certificate.key]
        return serve + place + tls


class DockerRegistry(Server):
    """Debian's docker-registry over a directory, with its default log and access log."""

    name = "docker-registry"
    ready_path = "/v2/"

    @property
    def root(self) -> Path:
        """The directory its on-disk layout starts in."""
        return self.directory / "data" / "docker" / "registry" / "v2"

    def command(self) -> list[str]:
        """Write the configuration and return the command line that uses it."""
        tls = ""
        if self.certificate is not None:
            tls = f"  tls: {{certificate: {self.certificate.path}, key: {self.certificate.key}}}\n"
        config = self.directory / "config.yml"
        config.write_text(
            "version: 0.1\n"
            "log: {level: info}\n"
            "storage:\n"
            f"  filesystem: {{rootdirectory: {self.directory / 'data'}}}\n"
            "  delete: {enabled: true}\n"
            "  cache: {blobdescriptor: inmemory}\n"
            "http:\n"
            f"  addr: {self.endpoint.authority}\n{tls}"
        )
        return ["docker-registry", "serve", str(config)]


class SpareRegistry(DockerRegistry):
    """A docker-registry in Moorage's place: it proves the harness, its ratios are about 1."""

    name = "docker-registry (in Moorage's place)"
