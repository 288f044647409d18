"""The text of a manifest for people: a field on a line, and digests lead to what they name."""

import re
from collections.abc import Mapping

import msgspec

# Of what is longer, the bytes alone are shown.
_LONGEST = 64 << 10
_DIGEST = re.compile(r"((?:sha256:[0-9a-f]{64})|(?:sha512:[0-9a-f]{128})|(?:blake3:[0-9a-f]{64}))")


class Piece(msgspec.Struct, frozen=True):
    """A piece of a text, and where it leads, empty if nowhere."""

    text: str
    place: str = ""


def pieces(raw: bytes, places: Mapping[str, str]) -> list[Piece]:
    """Return the manifest's text in pieces, by the places of digests; none of what is too long."""
    if len(raw) > _LONGEST:
        return []
    try:
        text = msgspec.json.format(raw, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return [Piece(each, places.get(each, "")) for each in _DIGEST.split(text) if each]
