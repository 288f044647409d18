"""A treemap: how much of a whole each part is, as rectangles that a page draws without scripts.

Squarified (https://www.win.tue.nl/~vanwijk/stm.pdf), so that areas can be compared by eye. It says
nothing that the table beside it does not: that one is for keyboards and screen readers.
"""

from collections.abc import Sequence

from moorage.ui.words import plural, size

WIDTH, HEIGHT = 1000.0, 320.0
# So many rectangles at most, the last for all the rest.
MOST = 16
# Beside such a part of the whole, no eye sees another.
_ALL = 0.98
# What a letter takes and what a line does, in the units of the picture; a word shorter than this
# says nothing.
_LETTER, _LINE, _MARGIN, _LEAST_LETTERS = 9.0, 20.0, 8.0, 4

Row = tuple[str, int, str]
Box = tuple[float, float, float, float]


def cells(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return what to draw of names with their bytes and addresses, largest first.

    The smallest are one, without an address. Nothing where one is as good as all there is.
    """
    known = sorted((row for row in rows if row[1] > 0), key=lambda row: (-row[1], row[0]))
    total = sum(row[1] for row in known)
    if not known or known[0][1] > _ALL * total:
        return []
    if len(known) > MOST:
        rest = known[MOST - 1 :]
        known = [*known[: MOST - 1], (plural(len(rest), "other"), sum(row[1] for row in rest), "")]
    boxes = layout([row[1] for row in known], WIDTH, HEIGHT)
    return [_cell(row, box) for row, box in zip(known, boxes, strict=True)]


def layout(sizes: Sequence[int], width: float, height: float) -> list[Box]:
    """Return x, y, width and height of a rectangle for each size, in their order.

    Sizes are above zero; together the rectangles are the whole picture, and none is on another.
    """
    scale = width * height / sum(sizes)
    areas = [each * scale for each in sizes]
    boxes: list[Box] = []
    x = y = 0.0
    while areas:
        is_wide = width >= height
        side = height if is_wide else width
        count = 1
        while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(
            areas[:count], side
        ):
            count += 1
        thick, along = sum(areas[:count]) / side, 0.0
        for area in areas[:count]:
            long = area / thick
            boxes.append((x, y + along, thick, long) if is_wide else (x + along, y, long, thick))
            along += long
        if is_wide:
            x, width = x + thick, width - thick
        else:
            y, height = y + thick, height - thick
        del areas[:count]
    return boxes


def _worst(areas: Sequence[float], side: float) -> float:
    """Return how far the least square of the rectangles is from one, side by side along a side."""
    total = sum(areas)
    return max(max(side**2 * each / total**2, total**2 / (side**2 * each)) for each in areas)


def _cell(row: Row, box: Box) -> dict[str, object]:
    name, count, page = row
    x, y, width, height = box
    letters = int((width - 2 * _MARGIN) / _LETTER)
    told = size(count)
    has_name = letters >= min(len(name), _LEAST_LETTERS) and height >= _LINE + _MARGIN
    has_size = has_name and letters >= len(told) and height >= 2 * _LINE + _MARGIN
    return {
        "name": name,
        "bytes": count,
        "page": page,
        "x": round(x, 1),
        "y": round(y, 1),
        "width": round(width, 1),
        "height": round(height, 1),
        "label": _cut(name, letters) if has_name else "",
        "told": told if has_size else "",
    }


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
