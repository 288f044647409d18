"""The secrets that we give out: random, checkable at sight, and kept as hashes only.

`mrg_`, 32 characters of 0-9, A-Z and a-z, and 6 more that are a checksum of all before: a scanner
can tell a leaked one from a text that looks like one, without asking anybody.
"""

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "mrg_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM = 32
_CHECK = 6
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECK}}}", re.ASCII)
# What people are shown of a secret to know it by.
_MARK = len(PREFIX) + 6


def new_secret() -> str:
    """Return a fresh secret of some 190 random bits."""
    text = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return text + _checksum(text)


def is_secret(text: str) -> bool:
    """Tell whether the text is of our making, from its shape and checksum alone."""
    if not _SHAPE.fullmatch(text):
        return False
    return _checksum(text[:-_CHECK]) == text[-_CHECK:]


def hash_secret(text: str) -> bytes:
    """Return what is kept of a secret; so many random bits need no slow hash."""
    return hashlib.sha256(text.encode()).digest()


def mark_of(text: str) -> str:
    """Return the first characters, by which people know a secret."""
    return text[:_MARK]


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
