"""Scrubs and checks in one process, and damage as disks and people do it."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec

from collecting import Collector
from moorage.db import damage, jobs, verifications
from moorage.db.damage import Damage
from moorage.db.engine import Tx
from moorage.db.verifications import Finding, Run
from moorage.jobs.queue import Again, Running
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.registry import fsck, scrub, verification
from moorage.registry.examining import Examiner
from moorage.registry.services import Services

OPERATOR = Actor("operator", "unix:root", "socket")
BY = TagChange("unix:root", "socket", "request")
# After this, a blob is due for a scrub.
MONTH = 30 * 24 * 3_600_000


class Verifier(Collector):
    """The jobs of verification, run one by one as the process of jobs does."""

    def __init__(self, services: Services, **settings: Any) -> None:
        super().__init__(services)
        changed = msgspec.structs.replace(services.config.verification, **settings)
        config = msgspec.structs.replace(self.s.config, verification=changed)
        self.s = msgspec.structs.replace(self.s, config=config)
        self.examiner = Examiner(self.s)

    async def scrub(self, after: int = MONTH) -> None:
        """Let that much time go by, and scrub for a turn."""
        self.clock.ahead += after
        await self._do("objects.scrub", b"", scrub.scrub)

    async def fsck(self, kind: str = "fast", *, repairs: bool = False) -> Run:
        """Check all there is, in as many turns as it takes, and return the run."""
        run = await verification.start(self.s, OPERATOR, kind, BY, repairs=repairs)
        payload = msgspec.json.encode(fsck.Asked(run.id))
        while (await self.run(run.id)).state == "running":
            await self._do(fsck.JOB, payload, fsck.check)
        return await self.run(run.id)

    async def run(self, number: int) -> Run:
        """Return a run as its row has it."""
        found = await self.s.db.read(lambda tx: verifications.find_run(tx, number))
        assert found is not None
        return found

    async def verifications(self) -> list[Run]:
        """Return the runs, the newest first."""
        return await self.s.db.read(lambda tx: verifications.list_runs(tx, 2**62, 100))

    async def findings(self, run: Run) -> list[Finding]:
        """Return what a run found."""
        found = await self.s.db.read(lambda tx: verifications.list_findings(tx, run.id, 0, 1_000))
        return [each for _, each in found]

    async def damage(self) -> list[Damage]:
        """Return what is damaged and kept, the newest first."""
        return await self.s.db.read(lambda tx: damage.list_damage(tx, 2**62, 1_000))

    async def _do(self, name: str, payload: bytes, work: Callable[..., Awaitable[None]]) -> None:
        async def claim(tx: Tx) -> jobs.Job | None:
            now = self.clock.now()
            await jobs.add_job(tx, name, payload, run_at=0, now=now, priority=0)
            return await jobs.claim_job(tx, "test", now, now + 120_000)

        job = await self.s.db.write(claim)
        assert job is not None
        assert job.name == name
        with suppress(Again):
            await work(self.s, self.examiner, Running(self.s.db, self.clock, job))
        now = self.clock.now()
        await self.s.db.write(
            lambda tx: jobs.end_job(tx, job, state="done", error="", run_at=now, now=now)
        )


async def rewrite(s: Services, place: str, content: bytes | None) -> None:
    """Have the object be that, whatever the store; None takes it away."""
    await s.blobs.delete([place])
    if content is None:
        return
    directory = s.config.directory / "objects"
    if not s.config.storage:
        (directory / place[:2] / place).write_bytes(content)
        return
    bucket = s.blobs._bucket  # type: ignore[attr-defined]
    await bucket.put(f"objects/{place[:2]}/{place}", io.BytesIO(content))


def flipped(raw: bytes) -> bytes:
    """Return the bytes with one bit turned."""
    turned = bytearray(raw)
    turned[len(raw) // 2] ^= 4
    return bytes(turned)
