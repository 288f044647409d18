import asyncio

import pytest

from moorage.blobs.budget import Budget


def test_who_asks_first_is_served_first() -> None:
    async def body() -> None:
        budget = Budget(10)
        order: list[str] = []

        async def use(name: str, count: int) -> None:
            await budget.take(count)
            order.append(name)

        assert await budget.take(8) == 8
        waiting = [asyncio.create_task(use("large", 9)), asyncio.create_task(use("small", 1))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == []  # 2 are free, and the small one waits behind the large one
        assert not budget.take_now(1)
        budget.give(8)
        await asyncio.gather(*waiting)
        assert order == ["large", "small"]
        assert not budget.take_now(1)

    asyncio.run(body())


def test_more_than_there_is_is_all_there_is() -> None:
    async def body() -> None:
        budget = Budget(10)
        assert await budget.take(1_000) == 10
        budget.give(10)
        assert budget.take_now(10)

    asyncio.run(body())


@pytest.mark.parametrize("is_served", [True, False])
def test_who_goes_away_keeps_nothing(is_served: bool) -> None:
    async def body() -> None:
        budget = Budget(10)
        await budget.take(10)
        gone = asyncio.create_task(budget.take(10))
        behind = asyncio.create_task(budget.take(1))
        await asyncio.sleep(0)
        if is_served:
            budget.give(10)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        if not is_served:
            budget.give(10)
        assert await behind == 1
        assert budget.take_now(9)

    asyncio.run(body())
