"""Upload sessions before their first byte: a signed name, and nothing written anywhere.

Most sessions are opened, filled and finished by two or three requests within a second. A row for
the empty one would cost each of them a commit, and each abandoned one a row. So the id that a
client gets says itself when it ends, and its signature says that this registry gave it to this
caller for this repository; the first byte makes the row. An ended session leaves a row behind
until its id expires, so that no id is good twice.
"""

import hashlib
import hmac
import secrets

import msgspec

from moorage.clock import DAY, HOUR, MINUTE
from moorage.oci.digest import ALGORITHMS
from moorage.oci.names import RepositoryName

# How long a session may stay without its first byte.
FRESH = HOUR
# How long a session may take in all. What is older and has no row is nobody's.
LONGEST = 7 * DAY
_NONCE, _TIME, _MARK, _SEAL = 32, 8, 1, 32
_LENGTH = _NONCE + _TIME + _MARK + _SEAL
_NAMES = {algorithm.mark: name for name, algorithm in ALGORITHMS.items()}


class Claim(msgspec.Struct, frozen=True):
    """What a valid id says: the algorithm told at the start, and when it expires unused."""

    algorithm: str
    expires_at: int


class SessionIds:
    """Gives out ids and reads them again; every process of the registry has the same key."""

    def __init__(self, key: bytes) -> None:
        """Use the registry's secret."""
        self._key = key

    def issue(self, owner: str, name: RepositoryName, algorithm: str, now: int) -> str:
        """Return an id: random, so that it can't be guessed, and bound to caller and repository."""
        minute = (now + FRESH) // MINUTE
        said = f"{secrets.token_hex(_NONCE // 2)}{minute:0{_TIME}x}{ALGORITHMS[algorithm].mark:x}"
        return said + self._seal(owner, name, said)

    def read(self, owner: str, name: RepositoryName, text: str) -> Claim | None:
        """Return what the id says, None if it was not given to this caller for this repository."""
        said, seal = text[:-_SEAL], text[-_SEAL:]
        if len(text) != _LENGTH or not text.isascii():
            return None
        if not hmac.compare_digest(seal, self._seal(owner, name, said)):
            return None
        minute = int(said[_NONCE : _NONCE + _TIME], 16)
        return Claim(_NAMES[int(said[-_MARK:], 16)], minute * MINUTE)

    def _seal(self, owner: str, name: RepositoryName, said: str) -> str:
        # Neither owner nor name can contain NUL, and `said` has a fixed length.
        text = f"{owner}\0{name}\0{said}".encode()
        return hashlib.blake2b(text, key=self._key, digest_size=_SEAL // 2).hexdigest()
