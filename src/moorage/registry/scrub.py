"""The scrub: reads the bytes of every blob within a period, those first that it did longest ago.

It needs no place of its own to go on from: each blob has the time at which it was last verified.
"""

from moorage.clock import DAY, HOUR
from moorage.db import verifications as rows
from moorage.db import verifying
from moorage.db.engine import BEYOND_ALL, Tx
from moorage.db.verifications import Run
from moorage.db.verifying import Object
from moorage.jobs.queue import Running
from moorage.registry.examining import Examiner, Turn
from moorage.registry.services import Services
from moorage.registry.verifying import Stopped, Verifying, refuse_implausible, tell

# Each transaction of a job is to keep the right to write for 20 ms at most.
_PAGE = 50
# Blobs are due when this part of the period is over: the rest of it is for reading them.
_DUE = 0.9
# What has stopped tries again after this time.
_REST = HOUR


async def scrub(s: Services, examiner: Examiner, running: Running) -> None:
    """Read what is due, for a turn; the run goes on until nothing is due."""
    await tell(s)
    period = int(s.config.verification.scrub_days * DAY * _DUE)
    if not period or await _rests(s):
        return
    turn = Turn(s, running)
    run: Verifying | None = await _find(s, running)
    try:
        while due := await _list_due(s, s.clock.now() - period):
            run = run or await _begin(s, running)
            verdicts = await examiner.examine_some(due, turn)
            refuse_implausible(verdicts)
            if verdicts:
                await run.write_verdicts(verdicts, "", marks=True)
            if len(verdicts) < len(due) or turn.is_over:
                break
        else:
            if run is not None:
                await run.end("done")
    except Stopped as stopped:
        assert run is not None  # noqa: S101 - it had begun
        await run.end("stopped", str(stopped))
        s.telemetry.metrics.verification.stopped.set(1)
        s.telemetry.log.error("scrub stopped", reason=str(stopped))
    else:
        s.telemetry.metrics.verification.stopped.set(0)
    await tell(s)


async def _list_due(s: Services, until: int) -> list[Object]:
    return await s.db.read(lambda tx: verifying.list_due(tx, until, _PAGE))


async def _rests(s: Services) -> bool:
    """Tell whether the last scrub has stopped, just now, by itself."""

    async def read(tx: Tx) -> int:
        for run in await rows.list_runs(tx, BEYOND_ALL, _PAGE):
            if run.kind == rows.SCRUB:
                return run.ended_at if run.state == "stopped" else 0
        return 0

    return await s.db.read(read) > s.clock.now() - _REST


async def _find(s: Services, running: Running) -> Verifying | None:
    async def read(tx: Tx) -> Run | None:
        found = [run for run in await rows.list_running(tx) if run.kind == rows.SCRUB]
        return found[0] if found else None

    run = await s.db.read(read)
    return Verifying(s, running, run) if run is not None else None


async def _begin(s: Services, running: Running) -> Verifying:
    async def add(tx: Tx) -> Run | None:
        number = await rows.add_run(tx, rows.SCRUB, s.clock.now(), repairs=True)
        return await rows.find_run(tx, number)

    run = await running.write(add)
    assert run is not None  # noqa: S101 - it has just been made
    return Verifying(s, running, run)
