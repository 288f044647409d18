"""Wrong passwords are counted so that guessing stops and nobody locks out another."""

import asyncio

import pytest

from moorage.auth import attempts
from moorage.auth.attempts import PER_ADDRESS, PER_NAME, TOKENS_PER_ADDRESS, Attempts
from moorage.db.engine import StoreUnavailable
from moorage.errors import Conflicting, NotFound, NotPermitted, TooManyRequests, Unauthorized

HOME, EVIL = "192.0.2.1", "198.51.100.7"


class Time:
    """Seconds that pass when they are told to."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def counted(time: Time) -> Attempts:
    return Attempts(time)


def fail(counted: Attempts, address: str, name: str, times: int) -> int:
    """Be wrong so often, and return how often that was let through."""
    let = 0
    for _ in range(times):
        try:
            counted.begin(address, name)
        except TooManyRequests:
            continue
        let += 1
    return let


def test_twenty_for_a_name(counted: Attempts, time: Time) -> None:
    assert fail(counted, EVIL, "alice", 100) == PER_NAME
    with pytest.raises(TooManyRequests) as refused:
        counted.begin(EVIL, "alice")
    assert refused.value.headers["Retry-After"] == "3"
    time.now += 3.1
    counted.begin(EVIL, "alice")
    time.now += 3_600
    assert fail(counted, EVIL, "alice", 100) == PER_NAME


def test_from_everywhere_it_is_as_many(counted: Attempts) -> None:
    let = sum(fail(counted, f"198.51.100.{number}", "alice", 2) for number in range(100))
    assert let == PER_NAME


def test_names_from_one_address(counted: Attempts) -> None:
    let = sum(fail(counted, EVIL, f"name-{number}", 1) for number in range(500))
    assert let == PER_ADDRESS


def test_who_was_right_lately_is_not_locked_out(counted: Attempts) -> None:
    """Not by those who guess his name, nor by those behind his own address."""
    counted.begin(HOME, "alice")
    counted.succeed(HOME, "alice")
    fail(counted, EVIL, "alice", 1_000)
    for number in range(500):
        fail(counted, HOME, f"name-{number}", 1)
    for _ in range(1_000):
        counted.begin(HOME, "alice")
        counted.succeed(HOME, "alice")
    # But from there as well, it is only so many wrong ones.
    assert fail(counted, HOME, "alice", 100) == PER_NAME


def test_right_ones_cost_nothing(counted: Attempts) -> None:
    for number in range(1_000):
        counted.begin(EVIL, f"name-{number}")
        counted.succeed(EVIL, f"name-{number}")
    assert fail(counted, EVIL, "other", 100) == PER_NAME


def test_many_at_once_are_as_many_as_one_by_one(counted: Attempts) -> None:
    """They are counted before the answer is known."""
    for _ in range(PER_NAME):
        counted.begin(EVIL, "alice")
    with pytest.raises(TooManyRequests):
        counted.begin(EVIL, "alice")


def test_a_week_later_it_is_a_stranger(counted: Attempts, time: Time) -> None:
    counted.begin(HOME, "alice")
    counted.succeed(HOME, "alice")
    time.now += 8 * 24 * 3_600
    fail(counted, EVIL, "alice", 100)
    with pytest.raises(TooManyRequests):
        counted.begin(HOME, "alice")


def test_tokens_are_counted_by_themselves(counted: Attempts) -> None:
    fail(counted, EVIL, "alice", 1_000)
    for number in range(500):
        fail(counted, EVIL, f"name-{number}", 1)
    for _ in range(TOKENS_PER_ADDRESS):
        counted.begin_token(EVIL)
        counted.fail_token(EVIL)
    with pytest.raises(TooManyRequests):
        counted.begin_token(EVIL)
    counted.begin_token(HOME)
    for _ in range(TOKENS_PER_ADDRESS * 2):
        counted.begin_token(HOME)  # good ones


@pytest.mark.parametrize("wrong", [Unauthorized(), NotPermitted()])
def test_what_a_refusal_counts(counted: Attempts, wrong: Exception) -> None:
    for _ in range(PER_NAME):
        with pytest.raises(type(wrong)), counted.attempt(EVIL, "alice"):
            raise wrong
    with pytest.raises(TooManyRequests), counted.attempt(EVIL, "alice"):
        pytest.fail("a password was looked at")


def test_a_fault_of_ours_counts_nothing(counted: Attempts) -> None:
    for fault in (StoreUnavailable(), TooManyRequests(), asyncio.CancelledError()) * PER_NAME:
        with pytest.raises(type(fault)), counted.attempt(EVIL, "alice"):
            raise fault
    assert fail(counted, EVIL, "alice", 100) == PER_NAME


def test_memory_is_bounded(counted: Attempts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_MAX_KEPT", 100)
    for number in range(1_000):
        address, name = f"address-{number}", f"{number}" + "x" * 10_000
        counted.begin(address, name)
        counted.succeed(address, name)
        counted.begin(f"other-{number}", name)
        counted.fail_token(address)
    buckets = (counted._addresses, counted._names, counted._pairs, counted._tokens)
    assert all(len(each._kept) <= 100 for each in buckets)
    assert len(counted._known) <= 100
    assert all(len(name) <= 64 for _, name in counted._known)


def test_long_names_are_not_other_names(counted: Attempts) -> None:
    assert fail(counted, EVIL, "x" * 64, 100) == PER_NAME
    with pytest.raises(TooManyRequests):
        counted.begin(EVIL, "x" * 70)


def test_a_prefix_is_one_address(counted: Attempts) -> None:
    """Who has one address of version 6 has all that come with it."""
    let = sum(fail(counted, f"2001:db8::{number:x}", f"name-{number}", 1) for number in range(500))
    assert let == PER_ADDRESS
    assert fail(counted, "2001:db8:0:1::1", "other", 1) == 1


def test_who_was_right_lately_moves_within_a_prefix(counted: Attempts) -> None:
    counted.begin("2001:db8::1", "alice")
    counted.succeed("2001:db8::1", "alice")
    fail(counted, EVIL, "alice", 1_000)
    counted.begin("2001:db8::2", "alice")


@pytest.mark.parametrize("wrong", [Unauthorized(), NotFound()])
def test_secrets_count_when_they_are_refused(counted: Attempts, wrong: Exception) -> None:
    for _ in range(TOKENS_PER_ADDRESS):
        with counted.token(EVIL):
            pass
    for _ in range(TOKENS_PER_ADDRESS):
        with pytest.raises(type(wrong)), counted.token(EVIL):
            raise wrong
    with pytest.raises(TooManyRequests), counted.token(EVIL):
        pytest.fail("a secret was looked at")
    with counted.token(HOME):
        pass
    # Nobody's passwords are stopped by it.
    counted.begin(EVIL, "alice")


@pytest.mark.parametrize("fault", [StoreUnavailable(), Conflicting(), asyncio.CancelledError()])
def test_no_fault_of_a_secret(counted: Attempts, fault: BaseException) -> None:
    for _ in range(TOKENS_PER_ADDRESS * 2):
        with pytest.raises(type(fault)), counted.token(EVIL):
            raise fault


def test_a_link_has_its_own_count(counted: Attempts, time: Time) -> None:
    for _ in range(PER_NAME):
        counted.spend_link("one")
    with pytest.raises(TooManyRequests):
        counted.spend_link("one")
    counted.spend_link("another")
    time.now += 60
    counted.spend_link("one")
