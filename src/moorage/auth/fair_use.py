"""How much may be pulled without signing in: so many manifests in a while, for each address.

What counts is an address of version 4, and of version 6 what its owner has along with it. The
table is one for all processes of a server and has a fixed size; servers know nothing of each other.
Two processes that count the same address in the same instant may count one: this is about a fair
share, and nothing stands or falls with it.
"""

import math
import mmap
import secrets
import struct
import time
from collections.abc import Callable

import msgspec

from moorage.config import Limits
from moorage.errors import TooManyRequests
from moorage.web.clients import parse_address

# An address is at home in one of so many places, which have room for so many each.
_PLACES = 4_096
_ROOM = 8
_FIELDS = 3
# The address, how much it had, and until when that counts.
_ENTRY = struct.Struct("<QQQ")
_PLACE = struct.Struct("<" + "QQQ" * _ROOM)
_MASK = (1 << 64) - 1
_SHIFT = 64 - 12  # as many bits as there are places
# Where addresses of version 4 stand among those of version 6: what is there nobody sends from.
_VERSION_4 = 0xFF << 56
_UNKNOWN = 1
_NAME = "anonymous-pulls"


class Share(msgspec.Struct, frozen=True):
    """What an address may have in all, what is left of it, and in how many seconds it is new."""

    limit: int
    window: int
    left: int
    renewed_in: int

    def headers(self) -> dict[str, str]:
        """Return it as clients read it: as Docker Hub says it, and as the IETF's draft does."""
        return {
            "RateLimit-Limit": f"{self.limit};w={self.window}",
            "RateLimit-Remaining": f"{self.left};w={self.window}",
            "RateLimit-Policy": f'"{_NAME}";q={self.limit};w={self.window}',
            "RateLimit": f'"{_NAME}";r={self.left};t={self.renewed_in}',
        }

    def words(self) -> str:
        """Return it as a person reads it."""
        return (
            f"this address has pulled {self.limit - self.left} manifests without signing in; "
            f"{self.limit} in {_span(self.window)} are its share"
        )


class FairUse:
    """Counts what is pulled without signing in; to be made before processes are forked."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Have counted nothing yet; without a limit there is nothing to count."""
        self.is_on = limits.anonymous_pulls > 0
        self._limit = limits.anonymous_pulls
        self._window = limits.anonymous_pulls_seconds
        self._now = monotonic
        # Odd, so that no two keys become one.
        self._mixes = (secrets.randbits(64) | 1, secrets.randbits(64) | 1)
        self._table = mmap.mmap(-1, _PLACES * _PLACE.size if self.is_on else mmap.PAGESIZE)

    def look(self, address: str) -> Share:
        """Return what the address has left; empty is one whose address can't be known."""
        now = int(self._now() * 1_000)
        _, had, until = self._find(_key(address), now)
        return self._share(had, until - now)

    def take(self, address: str) -> Share:
        """Count a manifest, and return what is left.

        Raises:
            TooManyRequests: nothing was; says when there will be again.
        """
        now, key = int(self._now() * 1_000), _key(address)
        offset, had, until = self._find(key, now)
        if had >= self._limit:
            spent = self._share(had, until - now)
            minutes = math.ceil(spent.renewed_in / 60)
            raise TooManyRequests(
                spent.words(),
                hint=f"Sign in for more, or come again in {_span(minutes * 60)}",
                headers={**spent.headers(), "Retry-After": str(spent.renewed_in)},
            )
        _ENTRY.pack_into(self._table, offset, key, had + 1, until)
        return self._share(had + 1, until - now)

    def _share(self, had: int, milliseconds: int) -> Share:
        left = max(0, self._limit - had)
        return Share(self._limit, self._window, left, max(1, math.ceil(milliseconds / 1_000)))

    def _home(self, key: int) -> int:
        """Return the place where the key is at home, which nobody outside can tell.

        One multiplication leaves neighbours in step with each other, and some factors then put
        most of a network into few places: the upper half goes into the lower in between.
        """
        first, second = self._mixes
        mixed = key * first & _MASK
        return ((mixed ^ mixed >> 32) * second & _MASK) >> _SHIFT

    def _find(self, key: int, now: int) -> tuple[int, int, int]:
        """Return where the key is or may be put, how much it had, and until when that counts.

        It may be put where another one is of which least is lost: the one that is new soonest.
        """
        start = self._home(key) * _PLACE.size
        fields = _PLACE.unpack_from(self._table, start)
        keys, ends = fields[::_FIELDS], fields[2::_FIELDS]
        if key not in keys:
            return start + ends.index(min(ends)) * _ENTRY.size, 0, now + self._window * 1_000
        which = keys.index(key)
        had, until = fields[which * _FIELDS + 1], ends[which]
        if until <= now:
            had, until = 0, now + self._window * 1_000
        return start + which * _ENTRY.size, had, until


def _key(text: str) -> int:
    address = parse_address(text)
    if address is None:
        return _UNKNOWN
    return int(address) | _VERSION_4 if address.version == 4 else int(address) >> 64 or _UNKNOWN


def _span(seconds: int) -> str:
    units = ((3_600, "hours"), (60, "minutes"), (1, "seconds"))
    length, name = next(unit for unit in units if seconds % unit[0] == 0)
    return f"{seconds // length} {name if seconds > length else name[:-1]}"
