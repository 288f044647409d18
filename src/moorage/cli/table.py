"""Rows under titles, as people read them: times from now, sizes in words, nothing too long."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from moorage.cli.clean import clean

_UNITS = (
    (365 * 86_400, "year"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
)
_WIDEST = 60
_LEAST = 12
_DIGEST = len("sha256:") + 12  # of which people know one again; programs get all of it
_STEP = 1_000
_SIZES = ("B", "kB", "MB", "GB", "TB")


class Column(NamedTuple):
    """A column: its title, where its value is in a document, and how it is shown.

    One that is `wide` is in wide tables only, and in what programs read. `say` turns what is no
    plain value into words, wherever it is not printed as a document.
    """

    title: str
    key: str
    kind: Literal["text", "time", "digest", "size", "change"] = "text"
    wide: bool = False
    say: Callable[[Any], str] | None = None


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    now: float,
    longest: int | None = _WIDEST,
    width: int | None = None,
) -> str:
    """Return the rows under the columns' titles.

    What has more than `longest` characters is cut to as many; None leaves everything whole. Where
    there is a `width`, texts are cut until the table fits into it: not the first column, by which
    things are called, and none below a size that can be read.
    """
    cells = [[column.title.upper() for column in columns]]
    cells += [[_cut(cell(row, column, now), longest) for column in columns] for row in rows]
    widths = [max(map(len, each)) for each in zip(*cells, strict=True)]
    if width is not None:
        _fit(widths, columns, width)
        cells = [list(map(_cut, line, widths)) for line in cells]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def cell(document: Mapping[str, Any], column: Column, now: float) -> str:
    """Return a value as a person reads it."""
    value = said(document, column)
    if column.kind == "time":
        moment = seconds_of(value)
        return relative(moment, now) if moment else "never"
    if column.kind == "digest":
        return shown_of(value)[:_DIGEST]
    if column.kind in ("size", "change") and isinstance(value, int):
        return size_text(value, signed=column.kind == "change")
    return shown_of(value)


def plain(document: Mapping[str, Any], column: Column) -> str:
    """Return a value on one line without tabs; times as they came."""
    return shown_of(said(document, column))


def seconds_of(value: Any) -> float:
    """Return a time of the API as seconds since 1970, 0 for none."""
    if isinstance(value, str) and value:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return value / 1_000 if isinstance(value, int | float) else 0.0


def relative(moment: float, now: float) -> str:
    """Return a time as people say it: `3 days ago`, `in 2 hours`."""
    distance = abs(moment - now)
    for seconds, name in _UNITS:
        # What expires in 89.99 days was asked for as 90.
        count = int((distance + (seconds / 50 if moment > now else 0)) // seconds)
        if count:
            told = f"{count} {name}{'s' if count > 1 else ''}"
            return f"in {told}" if moment > now else f"{told} ago"
    return "in a moment" if moment > now else "just now"


def size_text(size: int, *, signed: bool = False) -> str:
    """Return a number of bytes as people write it, in steps of a thousand."""
    mark = "-" if size < 0 else "+" if signed and size else ""
    value, step = float(abs(size)), 0
    while value >= _STEP and step < len(_SIZES) - 1:
        value /= _STEP
        step += 1
    return f"{mark}{value:.1f} {_SIZES[step]}" if step else f"{mark}{abs(size)} {_SIZES[0]}"


def _fit(widths: list[int], columns: Sequence[Column], width: int) -> None:
    """Take from the widest texts what is too much, but for the first column."""
    least = [max(len(column.title), _LEAST) for column in columns]
    for _ in range(sum(widths) + 2 * (len(widths) - 1) - width):
        texts = [
            place
            for place, column in enumerate(columns)
            if place and column.kind == "text" and widths[place] > least[place]
        ]
        if not texts:
            return
        widths[max(texts, key=lambda place: widths[place])] -= 1


def _value(document: Any, key: str) -> Any:
    for part in key.split("."):
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def said(document: Mapping[str, Any], column: Column) -> Any:
    """Return a column's value in a document, in the column's words if it has some."""
    value = _value(document, column.key)
    return value if column.say is None or value is None else column.say(value)


def shown_of(value: Any) -> str:
    """Return any value on one line, in which nothing steers a terminal."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(shown_of(each) for each in value)
    if isinstance(value, Mapping):
        return clean(" ".join(f"{key}={shown_of(each)}" for key, each in value.items()))
    return clean(str(value))


def _cut(text: str, longest: int | None) -> str:
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"
