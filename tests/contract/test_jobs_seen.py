"""Jobs as administrators see and steer them, on both databases."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from contract.conftest import Registries
from contract.test_history import Watch as Clock
from moorage.clock import DAY, MINUTE
from moorage.db import jobs as rows
from moorage.db.engine import Tx
from moorage.errors import Conflicting, Denied, NotFound, SignInNeeded
from moorage.jobs.queue import LeaseLost, Runner, Running
from moorage.model.access import Actor
from moorage.registry import audit, jobs
from moorage.registry.services import Services
from racing import ALICE, BY

ROOT = Actor("operator", "root", "uid 0")


class Place:
    """A registry without any jobs, and a clock that stands."""

    def __init__(self, s: Services) -> None:
        self.watch = Clock()
        self.watch.at = 1_000_000_000_000
        self.s = msgspec.structs.replace(s, clock=self.watch)

    async def add(self, name: str = "work", key: str = "", delay: int = 0) -> int:
        at = self.watch.at

        async def body(tx: Tx) -> int:
            return await rows.add_job(
                tx, name, b'{"a":1}', key=key, run_at=at + delay, now=at, max_attempts=1
            )

        return await self.s.db.write(body)

    def runner(self, work: Callable[[Running], Coroutine[Any, Any, None]]) -> Runner:
        return Runner(self.s.db, self.watch, "worker", {"work": work}, lambda *_: None)

    async def die(self, key: str = "") -> int:
        """Return a job that has been given up."""
        number = await self.add(key=key)

        async def fail(running: Running) -> None:
            raise OSError("no luck")

        assert await self.runner(fail).run_one()
        assert (await self.job(number)).state == "dead"
        return number

    async def job(self, number: int) -> rows.Job:
        return await jobs.find_job(self.s, ROOT, number)


def within(registries: Registries, use: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
    """Run the coroutine function in a registry."""

    async def body(s: Services) -> None:
        await use(Place(s))

    registries.run(body)


def test_pages_of_any_state(registries: Registries) -> None:
    async def use(place: Place) -> None:
        dead = [await place.die() for _ in range(3)]
        waiting = [await place.add(delay=MINUTE) for _ in range(2)]

        async def listed(state: str) -> list[int]:
            found: list[int] = []
            while True:
                before = found[-1] if found else 0
                page = await jobs.list_jobs(place.s, ROOT, state, before, 2)
                found += [each.id for each in page]
                if len(page) < 2:
                    return found

        assert await listed("") == sorted(dead + waiting, reverse=True)
        assert await listed("dead") == sorted(dead, reverse=True)
        assert await listed("waiting") == sorted(waiting, reverse=True)
        assert await listed("done") == []

    within(registries, use)


def test_a_dead_job_is_tried_again(registries: Registries) -> None:
    async def use(place: Place) -> None:
        number = await place.die()
        ran: list[bytes] = []

        async def work(running: Running) -> None:
            ran.append(running.job.payload)

        assert not await place.runner(work).run_one()
        made = await jobs.retry_job(place.s, ROOT, number, BY)
        assert (made.state, made.attempts, made.error) == ("waiting", 0, "")
        assert await place.runner(work).run_one()
        assert ran == [b'{"a":1}']
        assert (await place.job(number)).state == "done"
        with pytest.raises(Conflicting, match="done"):
            await jobs.retry_job(place.s, ROOT, number, BY)

    within(registries, use)


def test_one_that_waits_runs_now(registries: Registries) -> None:
    async def use(place: Place) -> None:
        number = await place.add(delay=DAY, key="same")

        async def work(running: Running) -> None:
            return None

        assert not await place.runner(work).run_one()
        await jobs.retry_job(place.s, ROOT, number, BY)
        assert await place.runner(work).run_one()

    within(registries, use)


def test_two_of_a_key_never_wait(registries: Registries) -> None:
    async def use(place: Place) -> None:
        dead = await place.die(key="same")
        other = await place.add(key="same", delay=MINUTE)
        with pytest.raises(Conflicting, match=str(other)):
            await jobs.retry_job(place.s, ROOT, dead, BY)
        await jobs.cancel_job(place.s, ROOT, other, BY)
        await jobs.retry_job(place.s, ROOT, dead, BY)
        assert await place.add(key="same") == dead

    within(registries, use)


def test_a_cancelled_job_does_not_run(registries: Registries) -> None:
    async def use(place: Place) -> None:
        number = await place.add()
        made = await jobs.cancel_job(place.s, ROOT, number, BY)
        assert (made.state, made.error) == ("cancelled", "cancelled by root")

        async def work(running: Running) -> None:
            raise AssertionError

        assert not await place.runner(work).run_one()
        with pytest.raises(Conflicting, match="cancelled"):
            await jobs.cancel_job(place.s, ROOT, number, BY)
        dead = await place.die()
        made = await jobs.cancel_job(place.s, ROOT, dead, BY)
        assert made.error == "cancelled by root; OSError: no luck"
        # Cancelled ones are forgotten in time, dead ones are not.
        kept = await place.die()
        place.watch.at += 2 * DAY
        assert await place.s.db.write(lambda tx: rows.forget_jobs(tx, place.watch.at)) == 2
        assert (await place.job(kept)).state == "dead"

    within(registries, use)


def test_one_that_runs_writes_nothing_any_more(registries: Registries) -> None:
    async def use(place: Place) -> None:
        number = await place.add()
        begun, go_on = asyncio.Event(), asyncio.Event()
        lost: list[bool] = []

        async def work(running: Running) -> None:
            begun.set()
            await go_on.wait()
            try:
                await running.write(place.s.keys.rotate)
            except LeaseLost:
                lost.append(True)
                raise

        task = asyncio.create_task(place.runner(work).run_one())
        await begun.wait()
        with pytest.raises(Conflicting, match="running"):
            await jobs.retry_job(place.s, ROOT, number, BY)
        await jobs.cancel_job(place.s, ROOT, number, BY)
        go_on.set()
        await task
        assert lost == [True]
        assert (await place.job(number)).state == "cancelled"
        # Tried again, it is a claim of its own.
        await jobs.retry_job(place.s, ROOT, number, BY)
        assert (await place.job(number)).epoch > 1

    within(registries, use)


def test_only_administrators(registries: Registries) -> None:
    async def use(place: Place) -> None:
        number = await place.add()
        nobody = Actor("anonymous", "anonymous", "none")
        for actor, refusal in ((nobody, SignInNeeded), (ALICE, Denied)):
            for attempt in (
                jobs.list_jobs(place.s, actor, "", 0, 1),
                jobs.find_job(place.s, actor, number),
                jobs.retry_job(place.s, actor, number, BY),
                jobs.cancel_job(place.s, actor, number, BY),
            ):
                with pytest.raises(refusal):
                    await attempt
        for missing in (
            jobs.find_job(place.s, ROOT, number + 1),
            jobs.retry_job(place.s, ROOT, number + 1, BY),
            jobs.cancel_job(place.s, ROOT, number + 1, BY),
        ):
            with pytest.raises(NotFound):
                await missing

    within(registries, use)


def test_it_is_in_the_trail(registries: Registries) -> None:
    async def use(place: Place) -> None:
        number = await place.die()
        await jobs.retry_job(place.s, ROOT, number, BY)
        await jobs.cancel_job(place.s, ROOT, number, BY)
        page = await audit.read_entries(place.s.db, {}, 0, 10)
        told = [(each.action, msgspec.json.decode(each.detail)) for each in page.entries]
        detail = {"job": number, "name": "work"}
        assert told == [
            ("job.cancelled", {**detail, "state": "waiting"}),
            ("job.retried", {**detail, "state": "dead"}),
        ]

    within(registries, use)


def test_the_metrics_tell_of_them(registries: Registries) -> None:
    async def use(place: Place) -> None:
        registry = place.s.telemetry.registry

        async def seen() -> tuple[float | None, float | None]:
            place.watch.at += MINUTE
            await jobs.tell(place.s)
            names = ("moorage_jobs_dead", "moorage_jobs_late_seconds")
            return registry.get_sample_value(names[0]), registry.get_sample_value(names[1])

        assert await seen() == (0, 0)
        await place.die()
        assert await seen() == (1, 0)
        number = await place.add()
        assert await seen() == (1, 60)
        assert await seen() == (1, 120)
        await jobs.cancel_job(place.s, ROOT, number, BY)
        assert await seen() == (1, 0)

    within(registries, use)
