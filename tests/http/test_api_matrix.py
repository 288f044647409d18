"""The matrix of `api_matrix.py`, operation by operation; `test_api_mutants.py` has its holes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_matrix import ANSWERS, ENDED, OUTSIDERS, Stage, holes, operations, rows
from cast import Cast
from registry import requirement

pytestmark = pytest.mark.metadata


# Places of which one is hidden from many, and what is not there.
PAIRS = [(hidden, "missing") for hidden in ("private", "there", "another", "closed")]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Return the registry with everybody in it, and what they ask about."""
    with Cast() as running, Stage(running) as made:
        yield made


def test_every_operation_has_its_answers() -> None:
    """What is not in the data is not in the program, and the other way round."""
    assert set(operations()) == set(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_data_disclose_nothing(name: str) -> None:
    """To whom a place is hidden, the data say the same of it as of one that is not there."""
    found = {row.place: row.expected for row in rows(name)}
    for hidden, absent in PAIRS:
        for who in (*OUTSIDERS, *ENDED) if hidden in found and absent in found else ():
            assert found[hidden][who] == found[absent][who], (hidden, who)


@requirement("S-14", "S-16", "S-17", "S-20", "S-37")
@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.timeout(120)
def test_the_matrix(stage: Stage, name: str) -> None:
    """Everybody is answered as the data say, wherever they ask."""
    assert list(holes(stage, name)) == []
