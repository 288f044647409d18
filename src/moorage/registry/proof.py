"""Proves that the trail is as it was sealed, and takes parts of it out that prove the same.

An exported part has a line for each entry, between a first one that tells what seal is before them
and a last one that signs the last seal. It is signed only after the chain was followed from there
to its own signed head: what somebody has changed is never signed anew.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from moorage.auth.chain import ORIGIN, Chain, Point, PublicKey, SealKey, missing
from moorage.clock import MINUTE
from moorage.db import audit
from moorage.db.engine import Database, Tx
from moorage.db.walking import walk
from moorage.model.audit import Entry, Head
from moorage.registry.audit import Broken

_PAGE = 500
_MOST_PROBLEMS = 20
# Entries get their places in the order in which they were found, which is not quite that of their
# times: a part begins and ends so much further out, and has all that it should.
_SLACK = 10 * MINUTE
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Report(msgspec.Struct):
    """What a look at the whole trail has found: the head, what is behind it, what is wrong."""

    head: Head | None
    sealed: int = 0
    unsealed: int = 0
    problems: list[str] = msgspec.field(default_factory=list)

    def note(self, problem: str) -> None:
        """Add what is wrong, unless enough is already."""
        if problem and len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


class _First(msgspec.Struct, frozen=True, tag="moorage-audit-1", tag_field="kind"):
    """The first line of a part."""

    place: int  # of the entry before it
    seal: str


class _Last(msgspec.Struct, frozen=True, tag="head", tag_field="kind"):
    """The last line of a part."""

    place: int
    seal: str
    key: str
    signature: str


class _Line(msgspec.Struct, frozen=True, tag="entry", tag_field="kind"):
    """An entry; `detail` is as it was sealed, to the byte."""

    place: int
    id: int
    at: str
    action: str
    actor: str
    credential: str
    address: str
    request: str
    namespace_id: int
    repository_id: int
    seal: str
    detail: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_LINES = msgspec.json.Decoder(_First | _Line | _Last)


async def verify(db: Database, key: PublicKey, anchor: Point | None = None) -> Report:
    """Follow the whole chain; the server may go on meanwhile.

    `anchor` is a head that somebody kept elsewhere: the chain must still lead through it.
    """
    head = await db.read(audit.find_head)
    report = Report(head)
    chain = Chain()
    async for entry in _walk(db, 0, head.place if head is not None else 0):
        report.note(chain.follow(entry))
        report.sealed += 1
        if anchor is not None and entry.place == anchor.place and entry.seal != anchor.seal:
            report.note(f"place {entry.place} has not the seal that it once had")
    if head is not None:
        _check_head(report, head, chain, key)
    stray = await db.read(audit.find_stray)
    if stray is not None:
        report.note(f"place {stray.place} (row {stray.id}) is outside of the chain")
    if anchor is not None and anchor.place > (head.place if head is not None else 0):
        report.note(f"the chain once went on to place {anchor.place}: its end was cut off")
    report.unsealed = await _count_unsealed(db)
    return report


def _check_head(report: Report, head: Head, chain: Chain, key: PublicKey) -> None:
    if chain.place < head.place:
        report.note(missing(chain.place + 1, head.place))
    elif chain.seal != head.seal:
        report.note(f"the head has not the seal of place {head.place}")
    if not key.has_signed(head, chain.begin):
        report.note(f"the head at place {head.place} is not signed by the key {key.id}")


async def export(db: Database, key: SealKey, since: int, until: int) -> AsyncIterator[bytes]:
    """Yield the lines of the part from one time to another, with a little more at both ends.

    Nothing is yielded if there is nothing sealed.

    Raises:
        Broken: the trail is not as it was sealed; what was yielded can't be verified.
    """
    head = await db.read(audit.find_head)
    if head is None:
        return
    if not key.public.has_signed(head):
        raise Broken(f"the head at place {head.place} is not signed by the key {key.public.id}")
    first = await _first_since(db, since - _SLACK, head.place)
    last = await _first_since(db, until + _SLACK, head.place) - 1
    if first > last:
        return
    before = await _at(db, first - 1) if first > 1 else None
    chain = Chain(Point(first - 1, before.seal) if before is not None else ORIGIN)
    yield _encode(_First(chain.place, chain.seal.hex()))
    signed = b""
    async for entry in _walk(db, first - 1, head.place):
        wrong = chain.follow(entry)
        if wrong:
            raise Broken(wrong)
        if entry.place <= last:
            yield _encode(_line_of(entry))
        if entry.place == last:
            part = key.sign(Point(last, entry.seal), head.at, chain.begin)
            signed = _encode(_Last(last, entry.seal.hex(), part.key_id, part.signature.hex()))
    # That the head itself is signed was seen before.
    if (chain.place, chain.seal) != (head.place, head.seal):
        raise Broken(f"the chain does not come to the head at place {head.place}")
    yield signed


def verify_lines(lines: Iterable[bytes], key: PublicKey) -> Report:
    """Follow the lines of an exported part, which need nothing but the key."""
    report = Report(None)
    chain: Chain | None = None
    for number, text in enumerate(lines, 1):
        try:
            line = _LINES.decode(text)
            # To the byte: what is not part of an entry is not sealed, and would go unnoticed.
            if _encode(line).rstrip() != text.rstrip():
                raise ValueError(text)
            report.head, chain = _follow(report, chain, line, key)
        except (msgspec.MsgspecError, ValueError):
            report.note(f"line {number} is not one of an exported trail")
            return report
    if report.head is None:
        report.note("the last line is missing, which signs the others")
    return report


def _follow(
    report: Report, chain: Chain | None, line: _First | _Line | _Last, key: PublicKey
) -> tuple[Head | None, Chain]:
    """Take one line; return the head if it is the last one.

    Raises:
        ValueError: it has no business at that place.
    """
    if isinstance(line, _First) and chain is None:
        return None, Chain(Point(line.place, bytes.fromhex(line.seal)))
    if chain is None or report.head is not None or isinstance(line, _First):
        raise ValueError(line)
    if isinstance(line, _Line):
        report.note(chain.follow(_entry_of(line)))
        report.sealed += 1
        return None, chain
    seal, signature = bytes.fromhex(line.seal), bytes.fromhex(line.signature)
    head = Head(line.place, seal, line.key, signature, 0)
    _check_head(report, head, chain, key)
    return head, chain


async def _walk(db: Database, after: int, last: int) -> AsyncIterator[Entry]:
    """Yield the entries of the places behind one up to another one, whatever is missing."""
    while after < last:
        upto = min(after + _PAGE, last)

        async def read(tx: Tx, after: int = after, upto: int = upto) -> list[Entry]:
            return await audit.list_places(tx, after, upto)

        entries = await db.read(read, pages=True)
        for entry in entries:
            yield entry
        after = upto
        if not entries:
            following = await _next(db, after)
            after = min(following.place - 1, last) if following is not None else last


async def _next(db: Database, after: int) -> Entry | None:
    return await db.read(lambda tx: audit.find_next(tx, after))


async def _at(db: Database, place: int) -> Entry:
    found = await _next(db, place - 1)
    if found is None or found.place != place:
        raise Broken(missing(place, place))
    return found


async def _first_since(db: Database, when: int, last: int) -> int:
    """Return the first place whose entry is not from before `when`, one behind `last` if none is.

    Raises:
        Broken: a place is missing.
    """
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        if (await _at(db, middle)).at >= when:
            high = middle
        else:
            low = middle + 1
    return low


async def _count_unsealed(db: Database) -> int:
    unsealed = walk(db, audit.list_unsealed, lambda entry: entry.id, 0, _PAGE)
    count = 0
    async for _ in unsealed:
        count += 1
    return count


def time_of(at: int) -> str:
    """Return a time as people and programs read it, to the millisecond."""
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _line_of(entry: Entry) -> _Line:
    return _Line(
        place=entry.place,
        id=entry.id,
        at=time_of(entry.at),
        action=entry.action,
        actor=entry.actor,
        credential=entry.credential,
        address=entry.address,
        request=entry.request_id,
        namespace_id=entry.namespace_id,
        repository_id=entry.repository_id,
        seal=entry.seal.hex(),
        detail=msgspec.Raw(entry.detail) if entry.detail else msgspec.UNSET,
    )


def _entry_of(line: _Line) -> Entry:
    at = datetime.strptime(line.at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return Entry(
        id=line.id,
        place=line.place,
        at=(at - _EPOCH) // timedelta(milliseconds=1),
        actor=line.actor,
        credential=line.credential,
        address=line.address,
        request_id=line.request,
        action=line.action,
        namespace_id=line.namespace_id,
        repository_id=line.repository_id,
        detail=b"" if line.detail is msgspec.UNSET else bytes(line.detail),
        seal=bytes.fromhex(line.seal),
    )


def _encode(line: _First | _Line | _Last) -> bytes:
    return msgspec.json.encode(line) + b"\n"
