"""What the jobs do: end sessions, collect what nothing names, move events on, turn keys."""

from collections.abc import Awaitable, Callable
from functools import partial

from moorage.blobs.store import SessionBusy, SessionLost, keep_nowhere
from moorage.clock import DAY, HOUR, MINUTE, uptime
from moorage.config import Config
from moorage.db import (
    collection_runs,
    events,
    idempotent,
    identities,
    issuers,
    jobs,
    links,
    pulls,
    refresh,
    tokens,
    uploads,
    verifications,
)
from moorage.db.engine import Tx
from moorage.events.outbox import KEEP_FEED_DAYS
from moorage.jobs.queue import KEEP_DONE, Running, Work
from moorage.model.artifacts import Upload
from moorage.registry import audit, collect, deleting, fsck, indexing, readers, scrub, sweep
from moorage.registry.collecting import Watch
from moorage.registry.examining import Examiner
from moorage.registry.services import Services

# Each transaction of a job is to keep the right to write for 20 ms at most.
_SLICE = 50
# Tokens and links that ended are shown to nobody, but the trail names them.
_KEEP_ENDED = 30 * DAY
_KEEP_RUNS = 90 * DAY

SCHEDULE = {
    "uploads.expire": 10 * MINUTE,
    "events.fan-out": MINUTE,
    "events.trim": HOUR,
    "audit.seal": MINUTE,
    "jobs.forget": HOUR,
    "keys.rotate": HOUR,
    "refresh.forget": HOUR,
    "answers.forget": HOUR,
    "assertions.forget": HOUR,
    "credentials.forget": HOUR,
    "sign-ins.forget": 10 * MINUTE,
    "collection.sweep": 7 * DAY,
    "collection.forget": DAY,
    "objects.scrub": MINUTE,
    "verification.forget": DAY,
    indexing.FOLLOW: MINUTE,
    "pulls.fold": MINUTE,
}


def schedule(config: Config) -> dict[str, int]:
    """Return how often each job runs that goes by the clock."""
    every = int(config.collection.every_minutes * MINUTE)
    return {**SCHEDULE, "collection.review": every, "objects.delete": every}


def work(s: Services) -> dict[str, Work]:
    """Return what each job's name does."""
    watch = Watch(s.clock, uptime)
    return {
        "uploads.expire": partial(_repeat, partial(_expire_some, s)),
        "events.fan-out": partial(_repeat, _fan_out_some),
        "events.trim": partial(_repeat, partial(_trim_some, s)),
        "audit.seal": partial(audit.seal, s),
        "jobs.forget": partial(_forget, s),
        "keys.rotate": partial(_rotate, s),
        "refresh.forget": partial(_repeat, partial(_forget_refresh, s)),
        "answers.forget": partial(_repeat, partial(_forget_answers, s)),
        "assertions.forget": partial(_repeat, partial(_forget_assertions, s)),
        "credentials.forget": partial(_repeat, partial(_forget_credentials, s)),
        "sign-ins.forget": partial(_repeat, partial(_forget_sign_ins, s)),
        "collection.review": partial(collect.review, s, watch),
        "objects.delete": partial(deleting.delete, s, watch),
        "collection.sweep": partial(sweep.sweep, s, watch),
        "collection.forget": partial(_forget_runs, s),
        # Each has its own: what one has half read, the other must not go on with.
        "objects.scrub": partial(scrub.scrub, s, Examiner(s)),
        fsck.JOB: partial(fsck.check, s, Examiner(s)),
        "verification.forget": partial(_repeat, partial(_forget_verifications, s)),
        "pulls.fold": partial(_repeat, _fold_some),
        indexing.FOLLOW: partial(indexing.follow, s),
        indexing.WALK: partial(indexing.walk, s),
        **readers.work(),
    }


async def _repeat(step: Callable[[Running], Awaitable[bool]], running: Running) -> None:
    while await step(running):
        pass


async def _fan_out_some(running: Running) -> bool:
    async def move(tx: Tx) -> int:
        return await events.fan_out(tx, _SLICE)

    return await running.write(move) == _SLICE


async def _fold_some(running: Running) -> bool:
    async def fold(tx: Tx) -> int:
        return await pulls.fold(tx, _SLICE)

    return await running.write(fold) == _SLICE


async def _trim_some(s: Services, running: Running) -> bool:
    async def cut(tx: Tx) -> int:
        return await events.trim_feed(tx, s.clock.now() - KEEP_FEED_DAYS * DAY, _SLICE)

    return await running.write(cut) == _SLICE


async def _forget(s: Services, running: Running) -> None:
    async def remove(tx: Tx) -> int:
        return await jobs.forget_jobs(tx, s.clock.now() - KEEP_DONE)

    await running.write(remove)


async def _forget_runs(s: Services, running: Running) -> None:
    async def remove(tx: Tx) -> int:
        return await collection_runs.forget_runs(tx, s.clock.now() - _KEEP_RUNS)

    await running.write(remove)


async def _forget_verifications(s: Services, running: Running) -> bool:
    async def remove(tx: Tx) -> int:
        return await verifications.forget_runs(tx, s.clock.now() - _KEEP_RUNS, 1)

    return await running.write(remove) == 1


async def _rotate(s: Services, running: Running) -> None:
    await running.write(s.keys.rotate)


async def _forget_refresh(s: Services, running: Running) -> bool:
    async def remove(tx: Tx) -> int:
        return await refresh.forget_refresh(tx, s.clock.now(), _SLICE)

    return await running.write(remove) == _SLICE


async def _forget_assertions(s: Services, running: Running) -> bool:
    async def remove(tx: Tx) -> int:
        return await issuers.forget_assertions(tx, s.clock.now(), _SLICE)

    return await running.write(remove) == _SLICE


async def _forget_answers(s: Services, running: Running) -> bool:
    async def remove(tx: Tx) -> int:
        return await idempotent.forget_answers(tx, s.clock.now(), _SLICE)

    return await running.write(remove) == _SLICE


async def _forget_credentials(s: Services, running: Running) -> bool:
    before = s.clock.now() - _KEEP_ENDED

    async def forget(tx: Tx) -> bool:
        ended = await tokens.forget_tokens(tx, before, _SLICE)
        return max(ended, await links.forget_links(tx, before, _SLICE)) == _SLICE

    return await running.write(forget)


async def _forget_sign_ins(s: Services, running: Running) -> bool:
    async def remove(tx: Tx) -> int:
        return await identities.forget_attempts(tx, s.clock.now(), _SLICE)

    return await running.write(remove) == _SLICE


async def _expire_some(s: Services, running: Running) -> bool:
    now = s.clock.now()

    async def read(tx: Tx) -> list[Upload]:
        return await uploads.list_expired(tx, now, _SLICE)

    ended = 0
    for upload in await s.db.read(read):
        ended += await _expire(s, running, upload)
    return ended == _SLICE


async def _expire(s: Services, running: Running, upload: Upload) -> bool:
    """Forget one session, unless somebody is writing to it or has since gone on with it."""

    async def end(tx: Tx) -> bool:
        return await uploads.forget_upload(tx, upload)

    if not upload.state:
        return await running.write(end)
    try:
        async with s.blobs.session(upload.state, keep_nowhere) as session:
            ended = await running.write(end)
            if ended:
                await session.abort()
            return ended
    except SessionBusy:
        return False
    except SessionLost:
        return await running.write(end)
