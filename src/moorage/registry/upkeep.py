"""What the jobs do: end sessions, collect what nothing names, move events on, turn keys."""

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
from moorage.db.engine import Body, Tx
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
    watch, now = Watch(s.clock, uptime), s.clock.now
    return {
        "uploads.expire": partial(_expire_all, s),
        "events.fan-out": _in_slices(lambda tx: events.fan_out(tx, _SLICE)),
        "events.trim": _in_slices(
            lambda tx: events.trim_feed(tx, now() - KEEP_FEED_DAYS * DAY, _SLICE)
        ),
        "audit.seal": partial(audit.seal, s),
        "jobs.forget": _at_once(lambda tx: jobs.forget_jobs(tx, now() - KEEP_DONE)),
        "keys.rotate": _at_once(s.keys.rotate),
        "refresh.forget": _in_slices(lambda tx: refresh.forget_refresh(tx, now(), _SLICE)),
        "answers.forget": _in_slices(lambda tx: idempotent.forget_answers(tx, now(), _SLICE)),
        "assertions.forget": _in_slices(lambda tx: issuers.forget_assertions(tx, now(), _SLICE)),
        "credentials.forget": _in_slices(lambda tx: _forget_credentials(tx, now() - _KEEP_ENDED)),
        "sign-ins.forget": _in_slices(lambda tx: identities.forget_attempts(tx, now(), _SLICE)),
        "collection.review": partial(collect.review, s, watch),
        "objects.delete": partial(deleting.delete, s, watch),
        "collection.sweep": partial(sweep.sweep, s, watch),
        "collection.forget": _at_once(
            lambda tx: collection_runs.forget_runs(tx, now() - _KEEP_RUNS)
        ),
        # Each has its own: what one has half read, the other must not go on with.
        "objects.scrub": partial(scrub.scrub, s, Examiner(s)),
        fsck.JOB: partial(fsck.check, s, Examiner(s)),
        # One at a time: each has up to 10,000 findings.
        "verification.forget": _in_slices(
            lambda tx: verifications.forget_runs(tx, now() - _KEEP_RUNS, 1), 1
        ),
        "pulls.fold": _in_slices(lambda tx: pulls.fold(tx, _SLICE)),
        indexing.FOLLOW: partial(indexing.follow, s),
        indexing.WALK: partial(indexing.walk, s),
        **readers.work(),
    }


def _at_once(body: Body[object]) -> Work:
    async def run(running: Running) -> None:
        await running.write(body)

    return run


def _in_slices(body: Body[int], most: int = _SLICE) -> Work:
    """Return work that runs the body until it did less than the most that it may at once."""

    async def run(running: Running) -> None:
        while await running.write(body) == most:
            pass

    return run


async def _forget_credentials(tx: Tx, before: int) -> int:
    ended = await tokens.forget_tokens(tx, before, _SLICE)
    return max(ended, await links.forget_links(tx, before, _SLICE))


async def _expire_all(s: Services, running: Running) -> None:
    ended = _SLICE
    while ended == _SLICE:
        ended = 0
        for upload in await s.db.read(lambda tx: uploads.list_expired(tx, s.clock.now(), _SLICE)):
            ended += await _expire(s, running, upload)


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
