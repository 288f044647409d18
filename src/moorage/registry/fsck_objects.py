"""The steps of a check that go through the store: that objects are there, and their bytes."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

from moorage.blobs.store import UPLOADS, Stored
from moorage.db import sweeping, verifying
from moorage.db.engine import Tx
from moorage.db.verifications import Finding
from moorage.db.verifying import Object
from moorage.registry.examining import Examiner, Turn, Verdict
from moorage.registry.sweep import OLD
from moorage.registry.verifying import Part, Verifying, refuse_implausible

_PAGE = 500
_SLICE = 50
# Behind every location: they are hexadecimal digits.
_END = "~"


async def check_objects(examiner: Examiner, run: Verifying) -> None:
    """Compare a page of what the store lists with the rows (I4, I8).

    What is not listed is asked for by itself before it is called missing: it may have come since.
    """
    after = run.place or ""
    listed = await _list(run, after)
    is_last = len(listed) < _PAGE
    upto = _END if is_last else listed[-1].location
    known, objects = await _rows(run, after, upto)
    if len(objects) == _PAGE and objects[-1].blob.location != upto:
        # There are more rows than objects: of an empty store all of them would come at once.
        upto, is_last = objects[-1].blob.location, False
        listed = [each for each in listed if each.location <= upto]
    sizes = {each.location: each.size for each in listed}
    suspects = [each for each in objects if sizes.get(each.blob.location) != each.blob.size]
    verdicts = []
    for each in suspects:
        why = await examiner.wrong_size(each.blob)
        if why and not each.is_lost:
            verdicts.append(Verdict(each, why))
    there = {each.object.blob.location for each in verdicts}
    fine = [Verdict(each, "") for each in objects if each.blob.location not in there]
    await _write(run, [*verdicts, *fine], after)
    strays = _strays(run, listed, known)

    async def work(_: Tx) -> Part:
        return Part(strays, None if is_last else upto, len(listed))

    await run.write(work)


async def _write(run: Verifying, verdicts: Sequence[Verdict], place: str) -> None:
    """Note what is missing; what is there has not been read, and is no news."""
    is_marked = bool(run.run.repairs)
    if is_marked:
        # All of the page counts for what is plausible.
        refuse_implausible(verdicts)
    wrong = [each for each in verdicts if each.why]
    for start in range(0, len(wrong), _SLICE):
        some = wrong[start : start + _SLICE]
        await run.write_verdicts(some, place, marks=is_marked, is_read=False)


async def _list(run: Verifying, after: str) -> list[Stored]:
    found: list[Stored] = []
    listing = cast("AsyncGenerator[Stored, None]", run.s.blobs.list(after))
    async with aclosing(listing) as stored:
        async for each in stored:
            found.append(each)
            if len(found) == _PAGE:
                break
    return found


async def _rows(run: Verifying, after: str, upto: str) -> tuple[set[str], list[Object]]:
    """Return the locations that have a row, and the first page of the blobs among them."""

    async def read(tx: Tx) -> tuple[set[str], list[Object]]:
        objects = await verifying.list_by_location(tx, after, upto, _PAGE)
        end = objects[-1].blob.location if len(objects) == _PAGE else upto
        return await sweeping.list_known(tx, after, end, _PAGE), objects

    return await run.s.db.read(read, pages=True)


def _strays(run: Verifying, listed: Sequence[Stored], known: set[str]) -> list[Finding]:
    old = run.s.clock.now() - OLD
    return [
        Finding("I8", f"the object {each.location}", "no row names it")
        for each in listed
        if each.location not in known
        and each.changed_at < old
        and not each.location.startswith(UPLOADS)
    ]


async def check_bytes(examiner: Examiner, turn: Turn, run: Verifying) -> None:
    """Read the bytes of some objects (I5)."""
    after = int(run.place or 0)
    page = await run.s.db.read(lambda tx: verifying.list_by_id(tx, after, _SLICE))
    verdicts = await examiner.examine_some(page, turn)
    if run.run.repairs:
        refuse_implausible(verdicts)
    if verdicts:
        last = verdicts[-1].object.blob.id
        await run.write_verdicts(verdicts, last, marks=bool(run.run.repairs))
    if not page:

        async def end(_: Tx) -> Part:
            return Part()

        await run.write(end)
