"""Holes put into a copy of the program: a test is no better than those that it finds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import moorage

SOURCE = Path(moorage.__file__).parent


class Mutant(NamedTuple):
    """A hole: the file, and the text that another one takes the place of.

    `also` are further such changes, where it takes several to get through.
    """

    title: str
    file: str
    old: str
    new: str
    also: tuple[tuple[str, str, str], ...] = ()

    @property
    def changes(self) -> tuple[tuple[str, str, str], ...]:
        """All files with what stands there and what is to."""
        return ((self.file, self.old, self.new), *self.also)

    def can_be_made(self) -> bool:
        """Return whether each text is in its file once; a hole that is not made proves nothing."""
        return all((SOURCE / file).read_text().count(old) == 1 for file, old, _ in self.changes)


def unchecked(title: str, file: str, line: str) -> Mutant:
    """Return the hole of a handler that forgets to ask what the caller may."""
    return Mutant(title, file, f"    {line}\n", "")


def spoiled(mutant: Mutant, directory: Path) -> Path:
    """Return the directory of a copy of the program with the hole in it."""
    shutil.copytree(SOURCE, directory / "moorage", ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in mutant.changes:
        file = directory / "moorage" / name
        text = file.read_text()
        assert text.count(old) == 1, f"{mutant.title}: the text is there {text.count(old)}x"
        file.write_text(text.replace(old, new))
    return directory
