"""What is found by which words: texts in pieces that an index can have, and words in the same.

Names, tags and descriptions are in pieces of three letters, so that what stands anywhere in them
is found. Labels come by the thousand, and most are of one image alone: of them only the beginnings
of words are kept. Digests are found by their beginning.
"""

import re
from collections.abc import Iterable

import msgspec

DIGEST, REPOSITORY, TAG, ABOUT, LABEL = range(1, 6)

SHORTEST_DIGEST = 6
LONGEST_QUERY = 200
MOST_WORDS = 8
# The longest text of an entry: of what is longer, the beginning is found.
LONGEST_TEXT = 1_500
# At the beginning of a word, or of a part of a name.
_START = "^"
_SHORT = 2
_LETTERS = 3
_LONG = 6
_MOST_IN_LABEL = 24
_HEX = re.compile(r"(?:sha256:|sha512:|blake3:)?([0-9a-f]{6,128})", re.ASCII)
_WORD = re.compile(r"[^\W_]+")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]+")


class Words(msgspec.Struct, frozen=True):
    """What somebody looks for: the text as it is compared, and its words; all must be found.

    `raw` is the text as it was written, for what is told apart by case.
    """

    text: str
    words: tuple[str, ...]
    raw: str = ""

    @property
    def digest(self) -> str:
        """The beginning of a digest's digits, empty if it can't be one."""
        found = _HEX.fullmatch(self.text)
        return found[1] if found else ""

    def match(self, folded: str) -> bool:
        """Tell whether all words are in a text."""
        return all(word in folded for word in self.words)


def fold(text: str) -> str:
    """Return a text as it is compared: without case, with single blanks."""
    return _BLANK.sub(" ", text[:LONGEST_TEXT].casefold()).strip()


def parse_words(text: str) -> Words:
    """Return what a text looks for; no words if there is nothing in it."""
    folded = fold(text[:LONGEST_QUERY])
    words = tuple(dict.fromkeys(folded.split(" ")))[:MOST_WORDS] if folded else ()
    return Words(folded, words, text[:LONGEST_QUERY].strip())


def pieces_of(kind: int, folded: str) -> set[str]:
    """Return the pieces by which an entry of the kind is found."""
    if kind == DIGEST:
        return {folded[:SHORTEST_DIGEST]}
    if kind == LABEL:
        words = list(dict.fromkeys(_WORD.findall(folded)))[:_MOST_IN_LABEL]
        return {piece for word in words for piece in _beginnings(word)}
    found: set[str] = set()
    for word in folded.split(" "):
        found.update(_START + part[:_SHORT] for part in word.split("/") if part)
        found.update(_triples(word))
    return found


def probes_of(kind: int, words: Words) -> list[str]:
    """Return pieces that an entry with these words has; none if it can't be found by them."""
    if kind == DIGEST:
        return [words.digest[:SHORTEST_DIGEST]] if words.digest else []
    if kind == LABEL:
        parts = (part for word in words.words for part in _whole(word))
        return list(dict.fromkeys(_START + part[: _size(part)] for part in parts))
    found: list[str] = []
    for word in words.words:
        if len(word) >= _LETTERS:
            found += _triples(word)
        elif len(word) == _SHORT:
            found.append(_START + word)
    return list(dict.fromkeys(found))


def _triples(word: str) -> list[str]:
    return [word[start : start + _LETTERS] for start in range(len(word) - _LETTERS + 1)]


def _beginnings(word: str) -> Iterable[str]:
    yield _START + word[:_LETTERS]
    if len(word) >= _LONG:
        yield _START + word[:_LONG]


def _whole(word: str) -> list[str]:
    """Return the parts of a word that are whole or begin at their first letter."""
    return [part for part in _WORD.findall(word) if len(part) >= _LETTERS]


def _size(part: str) -> int:
    return _LONG if len(part) >= _LONG else _LETTERS
