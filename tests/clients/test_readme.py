"""The README, followed from a fresh copy of the sources: what it says first must be true."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clients.engines import Docker, temporary_directory
from clients.marks import SLOW, needs
from documented import Exempt, Story, blocks
from process import free_port, require_tool

pytestmark = [pytest.mark.on("sqlite"), SLOW, *needs("docker"), require_tool("cc")]

PAGE = "../README.md"
ROOT = Path(__file__).parents[2]
# What is needed to install it; of the rest nothing is used.
SOURCES = ("Makefile", "pyproject.toml", "README.md", "LICENSE", "requirements", "src")
FIRST = Exempt(
    "make serve          # makes its environment",
    "is begun again by the block behind it; `make test` is what runs this",
    lambda: list(blocks(PAGE))[1].startswith("make serve &\n"),
)
# Which begins where the README ends: with the same environment.
[INSTALLED] = [
    block for block in blocks("tutorials/team-server.md") if block.startswith("make .venv/.serve")
]
PROGRAM = "int main(void) { return 0; }\n"


def copy_sources(place: Path) -> None:
    """Put the sources where a reader has them, without anything that was built."""
    for name in SOURCES:
        if (ROOT / name).is_dir():
            built = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, place / name, ignore=built)
        else:
            shutil.copy(ROOT / name, place / name)


def build_image(story: Story) -> None:
    """Have an image `app`, as the reader has any."""
    (story.place / "app.c").write_text(PROGRAM)
    (story.place / "Dockerfile").write_text('FROM scratch\nCOPY app /\nCMD ["/app"]\n')
    story.run("cc -static -o app app.c\ndocker build -t app .\nrm app app.c Dockerfile")


def test_the_readme(docker: Docker) -> None:
    """Its environment is made from the package index, as `make serve` makes it."""
    port = free_port()
    cache = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=False
    ).stdout.strip()
    with temporary_directory() as home:
        story = Story(
            PAGE,
            home,
            replace={
                # A password is typed there, and the server of the first minute is still this one.
                "docker login -u alice registry.example:5000": 'printf %s "$PASSWORD" | '
                "docker login -u alice --password-stdin localhost:5000",
                "registry.example:5000": "localhost:5000",
                # The reader is in the environment that the wheel goes into.
                "pip install": ".venv/bin/pip install",
                "/usr/local/bin/": f"{home}/bin/",
                ":5000": f":{port}",
            },
            exempt=(FIRST,),
            DOCKER_HOST=docker.socket,
            PIP_CACHE_DIR=cache,
            PYTHONPATH="",
            # Others may run on this machine, and root may be in a container.
            MOORAGE_DATA=str(home / "work/data"),
            MOORAGE_ADMIN_SOCKET="on",
        )
        story.api = f"http://127.0.0.1:{port}"
        copy_sources(story.place)
        makefile = story.place / "Makefile"
        makefile.write_text(makefile.read_text().replace(":5000", f":{port}"))
        with story:
            build_image(story)
            story.run(INSTALLED)
            assert (story.person.home / "bin/moorage").resolve().is_relative_to(story.place)
            [served, shared, packed] = list(story.blocks())
            story.run(served)
            story.run("docker tag app localhost:5000/web/shop:1.0")
            # One by one: Alice has opened her link before she is given anything.
            told = [story.run(line).out for line in shared.splitlines()]
            assert ["/link#" in each for each in told].count(True) == 1
            moves = story.run("moorage tag history web/shop:1.0 -o json").out
            assert [each["by"]["actor"] for each in json.loads(moves)] == ["alice"]
            story.run(packed)
            assert story.run(".venv/bin/moorage --version").out.startswith("moorage")
            where = "import moorage; print(moorage.__file__)"
            assert "site-packages" in story.run(f".venv/bin/python -c '{where}'").out


def test_what_is_not_run_is_still_there_and_has_its_reason() -> None:
    assert [text for text in blocks(PAGE) if text.startswith(FIRST.begins)]
    assert FIRST.is_needed(), FIRST.why
