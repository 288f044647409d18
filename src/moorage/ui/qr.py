"""Texts as QR codes (ISO/IEC 18004), which devices read from a screen."""

from collections.abc import Iterable, Iterator

from markupsafe import Markup

# As the standard wants it around a code.
_QUIET = 4


def draw(text: str, told: str) -> Markup:
    """Return the code as an image that says `told` to whoever does not see it.

    It can be read with a seventh of it spoilt.

    Raises:
        ValueError: there is too much text, more than 2,331 bytes.
    """
    import segno  # noqa: PLC0415 - a MB in every process, of use where a second factor is set up

    rows = segno.make_qr(text.encode(), error="m", boost_error=False).matrix
    size = len(rows) + 2 * _QUIET
    dark = "".join(
        f"M{x + _QUIET} {y + _QUIET}h{length}v1h-{length}z"
        for y, row in enumerate(rows)
        for x, length in _runs(row)
    )
    return Markup(
        '<svg class="qr" viewBox="0 0 {} {}" role="img" aria-label="{}"><path d="{}"/></svg>'
    ).format(size, size, told, dark)


def _runs(row: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield where dark modules begin and how many are beside each other."""
    start, length = 0, 0
    for x, is_dark in enumerate((*row, 0)):
        if is_dark:
            start, length = (start, length + 1) if length else (x, 1)
        elif length:
            yield start, length
            length = 0
