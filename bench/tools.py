"""Outside programs: wrk, skopeo, openssl; nothing here knows a server's processes."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class BenchError(RuntimeError):
    """A measurement that could not be made, with the reason to print in its row."""


def run(
    command: Sequence[str], limit: float = 300.0, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program to its end and return its standard output; :raises BenchError: if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise BenchError(f"{command[0]} ended with {done.returncode}: {done.stderr[-400:]}")
    return done.stdout


def spawn(
    command: Sequence[str],
    directory: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a server in a session of its own, with everything it prints going to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
