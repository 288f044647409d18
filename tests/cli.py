"""The `moorage` command as a person runs it: own home, own settings, nothing of ours around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from process import NO_FILE

SOURCES = str(Path(__file__).parents[1] / "src")
HELPER = "docker-credential-moorage"


class Told:
    """What a command printed, and how it ended."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def expect(self, code: int) -> Told:
        """Check how it ended, and return it."""
        assert self.code == code, (self.code, self.out, self.err)
        return self

    def json(self) -> Any:
        """Return the document that it printed."""
        return json.loads(self.out)


class Person:
    """Somebody with a home directory, in which docker's helper can be found."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        tools = home / "bin"
        tools.mkdir(exist_ok=True)
        helper = tools / HELPER
        helper.write_text(
            f"#!/bin/sh\nPYTHONPATH={SOURCES} exec {sys.executable} "
            '-m moorage.client.credential_helper "$@"\n'
        )
        helper.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        self.environment: Mapping[str, str] = {
            **kept,
            "HOME": str(home),
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": SOURCES,
            **NO_FILE,
            **environment,
        }

    def run(self, *words: str, given: str = "") -> Told:
        """Run a command with this on standard input."""
        return Told(
            subprocess.run(
                [sys.executable, "-m", "moorage", *words],
                env=dict(self.environment),
                input=given,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        )

    def __call__(self, *words: str, given: str = "") -> Told:
        """Run a command that must succeed."""
        return self.run(*words, given=given).expect(0)


def _is_ours(name: str) -> bool:
    return name.startswith(("MOORAGE_", "XDG_")) or name in ("DOCKER_CONFIG", "HOME")
