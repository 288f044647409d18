"""A real Debian image, made by debootstrap and kept for the next run."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from clients.images import Content

SUITE = "bookworm"
KEPT = Path(__file__).resolve().parents[2] / ".cache" / "tests"
PACKAGE_FILES = ("./var/cache/apt/archives/*.deb", "./var/lib/apt/lists/*", "./var/cache/apt/*.bin")


def debian_tar(*packages: str) -> Path:
    """Return a tar of a minimal Debian with these packages, which is made if it is not there."""
    kept = KEPT / f"{'-'.join((f'debian-{SUITE}', *packages))}.tar"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=_place(), prefix="debootstrap-") as directory:
            root, tar = Path(directory, "root"), Path(directory, "root.tar")
            more = [f"--include={','.join(packages)}"] if packages else []
            _command("debootstrap", "--variant=minbase", *more, SUITE, root)
            leave_out = [f"--exclude={pattern}" for pattern in PACKAGE_FILES]
            _command("tar", "-C", root, "-cf", tar, "--sort=name", *leave_out, ".")
            tar.replace(kept)
    return kept


def debian_layout() -> Path:
    """Return an OCI layout with that Debian in one layer, tagged `12`."""
    kept = KEPT / f"debian-{SUITE}"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=_place(), prefix="layout-") as directory:
            content = Content()
            image = content.image_of([debian_tar().read_bytes()], level=3)
            content.write(Path(directory, "layout"), image, "12").replace(kept)
    return kept


def _place() -> Path:
    KEPT.mkdir(parents=True, exist_ok=True)
    return KEPT


def _command(*words: str | Path) -> None:
    assert shutil.which(words[0]), f"{words[0]} is not installed; tests/tools.sh installs it"
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-3000:]
