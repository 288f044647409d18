"""Runs the programs under test and keeps what they said; starts and ends daemons of our own."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Outcome:
    """How one command ended."""

    command: str
    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that the person at the terminal reads."""
        return self.out + self.err

    def ok(self) -> str:
        """Return what the command printed, which must have succeeded."""
        assert self.status == 0, f"{self.command}\nended with {self.status}:\n{self.text}"
        return self.out.strip()

    def refused(self) -> str:
        """Return all that the command said, which must have failed by itself."""
        assert self.status > 0, f"{self.command}\nended with {self.status}:\n{self.text}"
        return self.text


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return variables that keep a program away from the settings of whoever runs the tests."""
    home.mkdir(parents=True, exist_ok=True)
    path = f"{PATH}:{os.environ.get('PATH', '')}"
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "TMPDIR": str(home), **more}


def empty_auth_file(home: Path) -> str:
    """Return the name of a file for logins that holds none."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "auth.json").write_text("{}")
    return str(home / "auth.json")


def run(
    *command: str | Path,
    env: dict[str, str],
    given: str | None = None,
    timeout: float = 120,
    cwd: Path | None = None,
) -> Outcome:
    """Run a command to its end."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        env=env,
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        cwd=cwd,
        check=False,
    )
    return Outcome(shlex.join(words), done.returncode, done.stdout, done.stderr)


def wait_until_written(process: subprocess.Popen[bytes], size: int) -> None:
    """Wait until a process has written so many bytes, to sockets too."""
    deadline = time.monotonic() + 60
    counters = Path(f"/proc/{process.pid}/io")
    written = 0
    while written < size:
        assert process.poll() is None, f"it ended after {written} bytes"
        assert time.monotonic() < deadline, f"it has written {written} bytes only"
        fields = counters.read_text().split()
        written = int(fields[fields.index("wchar:") + 1])
        time.sleep(0.002)


@contextlib.contextmanager
def daemon(
    command: list[str | Path],
    directory: Path,
    env: dict[str, str],
    ready: Callable[[], bool],
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon that keeps everything in `directory`, until the block or this process ends."""
    log = directory / "daemon.log"
    command = ["setpriv", "--pdeathsig=TERM", *command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=env,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(ready, process, log)
        yield process
    finally:
        end(process)
        end_processes_of(directory)
        unmount_below(directory)


def wait_for(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float = 30
) -> None:
    """Wait until a daemon answers; its log is the message of the failure."""
    deadline = time.monotonic() + seconds
    while not ready():
        last_words = log.read_text(errors="replace")[-3000:]
        assert process.poll() is None, f"ended with {process.returncode}:\n{last_words}"
        assert time.monotonic() < deadline, f"not ready in {seconds} s:\n{last_words}"
        time.sleep(0.1)


def end(process: subprocess.Popen[bytes], seconds: float = 15) -> None:
    """Ask a process to end, and end it if it does not."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_processes_of(directory: Path) -> None:
    """End what a daemon may have left running: processes that name its directory."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if any(os.fsencode(directory) + b"/" in word for word in words):
                os.kill(int(entry.name), signal.SIGKILL)


def unmount_below(directory: Path) -> None:
    """Take away every mount that is left below a directory, the deepest first."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{directory}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)


def remove(directory: Path) -> None:
    """Remove a directory of container storage, mounts in it first."""
    unmount_below(directory)
    shutil.rmtree(directory, ignore_errors=True)
