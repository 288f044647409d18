"""Patterns of tags: `*` is any run of characters, also none, and `?` is any one character.

A pattern is for whole tags, in upper and lower case as written. Rules are tried out and enforced by
this one function.
"""

from functools import lru_cache
from typing import NamedTuple, Self

from moorage.errors import TagInvalid
from moorage.oci.names import Tag

MAX_PATTERN = 128
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class _Machine(NamedTuple):
    """The pattern as bits: place `n` is where its first `n` characters have been found.

    All places are followed at once, one step for each character of the tag, so that no pattern
    takes longer than the tag is long: there is nothing to go back to and try again.
    """

    stays: int  # places before a `*`, where any character may pass
    any: int  # places before a `?`
    moves: dict[str, int]  # places before each character
    end: int


@lru_cache(4096)
def _machine(text: str) -> _Machine:
    stays, anything, place = 0, 0, 1
    moves: dict[str, int] = {}
    for character in text:
        if character == "*":
            stays |= place
            continue
        if character == "?":
            anything |= place
        else:
            moves[character] = moves.get(character, 0) | place
        place <<= 1
    return _Machine(stays, anything, moves, place)


class TagPattern(str):
    """A validated pattern of tags such as `v*`; made only by `parse` and the db factories."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the pattern that the text is.

        Raises:
            TagInvalid: it is none, or one that no tag can match; says why.
        """
        if not text or len(text) > MAX_PATTERN:
            raise TagInvalid(f"a pattern of tags has 1 to {MAX_PATTERN} characters")
        strange = next((each for each in text if each not in _ALPHABET and each not in "*?"), None)
        if strange is not None:
            raise TagInvalid(
                f"{text!r} is no pattern of tags: no tag has {strange!r}",
                hint="Use what tags have, * for any run of characters, and ? for any one",
            )
        if text[0] in ".-":
            raise TagInvalid(f"{text!r} matches nothing: no tag begins with {text[0]!r}")
        return cls(text)

    def matches(self, tag: Tag) -> bool:
        """Tell whether the pattern is for the tag."""
        machine = _machine(self)
        places = 1
        for character in tag:
            moving = places & (machine.any | machine.moves.get(character, 0))
            places = (moving << 1) | (places & machine.stays)
        return bool(places & machine.end)
