"""The time and fresh identifiers; nothing else in the program asks the system for either."""

import random
import secrets
import time
from typing import Protocol

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def uptime() -> int:
    """Return the milliseconds since the machine began, its sleep among them: no one sets these."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; elsewhere a sleep looks like a step
    found = time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)
    return found // 1_000_000


class Clock(Protocol):
    """Where the program gets its time from, so that a test can stand still."""

    def now(self) -> int:
        """Return the time in milliseconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring how long something took."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """Return the time in milliseconds since 1970, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.perf_counter()


def new_mark() -> str:
    """Return 32 hexadecimal digits that tell one request from another, and promise no secrecy.

    Secret bits cost a system call of 8 µs, a twelfth of a whole manifest request.
    """
    return f"{random.getrandbits(128):032x}"


def new_id() -> str:
    """Return 32 hexadecimal digits of 128 random bits: an identifier that can't be guessed."""
    return secrets.token_hex(16)
