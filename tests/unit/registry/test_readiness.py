"""What readiness makes of questions that hang: an answer in time, and none about the past."""

import asyncio
from typing import Any, cast

from moorage.blobs.store import BlobStore
from moorage.db.engine import Database, StoreUnavailable
from moorage.registry.readiness import Readiness
from moorage.telemetry import Telemetry


class Hanging:
    """A database whose first question hangs until told that it failed; the next are answered."""

    def __init__(self) -> None:
        self.questions = 0
        self.failed = asyncio.Event()

    async def read(self, _: object) -> list[Any]:
        self.questions += 1
        if self.questions == 1:
            await self.failed.wait()
            raise StoreUnavailable("no connection in time")
        return []


class Well:
    """A store that is there and has no such object."""

    async def free(self) -> None:
        """Know no end."""

    async def read(self, *_: object) -> Any:
        raise FileNotFoundError
        yield b""


def test_a_question_from_before_does_not_tell_of_now() -> None:
    """Who asks after an outage learns that it is over, though a question from within it fails."""

    async def use() -> None:
        database = Hanging()
        telemetry = Telemetry("0", "json", access=False)
        readiness = Readiness(cast("Database", database), cast("BlobStore", Well()), telemetry)
        first = asyncio.create_task(readiness.look())
        await asyncio.sleep(0.01)
        later = [asyncio.create_task(readiness.look()) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert database.questions == 1
        database.failed.set()
        assert await first == {"database": False, "storage": True}
        assert await asyncio.gather(*later) == [{"database": True, "storage": True}] * 3
        assert database.questions == 2
        telemetry.sink.close()

    asyncio.run(use())


def test_what_hangs_is_named_in_time_and_asked_once() -> None:
    async def use() -> None:
        database = Hanging()
        telemetry = Telemetry("0", "json", access=False)
        readiness = Readiness(cast("Database", database), cast("BlobStore", Well()), telemetry)
        began = asyncio.get_running_loop().time()
        looks = await asyncio.gather(*(readiness.look() for _ in range(3)))
        assert looks == [{"database": False, "storage": True}] * 3
        assert asyncio.get_running_loop().time() - began < 2.5
        assert database.questions == 1
        database.failed.set()
        await asyncio.sleep(0.01)
        telemetry.sink.close()

    asyncio.run(use())
