"""Of several things some may be refused: the rest is done, and the exit code says so."""

from collections.abc import Callable

import pytest

from moorage.cli.output import Output
from moorage.cli.partly import for_each
from moorage.errors import Refused


def refusing(names: str, exit_code: int, done: list[str]) -> Callable[[str], None]:
    """Return an act that refuses these, and keeps the others."""

    def act(name: str) -> None:
        if name in names:
            raise Refused(f"No {name}.", exit_code=exit_code)
        done.append(name)

    return act


@pytest.mark.parametrize(
    ("names", "refused", "refusal", "exit_code", "left"),
    [
        ("abc", "b", 3, 6, "b"),
        ("abc", "abc", 3, 3, "a, b, c"),
        ("b", "b", 4, 4, "No b"),
        # Who can't be reached is not asked again and again.
        ("abcd", "bd", 8, 6, "b, c, d"),
    ],
)
def test_partly(
    names: str,
    refused: str,
    refusal: int,
    exit_code: int,
    left: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done: list[str] = []
    with pytest.raises(Refused) as told:
        for_each(Output("table"), tuple(names), refusing(refused, refusal, done))
    assert told.value.exit_code == exit_code
    assert left in told.value.what
    assert "Error: No" in capsys.readouterr().err or len(names) == 1


def test_all_of_them() -> None:
    done: list[str] = []
    for_each(Output("table"), ("a", "b"), done.append)
    assert done == ["a", "b"]
