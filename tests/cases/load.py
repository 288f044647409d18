"""Reads the tables beside it: one TOML file for each kind of thing that is parsed."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent


def table(file: str, name: str) -> dict[str, Any]:
    """Return a table of `tests/cases/<file>.toml`, from a case's title to what it says."""
    document = tomllib.loads((_HERE / f"{file}.toml").read_text())
    found: dict[str, Any] = document[name]
    return found


def cases(file: str, name: str) -> list[Any]:
    """Return the same as parameters of a test, each under its title."""
    return [pytest.param(value, id=title) for title, value in table(file, name).items()]
