"""Addresses with places in them, `/repositories/{repository}`: which one a path is."""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import unquote_to_bytes

MAX_PATH = 2_000
Item = TypeVar("Item")
# A repository's name has slashes, and none of its components can be `-`: that stands before what
# belongs to it. In a document's terms it is one parameter, so that %2F will do as well.
_COMPONENT = r"(?!-(?:/|\Z))[^/]+"
_PARTS = {
    "repository": rf"{_COMPONENT}(?:/{_COMPONENT})*",
    "principal": rf"{_COMPONENT}(?:/{_COMPONENT})?",
}


def pattern_of(template: str) -> re.Pattern[str]:
    """Return what the paths of a template look like; its places are groups."""
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(
            f"(?P<{part}>{_PARTS.get(part, '[^/]+')})" if number % 2 else re.escape(part)
            for number, part in enumerate(parts)
        )
    )


def table_of(places: Mapping[str, Item]) -> list[tuple[re.Pattern[str], Item]]:
    """Return what is at which templates, each with the pattern of its paths."""
    # A template without a place comes before one that it would fit into.
    return [(pattern_of(each), places[each]) for each in sorted(places, key=lambda one: "{" in one)]


def find(
    table: Iterable[tuple[re.Pattern[str], Item]], path: str
) -> tuple[Item, dict[str, str]] | None:
    """Return what is at a path as it came, with what its places stand for; None if nothing is."""
    for pattern, item in table:
        match = pattern.fullmatch(path)
        if match is not None:
            try:
                return item, {name: decoded(text) for name, text in match.groupdict().items()}
            except ValueError:
                return None
    return None


def decoded(text: str) -> str:
    """Return a part of a path with its percent-encoding undone.

    Raises:
        ValueError: what comes out is no text, or one that no name has.
    """
    found = unquote_to_bytes(text).decode("utf-8")
    if any(each < " " or each == "\x7f" for each in found):
        raise ValueError(text)
    return found
