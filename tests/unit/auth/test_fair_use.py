"""What is pulled without signing in is counted for each address, in memory of a fixed size."""

import os

import pytest

from moorage.auth import fair_use
from moorage.auth.fair_use import FairUse, Share
from moorage.config import Limits
from moorage.errors import TooManyRequests

HOME, OTHER = "192.0.2.1", "198.51.100.7"


class Time:
    """Seconds that pass when they are told to."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def counted(time: Time) -> FairUse:
    return FairUse(Limits(anonymous_pulls=3, anonymous_pulls_seconds=600), time)


def pull(counted: FairUse, address: str, times: int = 100) -> int:
    """Pull so often, and return how often that was let through."""
    let = 0
    for _ in range(times):
        try:
            counted.take(address)
        except TooManyRequests:
            continue
        let += 1
    return let


def test_off_unless_asked_for() -> None:
    assert not FairUse(Limits()).is_on
    assert FairUse(Limits(anonymous_pulls=1)).is_on


def test_each_address_has_its_own(counted: FairUse) -> None:
    assert pull(counted, HOME) == 3
    assert pull(counted, OTHER) == 3
    assert pull(counted, "") == 3
    assert pull(counted, "::ffff:192.0.2.1") == 0


def test_a_prefix_is_one_address(counted: FairUse) -> None:
    """Nobody gets more by having many."""
    let = sum(pull(counted, f"2001:db8::{number:x}:1") for number in range(200))
    assert let == 3
    assert pull(counted, "2001:db8:0:1::1") == 3
    # Neither is it one of version 4 with the same bits.
    assert pull(counted, "0:0:c000:201::1") == 3
    assert pull(counted, HOME) == 3


def test_the_window_begins_with_the_first(counted: FairUse, time: Time) -> None:
    counted.take(HOME)
    time.now += 599
    assert pull(counted, HOME) == 2
    time.now += 0.5
    assert pull(counted, HOME) == 0
    time.now += 0.6
    assert counted.look(HOME) == Share(3, 600, 3, 600)
    assert pull(counted, HOME) == 3


def test_looking_counts_nothing(counted: FairUse, time: Time) -> None:
    for _ in range(10):
        assert counted.look(HOME) == Share(3, 600, 3, 600)
    counted.take(HOME)
    time.now += 100
    assert counted.look(HOME) == Share(3, 600, 2, 500)


def test_what_is_told(counted: FairUse, time: Time) -> None:
    counted.take(HOME)
    time.now += 10.2
    assert counted.take(HOME).headers() == {
        "RateLimit-Limit": "3;w=600",
        "RateLimit-Remaining": "1;w=600",
        "RateLimit-Policy": '"anonymous-pulls";q=3;w=600',
        "RateLimit": '"anonymous-pulls";r=1;t=590',
    }
    counted.take(HOME)
    with pytest.raises(TooManyRequests) as refused:
        counted.take(HOME)
    told = refused.value
    assert told.headers["Retry-After"] == "590"
    assert told.headers["RateLimit-Remaining"] == "0;w=600"
    assert told.headers["RateLimit"] == '"anonymous-pulls";r=0;t=590'
    assert "3 in 10 minutes" in told.message
    assert told.hint == "Sign in for more, or come again in 10 minutes"


def test_refusals_put_nothing_off(counted: FairUse, time: Time) -> None:
    pull(counted, HOME)
    time.now += 599.9
    pull(counted, HOME)
    time.now += 0.2
    assert pull(counted, HOME) == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (90, "90 seconds"),
        (60, "1 minute"),
        (5_400, "90 minutes"),
        (3_600, "1 hour"),
        (21_600, "6 hours"),
    ],
)
def test_words(seconds: int, words: str) -> None:
    assert f"in {words} are" in Share(1, seconds, 0, 1).words()


def test_processes_count_together(counted: FairUse) -> None:
    counted.take(HOME)
    child = os.fork()
    if not child:
        os._exit(counted.take(HOME).left)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert counted.take(HOME).left == 0


def test_memory_is_bounded(counted: FairUse, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all room is taken, the one that is new soonest makes room."""
    size = len(counted._table)
    assert size <= 1 << 20
    monkeypatch.setattr(fair_use, "_SHIFT", 64)  # all at home in one place
    for number in range(8):
        pull(counted, f"192.0.2.{number}")
        time.now += 1
    assert pull(counted, "198.51.100.1") == 3
    left = [counted.look(f"192.0.2.{number}").left for number in range(8)]
    assert left == [3, 0, 0, 0, 0, 0, 0, 0]
    for number in range(10_000):
        counted.take(f"10.0.{number // 256}.{number % 256}")
    assert len(counted._table) == size


@pytest.mark.parametrize(
    "shape", ["10.{}.{}.7", "10.0.{}.{}", "{}.{}.1.1", "2001:db8:{:x}:{:x}::1"]
)
def test_addresses_are_spread(time: Time, shape: str) -> None:
    """Far fewer than the table has room for all keep their counts, whatever they have in common.

    With each server's own mix: one in fifty was a bad one once.
    """
    addresses = [shape.format(a, b) for a in range(20, 40) for b in range(100)]
    for _ in range(10):
        counted = FairUse(Limits(anonymous_pulls=3, anonymous_pulls_seconds=600), time)
        for address in addresses:
            counted.take(address)
        kept = sum(counted.look(address).left == 2 for address in addresses)
        assert kept >= len(addresses) * 0.99
