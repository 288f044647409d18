"""Treemaps: areas are as the sizes, nothing is on anything else, and words fit."""

import math
from itertools import combinations

import pytest

from moorage.ui import treemap
from moorage.ui.treemap import HEIGHT, MOST, WIDTH, Box, cells, layout

SIZES = {
    "two": [3, 1],
    "equal": [7] * 9,
    "falling": [2**n for n in range(14, 0, -1)],
    "one giant": [10**12, 5, 4, 3, 2, 1],
    "paper": [6, 6, 4, 3, 2, 2, 1],
}


def is_apart(one: Box, other: Box) -> bool:
    """Tell whether two rectangles have no more than an edge in common."""
    (x, y, width, height), (left, top, wide, high) = one, other
    slack = 1e-6
    return (
        x + width <= left + slack
        or left + wide <= x + slack
        or y + height <= top + slack
        or top + high <= y + slack
    )


@pytest.mark.parametrize("name", SIZES)
def test_areas_are_as_the_sizes_and_fill_the_picture(name: str) -> None:
    sizes = SIZES[name]
    boxes = layout(sizes, WIDTH, HEIGHT)
    total = WIDTH * HEIGHT
    for size, (x, y, width, height) in zip(sizes, boxes, strict=True):
        assert math.isclose(width * height, total * size / sum(sizes), rel_tol=1e-6)
        assert x >= -1e-6
        assert y >= -1e-6
        assert x + width <= WIDTH + 1e-6
        assert y + height <= HEIGHT + 1e-6
    assert all(is_apart(one, other) for one, other in combinations(boxes, 2))


def test_rectangles_are_near_to_squares() -> None:
    worst = max(max(w / h, h / w) for _, _, w, h in layout(SIZES["paper"], 600, 400))
    assert worst < 3.1  # as in the paper


def test_the_rest_is_one_without_an_address() -> None:
    rows = [(f"n{number}", 100 + number, f"/n/n{number}") for number in range(50)]
    found = cells(rows)
    assert len(found) == MOST
    assert found[0]["name"] == "n49"
    assert (found[-1]["name"], found[-1]["page"]) == (f"{50 - MOST + 1} others", "")
    assert sum(int(str(each["bytes"])) for each in found) == sum(row[1] for row in rows)


def test_there_must_be_two_to_compare() -> None:
    assert cells([]) == []
    assert cells([("all", 5, "/n/all"), ("none", 0, "/n/none")]) == []
    assert cells([("all", 1_000, "/n/all"), ("bit", 5, "/n/bit")]) == []
    assert len(cells([("most", 90, "/n/most"), ("bit", 5, "/n/bit")])) == 2


def test_words_are_where_they_fit() -> None:
    long = "a-name-of-a-repository-that-goes-on-and-on"
    rows = [("big", 10**9, "/"), (long, 5 * 10**7, "/"), ("tiny", 10**4, "/")]
    big, middle, tiny = cells(rows)
    assert (big["label"], big["told"]) == ("big", "1.0 GB")
    assert (tiny["label"], tiny["told"]) == ("", "")
    label = str(middle["label"])
    assert not label or (label.endswith("…") and len(label) < len(long))
    for each in (big, middle, tiny):
        room = float(str(each["width"])) - 2 * treemap._MARGIN
        assert len(str(each["label"])) * treemap._LETTER <= room or not each["label"]
