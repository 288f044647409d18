"""QR codes: the image is the code, to the module, and says what it is."""

import re

import pytest
from markupsafe import escape

from moorage.ui import qr

# "moorage", as a reader of codes has read it.
SMALL = """
#######.#.#...#######
#.....#.#.###.#.....#
#.###.#.##.##.#.###.#
#.###.#..##.#.#.###.#
#.###.#.#...#.#.###.#
#.....#..####.#.....#
#######.#.#.#.#######
.........#.##........
#..######.#.##..#.###
.##.#....#..#.#.##...
.##...#.##....##...##
#.#.##....##...##.##.
.#...##......##.##...
........#.###...##.#.
#######.###.###.##...
#.....#.######.#.###.
#.###.#.#.###.#....##
#.###.#.#..##....##..
#.###.#..#....#.##.##
#.....#..##..###.####
#######.#..#...##....
"""


def dark_of(image: str) -> set[tuple[int, int]]:
    """Return where the image is dark, without the margin around the code."""
    return {
        (int(x) - 4 + n, int(y) - 4)
        for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", image)
        for n in range(int(length))
    }


def test_the_image_has_every_dark_module() -> None:
    image = str(qr.draw("moorage", 'said to "others"'))
    assert f'aria-label="{escape("said to ")}' in image
    assert '"others"' not in image
    rows = SMALL.strip().splitlines()
    assert dark_of(image) == {
        (x, y) for y, row in enumerate(rows) for x, each in enumerate(row) if each == "#"
    }
    assert 'viewBox="0 0 29 29"' in image


def test_one_that_is_as_long_as_an_address_is_drawn_whole() -> None:
    """Each of its corners but the last has the square by which devices find it."""
    image = str(qr.draw("otpauth://totp/" + "x" * 200, "a code"))
    side = int(re.search(r'viewBox="0 0 (\d+)', image)[1]) - 8
    dark = dark_of(image)
    for x, y in ((0, 0), (side - 7, 0), (0, side - 7)):
        assert {(x + n, y) for n in range(7)} <= dark
        assert {(x + n, y + 6) for n in range(7)} <= dark


def test_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        qr.draw("x" * 2_400, "a code")
