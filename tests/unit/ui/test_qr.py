"""QR codes: as other makers have them, to the module, and none that says less than its text."""

import hashlib
import re

import pytest
from markupsafe import escape

from moorage.ui import qr

# As two other programs make it.
SMALL = """
#######..##.#.#######
#.....#.#.....#.....#
#.###.#..#.#..#.###.#
#.###.#..#..#.#.###.#
#.###.#.#.#.#.#.###.#
#.....#.....#.#.....#
#######.#.#.#.#######
.........#.##........
#.#.#.#....#....#..#.
##.#...#......##..###
.######.##..#...##.##
.####...#.....#......
.##...#..#..#.###..#.
........#..#.#.##.###
#######..#.#.#####.##
#.....#....###..#...#
#.###.#.####.#####.##
#.###.#..#....####.#.
#.###.#.#...#..##...#
#.....#..##...#....#.
#######.#.#.#.#.#..##
"""


def drawn(rows: qr.Modules) -> str:
    """Return a code as text."""
    return "\n".join("".join("#" if each else "." for each in row) for row in rows)


def test_a_small_one() -> None:
    assert drawn(qr.modules(b"moorage", 0)) == SMALL.strip()


@pytest.mark.parametrize(
    ("length", "side", "expected"),
    [
        (70, 37, "82d86d9e06a03623"),
        (107, 45, "8c8c4108171be256"),  # from this size on, it says which it is
        (213, 57, "494d19c8f4d4a38b"),  # blocks of two lengths, and a length of two bytes
    ],
)
def test_larger_ones(length: int, side: int, expected: str) -> None:
    """Several blocks, and more than one small square."""
    text = drawn(qr.modules((b"abc/" * 53 + b"x")[:length], 5))
    assert len(text.splitlines()) == side
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == expected


def test_the_mask_is_the_one_that_reads_best() -> None:
    chosen = drawn(qr.modules(b"moorage"))
    assert chosen in {drawn(qr.modules(b"moorage", mask)) for mask in range(8)}
    # All of one colour reads worst: each line is one run, and all is blocks.
    assert qr._penalty([[True] * 21] * 21) > qr._penalty(qr.modules(b"moorage"))


def test_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        qr.modules(b"x" * 214)


def test_the_image_has_every_dark_module() -> None:
    image = str(qr.draw("moorage", 'said to "others"'))
    assert f'aria-label="{escape("said to ")}' in image
    assert '"others"' not in image
    dark = {
        (int(x) - 4 + n, int(y) - 4)
        for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", image)
        for n in range(int(length))
    }
    rows = qr.modules(b"moorage")
    assert dark == {(x, y) for y, row in enumerate(rows) for x, each in enumerate(row) if each}
