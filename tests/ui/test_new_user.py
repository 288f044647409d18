"""From nothing to the first image in the browser, by what the README says and nothing besides."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from clients.engines import Docker, temporary_directory
from clients.test_readme import PAGE, PROGRAM, ROOT
from documented import Story, blocks
from process import free_port, require_tool

pytestmark = [
    pytest.mark.needs_root,
    *map(require_tool, ("docker", "dockerd", "git", "cc")),
    pytest.mark.timeout(300),
]
MOST_SECONDS = 60
COMMANDS = 2


def test_the_first_minute(browser: Browser, docker: Docker) -> None:
    """A clone, `make serve`, a push: its row is there, and the page behind it has its layers.

    The image and the daemon are there already, as the README supposes; the environment is made from
    the package index, of which pip may have kept what it fetched before.
    """
    port = free_port()
    [_, block, *_] = blocks(PAGE)
    with temporary_directory() as home:
        story = Story(
            PAGE,
            home,
            replace={":5000": f":{port}"},
            DOCKER_HOST=docker.socket,
            PIP_CACHE_DIR=pip_cache(),
            PYTHONPATH="",
        )
        story.api = f"http://127.0.0.1:{port}"
        story.patience = MOST_SECONDS
        (story.place / "app.c").write_text(PROGRAM)
        (story.place / "Dockerfile").write_text('FROM scratch\nCOPY app /\nCMD ["/app"]\n')
        story.run("cc -static -o app app.c\ndocker build -t app .\nrm app app.c Dockerfile")
        # Whoever has the program on his path already is no new user.
        (story.person.home / "bin/moorage").unlink()
        with story, browser.new_context() as context:
            page = context.new_page()
            began = time.monotonic()
            story.run(f"git clone --quiet {ROOT} .")
            use_port(story.place / "Makefile", port)
            story.run(block)
            page.goto(f"http://localhost:{port}")
            row = page.get_by_role("row").filter(has_text="app").first
            expect(row).to_be_visible()
            row.get_by_role("link", name="app", exact=True).click()
            expect(page.get_by_role("main")).to_contain_text(f"docker pull localhost:{port}/app")
            took = time.monotonic() - began
            assert took <= MOST_SECONDS


def test_it_is_two_commands() -> None:
    """One that serves and one that pushes; the rest of the block gives a name, and runs it."""
    [first, block, *_] = blocks(PAGE)
    lines = [line.partition("#")[0].strip() for line in block.splitlines()]
    assert first.startswith("make serve ")
    assert lines[0] == "make serve &"
    needed = [line for line in lines if not line.startswith(("docker tag ", "docker run "))]
    assert len(needed) == COMMANDS
    assert needed[1].startswith("docker push localhost:5000/")


def use_port(makefile: Path, port: int) -> None:
    """Have `make serve` listen where nothing else does."""
    makefile.write_text(makefile.read_text().replace(":5000", f":{port}"))


def pip_cache() -> str:
    """Return where pip keeps what it has fetched."""
    command = [sys.executable, "-m", "pip", "cache", "dir"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout.strip()
