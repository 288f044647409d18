"""Numbers as requests have them: whole, and with no more digits than an id can have."""

from moorage.errors import Invalid

_MOST_DIGITS = 18


def number_of(text: str) -> int | None:
    """Return the number that a text is, None if it is none."""
    is_one = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if is_one else None


def whole_number(text: str, what: str) -> int:
    """Return the number that a text is; `what` names it in a refusal.

    Raises:
        Invalid: it is none.
    """
    number = number_of(text)
    if number is None:
        raise Invalid(f"{what} must be a whole number")
    return number
