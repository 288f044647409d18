from __future__ import annotations

import pytest

from moorage.errors import Invalid
from moorage.web.numbers import number_of, whole_number


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("07", 7), ("9" * 18, 10**18 - 1), ("1" * 5, 11_111)]
)
def test_whole_numbers(text: str, number: int) -> None:
    assert number_of(text) == whole_number(text, "after") == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1e3", " 1", "1_0", "\u0661", "1" * 19])
def test_what_is_none(text: str) -> None:
    assert number_of(text) is None
    with pytest.raises(Invalid, match="after must be a whole number"):
        whole_number(text, "after")
