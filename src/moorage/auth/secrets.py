"""The secrets that we give out: random, checkable at sight, and kept as hashes only.

`mrg_`, 32 characters of 0-9, A-Z and a-z, and 6 more that are a checksum of all before: a scanner
can tell a leaked one from a text that looks like one, without asking anybody.
"""

import hashlib
import re
import secrets
import string
import zlib

import msgspec

PREFIX = "mrg_"
REFRESH_PREFIX = "mrr_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM = 32
_CHECK = 6
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECK}}}", re.ASCII)
# What people are shown of a secret to know it by.
_MARK = len(PREFIX) + 6
# The names under which the registry's own secrets are kept, in the order of `Secrets`.
PURPOSES = ("upload", "keys")


class Secrets(msgspec.Struct, frozen=True):
    """The registry's own secrets, the same in each of its processes.

    `upload` seals the ids of upload sessions, `keys` enciphers the keys that tokens are signed by.
    """

    upload: bytes
    keys: bytes

    def __repr__(self) -> str:
        """Show nothing of them."""
        return "Secrets()"


def new_secret() -> str:
    """Return a fresh secret of some 190 random bits."""
    text = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return text + _checksum(text)


def new_refresh() -> str:
    """Return a fresh refresh token, which is good at the token service only."""
    return REFRESH_PREFIX + secrets.token_urlsafe(_RANDOM)


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
