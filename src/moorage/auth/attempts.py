"""How often somebody may be wrong: failures are counted before any password is hashed.

In the memory of one process, and of bounded size: it slows guessing down, and nothing stands or
falls with it. Three things are counted, so that nobody can lock out another:
- all failures of an address;
- the failures of a name, from wherever they come;
- the failures of a name from an address that it has signed in from lately. Who comes from there is
  measured by this alone, whatever others have done to the name.
Tokens are too long to be guessed: the address is counted for them, by itself and more generously,
so that one machine with an old one does not stop all those behind the same address. So are the
identity tokens of other issuers, refresh tokens and the secrets of links; what somebody has sent of
one trust or account never counts against it. Only who has a link can use its own count up.

An address of version 6 counts together with all that its owner has along with it.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moorage.errors import NotFound, NotPermitted, TooManyRequests, Unauthorized
from moorage.web.clients import place_of

# Failures that are free, and how many of them come back in a minute: of a name, and what of that an
# address may come to, by passwords and by tokens.
PER_NAME = 20
_ADDRESS_TIMES = 3
_TOKENS_TIMES = 30
PER_ADDRESS = _ADDRESS_TIMES * PER_NAME
TOKENS_PER_ADDRESS = _TOKENS_TIMES * PER_NAME
_MAX_KEPT = 20_000
# No name is longer; what is sent for one may be.
_LONGEST_NAME = 64
_LATELY_SECONDS = 7 * 24 * 3_600.0
_TOLD = "too many failed sign-ins; wait, and check the user name and the password"


class Buckets:
    """Token buckets by key; the ones that were touched longest ago are forgotten first."""

    def __init__(self, size: int) -> None:
        """Let each key fail so many times, and as often again in each minute."""
        self._size = size
        self._kept: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def wait(self, key: tuple[str, str], now: float) -> float:
        """Return the seconds until the next attempt; 0 for at once."""
        left = self._left(key, now)
        return 0.0 if left >= 1 else (1 - left) * 60 / self._size

    def take(self, key: tuple[str, str], now: float) -> None:
        """Count a failure."""
        self._kept[key] = (max(0.0, self._left(key, now) - 1), now)
        self._kept.move_to_end(key)
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)

    def give_back(self, key: tuple[str, str], now: float) -> None:
        """Take back what `take` counted for an attempt that turned out right."""
        if key in self._kept:
            self._kept[key] = (min(float(self._size), self._left(key, now) + 1), now)

    def _left(self, key: tuple[str, str], now: float) -> float:
        left, since = self._kept.get(key, (float(self._size), now))
        return min(float(self._size), left + (now - since) * self._size / 60)


class Attempts:
    """Counts failed sign-ins, and refuses more of them."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, per_name: int = PER_NAME
    ) -> None:
        """Start with nothing counted; `per_name` failures of a name are free in each minute."""
        self._now = monotonic
        self._addresses = Buckets(per_name * _ADDRESS_TIMES)
        self._names = Buckets(per_name)
        self._pairs = Buckets(per_name)
        self._tokens = Buckets(per_name * _TOKENS_TIMES)
        self._links = Buckets(per_name)
        # Who signed in from where, and when last.
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()

    @contextmanager
    def attempt(self, address: str, name: str) -> Iterator[None]:
        """Let a password be looked at: right without an exception, wrong with a refusal.

        Any other failure says nothing of the password, and is not counted.

        Raises:
            TooManyRequests: there were too many wrong ones before; says when to come again.
        """
        self.begin(address, name)
        try:
            yield
        except (Unauthorized, NotPermitted):
            raise
        except BaseException:
            self._give_back(address, name)
            raise
        self.succeed(address, name)

    def begin(self, address: str, name: str) -> None:
        """Count a password as wrong until `succeed` says otherwise.

        Counted before the answer is known, so that many at once are as many as one by one.

        Raises:
            TooManyRequests: there were too many before; says when to come again.
        """
        now = self._now()
        buckets = self._of(address, name[:_LONGEST_NAME], now)
        _refuse(max(bucket.wait(key, now) for bucket, key in buckets))
        for bucket, key in buckets:
            bucket.take(key, now)

    def succeed(self, address: str, name: str) -> None:
        """Say that the password was right, and remember where it came from."""
        now, pair = self._now(), (place_of(address), name[:_LONGEST_NAME])
        self._give_back(address, name)
        self._known[pair] = now
        self._known.move_to_end(pair)
        if len(self._known) > _MAX_KEPT:
            self._known.popitem(last=False)

    @contextmanager
    def token(self, address: str) -> Iterator[None]:
        """Let a token or the secret of a link be looked at; only a refusal of it is counted.

        Raises:
            TooManyRequests: too many wrong ones have come from the address.
        """
        self.begin_token(address)
        try:
            yield
        except (Unauthorized, NotFound):
            self.fail_token(address)
            raise

    def spend_link(self, mark: str) -> None:
        """Count one more try to spend a link that is good, whoever sends it.

        Raises:
            TooManyRequests: there were too many before.
        """
        key, now = (mark, ""), self._now()
        _refuse(self._links.wait(key, now), "too many tries with this link; wait")
        self._links.take(key, now)

    def begin_token(self, address: str) -> None:
        """Let a token be looked at.

        Raises:
            TooManyRequests: too many wrong ones have come from the address.
        """
        _refuse(self._tokens.wait((place_of(address), ""), self._now()))

    def fail_token(self, address: str) -> None:
        """Count a wrong token."""
        self._tokens.take((place_of(address), ""), self._now())

    def _give_back(self, address: str, name: str) -> None:
        now = self._now()
        for bucket, key in self._of(address, name[:_LONGEST_NAME], now):
            bucket.give_back(key, now)

    def _of(self, address: str, name: str, now: float) -> list[tuple[Buckets, tuple[str, str]]]:
        """Return what an attempt is measured by."""
        place = place_of(address)
        pair = (place, name)
        if self._is_known(pair, now):
            return [(self._pairs, pair)]
        return [(self._addresses, (place, "")), (self._names, ("", name))]

    def _is_known(self, pair: tuple[str, str], now: float) -> bool:
        return now - self._known.get(pair, -math.inf) < _LATELY_SECONDS


def _refuse(seconds: float, told: str = _TOLD) -> None:
    if seconds > 0:
        raise TooManyRequests(told, headers={"Retry-After": str(math.ceil(seconds))})
