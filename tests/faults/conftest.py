"""Figures that tests of faults found, told at the end of a run; and a fleet for a file's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from faults.fronting import Front, fronted, new_fleet
from fleet import Fleet

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that keeps a line for the end of the run."""

    def keep(line: str) -> None:
        request.config.stash.setdefault(FIGURES, []).append(f"{request.node.name}: {line}")

    return keep


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Run three replicas over a database and a store that may be stopped."""
    with new_fleet(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture(scope="module")
def front(fleet: Fleet) -> Iterator[Front]:
    """Run nginx before the three replicas."""
    with fronted(fleet) as running:
        yield running


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Tell the figures."""
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
