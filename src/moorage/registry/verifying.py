"""One run of verification: its transactions, its row, and what becomes of what it finds."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from moorage.db import damage as kept
from moorage.db import verifications as rows
from moorage.db import verifying
from moorage.db.engine import Tx
from moorage.db.verifications import Finding, Progress, Run
from moorage.jobs.queue import Running
from moorage.registry import damage
from moorage.registry.examining import Verdict
from moorage.registry.services import Services

# Where so many objects are missing, and most of those looked at, it is the store that is: a disk
# that is not mounted, another bucket. Then nothing is called lost.
_FEW = 5
_PROBLEMS = {
    "missing": ("I4", "its object is not in the store"),
    "size": ("I4", "its object has not the size that it should"),
    "content": ("I5", "its bytes have not its digest"),
    "unreadable": ("I5", "its bytes can't be read"),
}
MARKED = "lost: answered as absent until it is pushed again"
READMITTED = "there again: its bytes are right"


class Stopped(Exception):
    """The run goes no further; nothing of this part of it was written."""


class Part(msgspec.Struct, frozen=True):
    """What one transaction of a run did; `place` is where the next begins, empty if it is done.

    `repaired` are the findings that are none any more.
    """

    findings: Sequence[Finding] = ()
    place: Any = None
    looked: int = 0
    objects: int = 0
    bytes: int = 0
    repaired: int = 0


class Verifying:
    """A run as one turn of its job brings it forward."""

    def __init__(self, s: Services, running: Running, run: Run) -> None:
        """Go on where the run's row says."""
        self.s = s
        self._running = running
        self.run = run

    @property
    def place(self) -> Any:
        """Where the next part of the step begins; None at its beginning."""
        return msgspec.msgpack.decode(self.run.place) if self.run.place else None

    async def write(self, work: Callable[[Tx], Awaitable[Part]]) -> Part:
        """Do a part in one transaction with what it adds to the run; without a place, end the step.

        Raises:
            LeaseLost: another worker does this now.
        """
        seen = self.run

        async def body(tx: Tx) -> tuple[Part, Progress]:
            part = await work(tx)
            is_done = part.place is None
            progress = Progress(
                seen.step + is_done,
                b"" if is_done else msgspec.msgpack.encode(part.place),
                part.looked,
                part.objects,
                part.bytes,
                len(part.findings),
                part.repaired,
            )
            await rows.advance_run(tx, seen, progress, part.findings)
            return part, progress

        part, more = await self._running.write(body)
        self.run = msgspec.structs.replace(
            seen,
            step=more.step,
            place=more.place,
            looked=seen.looked + more.looked,
            objects=seen.objects + more.objects,
            bytes=seen.bytes + more.bytes,
            found=seen.found + more.found,
            repaired=seen.repaired + more.repaired,
        )
        return part

    async def end(self, state: str, reason: str = "") -> None:
        """End the run."""
        await self._running.write(
            lambda tx: rows.end_run(tx, self.run.id, state, reason, self.s.clock.now())
        )

    async def write_verdicts(
        self, verdicts: Sequence[Verdict], place: Any, *, marks: bool, is_read: bool = True
    ) -> None:
        """Note what was found of objects, where that is so still; `marks`: and act on it.

        Bytes that were read and are right are noted as verified; those that are not make the blob
        a lost one, and those of a lost one that are right make it live again. Whether it is
        plausible that so much is missing, the caller has seen.
        """
        lost: list[Verdict] = []

        async def work(tx: Tx) -> Part:
            lost.clear()
            findings = []
            # Blobs are taken in the order of their digests, as a push does.
            for each in sorted(verdicts, key=lambda one: one.object.identity or ""):
                found = await self._act(tx, each, marks=marks)
                if found is not None:
                    findings.append(found)
                    lost.extend([each] if found.repair == MARKED else ())
                if is_read and (marks or not each.why):
                    await verifying.mark_verified(tx, each.object.blob, self.s.clock.now())
            read = [each for each in verdicts if is_read and not each.why]
            return Part(
                findings,
                place,
                len(verdicts),
                len(read),
                sum(each.read for each in verdicts),
                sum(each.repair == READMITTED for each in findings),
            )

        part = await self.write(work)
        metrics = self.s.telemetry.metrics.verification
        metrics.verified.inc(part.objects)
        metrics.read.inc(part.bytes)
        for each in lost:
            damage.tell(self.s, each.object.blob, each.why)

    async def _act(self, tx: Tx, verdict: Verdict, *, marks: bool) -> Finding | None:
        each = verdict.object
        subject = each.identity or f"the blob at {each.blob.location}"
        if each.is_lost:
            is_back = marks and not verdict.why
            if is_back and await damage.readmit(self.s, tx, each.blob, self._found_by):
                return Finding("I5", subject, "it was lost", READMITTED)
            return None
        if not verdict.why:
            return None
        if marks:
            is_so = await damage.lose(self.s, tx, each.blob, verdict.why, self._found_by)
        else:
            is_so = await self._is_so(tx, verdict)
        rule, problem = _PROBLEMS[verdict.why]
        return Finding(rule, subject, problem, MARKED if marks else "") if is_so else None

    async def _is_so(self, tx: Tx, verdict: Verdict) -> bool:
        """Tell whether the blob is there still, with that object."""
        found = await verifying.find_at(tx, verdict.object.blob.location)
        return found is not None and not found.is_lost

    @property
    def _found_by(self) -> str:
        return "scrub" if self.run.kind == rows.SCRUB else "fsck"


def refuse_implausible(verdicts: Sequence[Verdict]) -> None:
    """Do nothing where what is missing is a plausible part of what was looked at.

    Raises:
        Stopped: it is not.
    """
    there = [each for each in verdicts if not each.object.is_lost]
    missing = sum(each.why in ("missing", "unreadable") for each in there)
    if missing >= _FEW and 2 * missing > len(there):
        raise Stopped(
            f"{missing} of {len(there)} objects can't be found or read: is the store the right one,"
            " and mounted?"
        )


async def tell(s: Services) -> None:
    """Tell the metrics how much is lost, and how old the oldest verification is."""

    async def read(tx: Tx) -> tuple[int, int | None]:
        return await kept.count_open(tx, 1_000), await verifying.find_oldest(tx)

    lost, oldest = await s.db.read(read, pages=True)
    metrics = s.telemetry.metrics.verification
    metrics.lost.set(lost)
    metrics.age.set(max(0, s.clock.now() - oldest) / 1000 if oldest is not None else 0)
