"""The matrix of `matrix.py`, route by route; `test_mutants.py` has the holes it must find."""

from __future__ import annotations

import pytest

from cast import Cast
from matrix import PROBES, Probe, holes
from moorage.v2.app import _ROUTES
from registry import requirement

pytestmark = pytest.mark.metadata


def test_every_route_has_a_probe() -> None:
    """What is not in the matrix is not in the program, and the other way round."""
    routes = {(kind, method) for kind, methods in _ROUTES.items() for method in methods}
    assert routes == {(probe.kind, probe.method) for probe in PROBES}


@requirement("S-14", "S-16", "S-17", "S-37")
@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.title)
def test_the_matrix(cast: Cast, probe: Probe) -> None:
    """Everybody is answered as the data say, wherever they ask."""
    assert list(holes(cast, [probe])) == []
