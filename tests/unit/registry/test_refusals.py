"""What is counted as refused, and that nobody can fill the trail or hide in it."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from moorage.clock import MINUTE
from moorage.db.engine import StoreUnavailable
from moorage.errors import (
    BlobUnknown,
    Denied,
    ManifestInvalid,
    NameUnknown,
    NotPermitted,
    PreconditionFailed,
    RegistryError,
    SignInNeeded,
    TooManyRequests,
    Unauthorized,
    Unsupported,
)
from moorage.registry import refusals
from moorage.registry.refusals import OTHERS, Refusals

NOW = 30_000_000 * MINUTE
WRONG = Unauthorized("the user name or password is wrong")


class Clock:
    """Stands still until told otherwise."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.at / 1000


class Kept:
    """Takes the place of the database, and of the log: keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.is_away = False
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def write(self, body: Callable[[Any], Awaitable[Any]]) -> None:
        if self.is_away:
            raise StoreUnavailable
        await body(self)

    async def run_many(self, _: object, rows: list[dict[str, Any]]) -> None:
        self.rows += rows

    def warning(self, event: str, **values: Any) -> None:
        self.told.append((event, values))

    error = warning


class Counting:
    """Refusals with what they write to, each request as one call."""

    def __init__(self) -> None:
        self.kept, self.clock, self.counted = Kept(), Clock(), 0
        metrics = SimpleNamespace(refusals=SimpleNamespace(inc=self._inc))
        telemetry: Any = SimpleNamespace(metrics=metrics, log=self.kept)
        database: Any = self.kept
        self.refusals = Refusals(database, self.clock, telemetry)

    def _inc(self) -> None:
        self.counted += 1

    def refuse(self, error: RegistryError, **values: str) -> None:
        """Count one refusal of a request."""
        request: Any = SimpleNamespace(
            **{
                "method": "PUT",
                "action": "manifest",
                "actor": "",
                "client": "192.0.2.1",
                "credential": "",
                "repository": "acme/shop",
                "id": "request",
                **values,
            }
        )
        self.refusals.count(request, error)


def run(use: Callable[[Counting], None]) -> list[dict[str, Any]]:
    """Return the rows that are written of what was counted."""

    async def body() -> list[dict[str, Any]]:
        counting = Counting()
        use(counting)
        await counting.refusals.close()
        assert sum(row["times"] for row in counting.kept.rows) == counting.counted
        return counting.kept.rows

    return asyncio.run(body())


def caused(error: RegistryError, cause: RegistryError) -> RegistryError:
    """Return an error as it is when it was raised from another one."""
    error.__cause__ = cause
    return error


EVE = {"actor": "eve", "credential": "password"}
NOBODY = {"actor": "anonymous", "credential": "none"}


@pytest.mark.parametrize(
    ("error", "who", "counts"),
    [
        (WRONG, {}, True),
        # Credentials in a form, of a request that comes from nobody.
        (WRONG, NOBODY, True),
        (SignInNeeded(), NOBODY, False),
        (SignInNeeded(), {**NOBODY, "credential": "bearer"}, False),
        (Unauthorized("the credential is no longer good", error="invalid_token"), EVE, True),
        (Unauthorized("not asked for", error="insufficient_scope"), EVE, False),
        (NotPermitted("eve has no push right"), EVE, True),
        (Denied("this registry is in local mode"), NOBODY, True),
        (PreconditionFailed(), EVE, False),
        (TooManyRequests(), NOBODY, True),
        (caused(NameUnknown(), NotPermitted("eve has no pull right")), EVE, True),
        (NameUnknown(), EVE, False),
        (BlobUnknown(), EVE, False),
        (ManifestInvalid(), EVE, False),
        (Unsupported(), EVE, False),
    ],
)
def test_what_is_a_refusal(error: RegistryError, who: dict[str, str], *, counts: bool) -> None:
    assert len(run(lambda counting: counting.refuse(error, **who))) == counts


def test_one_row_for_a_minute() -> None:
    def use(counting: Counting) -> None:
        for number in range(5):
            counting.refuse(NotPermitted(f"reason {number}"), **EVE, id=f"request-{number}")
        counting.clock.at += MINUTE
        counting.refuse(NotPermitted("later"), **EVE)

    rows = run(use)
    assert [row["times"] for row in rows] == [5, 1]
    assert [row["minute"] for row in rows] == [NOW // MINUTE, NOW // MINUTE + 1]
    assert rows[0] == {
        "minute": NOW // MINUTE,
        "actor": "eve",
        "address": "192.0.2.1",
        "repository": "acme/shop",
        "action": "put manifest",
        "times": 5,
        "reason": "reason 4",
        "credential": "password",
        "request_id": "request-4",
    }


def test_the_reason_is_the_true_one() -> None:
    hidden = caused(NameUnknown("there is nothing"), NotPermitted("eve has no pull right"))
    (row,) = run(lambda counting: counting.refuse(hidden, **EVE))
    assert row["reason"] == "eve has no pull right"


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("repository", "UPPER/../x\r\n", ""),
        ("repository", "a" * 5_000, ""),
        ("repository", "", ""),
        ("method", "EVIL\x1b[2J", "other manifest"),
    ],
)
def test_nothing_is_kept_as_it_came(name: str, given: str, kept: str) -> None:
    (row,) = run(lambda counting: counting.refuse(WRONG, **{name: given}))
    assert row["action" if name == "method" else name] == kept


def test_reasons_are_short() -> None:
    (row,) = run(lambda counting: counting.refuse(NotPermitted("x" * 5_000), **EVE))
    assert len(row["reason"]) == 300


def test_one_caller_has_few_rows() -> None:
    def use(counting: Counting) -> None:
        for number in range(1_000):
            counting.refuse(WRONG, repository=f"acme/r{number}")
        counting.refuse(NotPermitted(), **EVE)

    rows = run(use)
    assert len(rows) == refusals._MOST_OF_CALLER + 2
    (others,) = [row for row in rows if row["action"] == OTHERS]
    assert (others["address"], others["times"]) == ("192.0.2.1", 1_000 - refusals._MOST_OF_CALLER)
    assert [row["times"] for row in rows if row["actor"] == "eve"] == [1]


def test_strangers_leave_room_for_who_is_known() -> None:
    """Whoever has many addresses can't hide what a known caller does."""

    def use(counting: Counting) -> None:
        for number in range(3_000):
            counting.refuse(WRONG, client=f"2001:db8::{number:x}")
        for number in range(1_000):
            counting.refuse(NotPermitted(), actor=f"robot-{number}", credential="token:1")

    rows = run(use)
    assert len(rows) == refusals._MOST + 1
    named = [row for row in rows if row["actor"]]
    assert len(named) == refusals._MOST - refusals._MOST_OF_STRANGERS
    (others,) = [row for row in rows if row["action"] == OTHERS]
    assert (others["actor"], others["address"], others["repository"]) == ("", "", "")


def test_the_bounds_are_for_a_minute() -> None:
    def use(counting: Counting) -> None:
        for _ in range(3):
            for number in range(30):
                counting.refuse(WRONG, repository=f"acme/r{number}")
            counting.clock.at += MINUTE

    assert len(run(use)) == 3 * (refusals._MOST_OF_CALLER + 1)


def test_bounds_hold_over_a_flush() -> None:
    async def body() -> None:
        counting = Counting()
        for number in range(100):
            counting.refuse(WRONG, repository=f"acme/r{number}")
            await counting.refusals.flush()
        keys = {(row["repository"], row["action"]) for row in counting.kept.rows}
        assert len(keys) == refusals._MOST_OF_CALLER + 1
        assert sum(row["times"] for row in counting.kept.rows) == 100
        await counting.refusals.close()

    asyncio.run(body())


def test_they_are_written_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_EVERY_SECONDS", 0.01)

    async def body() -> None:
        counting = Counting()
        for _ in range(2):
            counting.refuse(WRONG)
            await asyncio.sleep(0.1)
        assert [row["times"] for row in counting.kept.rows] == [1, 1]

    asyncio.run(body())


def test_a_database_that_is_away_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_EVERY_SECONDS", 0.01)

    async def body() -> None:
        counting = Counting()
        counting.kept.is_away = True
        for _ in range(3):
            counting.refuse(WRONG)
            await asyncio.sleep(0.05)
        assert counting.kept.rows == []
        assert {event for event, _ in counting.kept.told} == {"refusals wait"}
        counting.kept.is_away = False
        await asyncio.sleep(0.05)
        assert [row["times"] for row in counting.kept.rows] == [3]
        await counting.refusals.close()

    asyncio.run(body())


def test_what_is_lost_at_the_end_is_told() -> None:
    async def body() -> None:
        counting = Counting()
        counting.kept.is_away = True
        for _ in range(3):
            counting.refuse(WRONG)
        await counting.refusals.close()
        ((event, values),) = counting.kept.told
        assert event == "refusals lost"
        assert values["times"] == 3

    asyncio.run(body())


def test_memory_is_bounded_while_the_database_is_away() -> None:
    async def body() -> None:
        counting = Counting()
        counting.kept.is_away = True
        for _ in range(100):
            for number in range(300):
                counting.refuse(WRONG, client=f"2001:db8::{number:x}")
            counting.clock.at += MINUTE
        counting.kept.is_away = False
        await counting.refusals.close()
        rows = counting.kept.rows
        assert len(rows) <= refusals._MOST_WAITING + 100
        assert sum(row["times"] for row in rows) == 30_000

    asyncio.run(body())
