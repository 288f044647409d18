"""System calls of a running process that fail, or at which it dies."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from faults.watching import in_order


class Injection:
    """`strace`, attached to all threads of a process; each thread counts its calls for itself.

    `calls` are the names of system calls, `what` the fault as strace takes it: `error=EIO:when=2`.
    With `alone`, only one thread: that which a worker starts first, the database's writer.
    """

    def __init__(self, pid: int, calls: str, what: str, log: Path, *, alone: bool = False) -> None:
        self._pid = pid
        self._tasks = Path(f"/proc/{pid}/task")
        self._alone = alone
        self._log = log
        whom = ["-p", self._threads()[0].name] if alone else ["-f", "-p", str(pid)]
        inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:{what}"]
        self._command = ["strace", "-o", str(log), *inject, *whom]

    def __enter__(self) -> Injection:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not all(self._is_traced(thread) for thread in self._threads()):
            assert time.monotonic() < deadline, f"strace is not attached: {self._command}"
            assert self._process.poll() is None, f"strace did not start: {self._command}"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        """Detach; strace itself may wait for ever for a thread that died in a call."""
        self._process.terminate()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def count(self) -> int:
        """How many calls have failed so far."""
        return self._log.read_text(errors="replace").count("(INJECTED)")

    def _threads(self) -> list[Path]:
        numbers = in_order(self._pid, (int(thread.name) for thread in self._tasks.iterdir()))
        found = [self._tasks / str(number) for number in numbers]
        return found[1:2] if self._alone else found

    def _is_traced(self, thread: Path) -> bool:
        return "\nTracerPid:\t0\n" not in (thread / "status").read_text()
