"""A page of the documentation, followed command by command as its reader would.

    story = Story("how-to/undelete.md", home, replace={"registry.example": server.address})
    story.play()

Blocks of the kind `sh` are run as they stand, those of the kind `console` by what stands behind
their `$`; each is a script of its own in one directory, with the reader's home and programs. What
is different here (addresses, directories of the system) is replaced in the text, from left to right
in `replace`. A server that a page starts with `&` goes on until the story is closed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from api import PASSWORD, Api
from cli import SOURCES, Person, Told
from process import is_listening

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^( *)```(sh|console)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"#(mrg_[0-9A-Za-z]+)")
_IN_BACKGROUND = re.compile(r"^(.*\bserve\b.*) &$", re.MULTILINE)
SECONDS = 60


class Exempt(NamedTuple):
    """A block that is not run as it stands: how it begins, why, and whether that still holds."""

    begins: str
    why: str
    is_needed: Callable[[], bool]


def blocks(page: str) -> Iterator[str]:
    """Yield the commands of a page, one block after the other."""
    for match in _BLOCK.finditer((DOCS / page).read_text()):
        text = textwrap.dedent(match[3]) if match[1] else match[3]
        if match[2] == "console":
            typed = [line for line in text.splitlines() if line.startswith("$ ")]
            text = "".join(f"{line.removeprefix('$ ')}\n" for line in typed)
        yield text


class Story:
    """One page and its reader: a home, a directory to be in, programs, and what was printed."""

    def __init__(
        self,
        page: str,
        home: Path,
        *,
        replace: Mapping[str, str],
        exempt: tuple[Exempt, ...] = (),
        **environment: str,
    ) -> None:
        self.page = page
        self.exempt = exempt
        self.place = home / "work"
        self.place.mkdir(parents=True)
        self.root = home / "root"
        self.replace = {**replace, "/etc/": f"{self.root}/etc/", "/backup/": f"{self.root}/backup/"}
        for directory in ("etc/ssl", "etc/nginx/conf.d", "backup"):
            (self.root / directory).mkdir(parents=True)
        self.person = Person(home, PASSWORD=PASSWORD, DOCKER_BUILDKIT="0", **environment)
        self.program("moorage", f'PYTHONPATH={SOURCES} exec {sys.executable} -m moorage "$@"')
        self.program("sudo", 'exec "$@"')
        self.api = ""
        # So long a server may take until it listens, with what its command does before.
        self.patience = 20
        self._servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(20)

    def program(self, name: str, text: str) -> None:
        """Put a program on the reader's path."""
        path = self.person.home / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def play(self) -> list[Told]:
        """Run all blocks that are not exempt; each must succeed. Return what they printed."""
        return [self.run(block) for block in self.blocks()]

    def blocks(self) -> Iterator[str]:
        """Yield the blocks that are not exempt."""
        for block in blocks(self.page):
            if not any(block.startswith(each.begins) for each in self.exempt):
                yield block

    def run(self, block: str) -> Told:
        """Run one block; a link that it prints is opened, as its reader would."""
        text = self.replaced(block)
        server = _IN_BACKGROUND.search(text)
        if server is not None:
            self._serve(server[1])
            text = text[: server.start()] + text[server.end() :]
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.place,
            env=dict(self.person.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{self.page}: {text}\n{done.stdout}\n{done.stderr}"
        for secret in _LINK.findall(done.stdout):
            self._open(secret)
        return Told(done)

    def replaced(self, text: str) -> str:
        """Return a block as it is run here."""
        for old, new in self.replace.items():
            text = text.replace(old, new)
        return text

    def _open(self, secret: str) -> None:
        api = Api(self.api)
        link = api.post("/links/find", {"secret": secret}).expect(200).json()
        asked = {"secret": secret, "name": link["name"] or "alice", "password": PASSWORD}
        api.post("/links/redeem", asked).expect((200, 201))

    def _serve(self, command: str) -> None:
        log = self.person.home / "serve.log"
        with log.open("ab") as output:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.place,
                env=dict(self.person.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._servers.append(server)
        deadline = time.monotonic() + self.patience
        [port] = re.findall(r"127\.0\.0\.1:([0-9]+)", command) or [self.api.rpartition(":")[2]]
        while not is_listening(int(port)):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
