"""The chain of the audit trail: nothing late is lost, and nothing is changed unseen."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from typing import Any

import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase
from moorage.auth.chain import Point, PublicKey, SealKey, seal_of
from moorage.clock import DAY, HOUR
from moorage.db import audit as rows
from moorage.db import events
from moorage.db.access_schema import audit_head
from moorage.db.engine import Database, Query, Tx
from moorage.db.schema import audit
from moorage.model.audit import Entry, Filter, Head
from moorage.registry import proof
from moorage.registry.audit import Broken, read_entries, seal_key, seal_some

COUNT = 12
NOW = 1_800_000_000_000
ALL = (0, NOW + 9 * DAY)
Tamper = Callable[[Tx, list[Entry]], Awaitable[Any]]


def values_of(number: int) -> dict[str, Any]:
    """Return the columns of the entry of that number."""
    return {
        "actor": f"actor-{number % 3}",
        "credential": "password",
        "request_id": f"request-{number}",
        "action": "tag.deleted" if number % 2 else "manifest.pushed",
        "repository_id": number,
        "namespace_id": 5,
        "address": "192.0.2.1",
        "detail": json.dumps({"number": number}).encode(),
        "now": NOW + number * HOUR,
    }


async def add(db: Database, numbers: range) -> None:
    """Add entries, each in a transaction of its own."""
    for number in numbers:

        async def write(tx: Tx, number: int = number) -> None:
            await events.add_audit(tx, **values_of(number))

        await db.write(write)


async def seal(db: Database, limit: int = 100) -> int:
    """Seal once, as the job does."""
    key = await seal_key(db)
    sealed, _ = await db.write(lambda tx: seal_some(tx, key, NOW, limit))
    return sealed


async def all_entries(db: Database) -> list[Entry]:
    """Return every sealed entry in its order."""
    return await db.read(lambda tx: rows.list_places(tx, 0, 1_000), pages=True)


async def head_of(db: Database) -> Head:
    """Return the head, which is there."""
    head = await db.read(rows.find_head)
    assert head is not None
    return head


async def report_of(db: Database, anchor: Point | None = None) -> proof.Report:
    """Verify by the registry's own key."""
    return await proof.verify(db, (await seal_key(db)).public, anchor)


async def change(tx: Tx, number: int, **values: Any) -> None:
    """Change columns of the row of that id, as somebody with the database could."""
    statement = sa.update(audit).where(audit.c.id == sa.bindparam("which"))
    named = {name: sa.bindparam(f"new_{name}") for name in values}
    given = {f"new_{name}": value for name, value in values.items()}
    await tx.run(Query("test_change", statement.values(named)), which=number, **given)


async def remove(tx: Tx, number: int) -> None:
    """Delete the row of that id."""
    statement = sa.delete(audit).where(audit.c.id == sa.bindparam("which"))
    await tx.run(Query("test_remove", statement), which=number)


async def remove_head(tx: Tx) -> None:
    """Delete the head."""
    await tx.run(Query("test_remove_head", sa.delete(audit_head)))


async def put_head(tx: Tx, head: Head) -> None:
    """Put another head in its place."""
    await remove_head(tx)
    await rows.put_seals(tx, [], head)


def test_places_have_no_gaps(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        assert (await report_of(db)).problems == []
        await add(db, range(COUNT))
        assert [await seal(db, 5) for _ in range(4)] == [5, 5, 2, 0]
        entries = await all_entries(db)
        assert [entry.place for entry in entries] == list(range(1, COUNT + 1))
        assert [entry.id for entry in entries] == sorted(entry.id for entry in entries)
        assert len({entry.seal for entry in entries}) == COUNT
        await add(db, range(2))
        report = await report_of(db)
        assert (report.sealed, report.unsealed, report.problems) == (COUNT, 2, [])
        assert (await head_of(db)).place == COUNT

    database.run(use)


class Late:
    """A transaction of a server that may commit at any time: its entry has its id already."""

    def __init__(self, url: str, number: int) -> None:
        self._connection = psycopg.connect(url)
        text = events.ADD_AUDIT.text("postgresql")
        self._connection.execute(text, events.ADD_AUDIT.bind(values_of(number)))

    def end(self, *, commits: bool = True) -> None:
        """Commit or roll back."""
        with closing(self._connection):
            if commits:
                self._connection.commit()


def test_first_written_last_committed(shared: OpenDatabase) -> None:
    """An entry with a smaller id that appears after the sealing comes once, and later."""

    async def use(db: Database) -> None:
        late = Late(shared.url, 1)
        await add(db, range(2, 4))
        assert await seal(db) == 2
        late.end()
        assert await seal(db) == 1
        assert [entry.repository_id for entry in await all_entries(db)] == [2, 3, 1]
        assert await seal(db) == 0
        assert (await report_of(db)).problems == []

    shared.run(use)


@pytest.mark.parametrize("seed", range(2))
def test_commits_in_any_order(shared: OpenDatabase, seed: int) -> None:
    """Transactions that overlap, commit in any order or not at all, with sealing between them."""
    chance = random.Random(seed)

    async def use(db: Database) -> None:
        number, pending, committed = 0, [], []
        for _ in range(80):
            step = chance.choice(("begin", "end", "seal"))
            if step == "begin" and len(pending) < 6:
                number += 1
                pending.append((number, Late(shared.url, number)))
            elif step == "end" and pending:
                which, late = pending.pop(chance.randrange(len(pending)))
                commits = chance.random() < 0.8
                late.end(commits=commits)
                committed += [which] if commits else []
            elif step == "seal":
                await seal(db, chance.choice((1, 2, 50)))
        for which, late in pending:
            late.end()
            committed.append(which)
        while await seal(db):
            pass
        assert sorted(each.repository_id for each in await all_entries(db)) == sorted(committed)
        assert (await report_of(db)).problems == []

    shared.run(use)


def test_two_sealers_at_once(database: OpenDatabase) -> None:
    """Two replicas seal while both add: each entry has one place."""

    async def use(one: Database) -> None:
        two = database.make()
        await two.open()
        try:

            async def work(db: Database, first: int) -> None:
                for number in range(first, first + 20, 2):
                    await add(db, range(number, number + 2))
                    await seal(db, 3)

            await asyncio.gather(*(work(db, n) for n, db in enumerate((one, two, one, two))))
            while await seal(one, 3):
                pass
            report = await report_of(two)
            assert (report.sealed, report.unsealed, report.problems) == (80, 0, [])
        finally:
            await two.close()

    database.run(use)


def tampered(database: OpenDatabase, tamper: Tamper) -> list[str]:
    """Return what is found after somebody has been at a sealed trail."""

    async def use(db: Database) -> list[str]:
        await add(db, range(COUNT))
        await seal(db)
        entries = await all_entries(db)
        await db.write(lambda tx: tamper(tx, entries))
        found = await report_of(db)
        with pytest.raises(Broken):
            await gather(proof.export(db, await seal_key(db), *ALL), [])
        return found.problems

    return database.run(use)


FIELDS: dict[str, Any] = {
    "at": 1,
    "actor": "mallory",
    "credential": "token:1",
    "address": "",
    "request_id": "",
    "action": "tag.pushed",
    "namespace_id": 1,
    "repository_id": 1_000,
    "detail": b"{}",
    "seal": bytes(32),
}


def test_every_column_is_sealed() -> None:
    columns = {column.name for column in audit.columns}
    assert columns - FIELDS.keys() == {"id", "place"}


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_field_is_named(database: OpenDatabase, field: str) -> None:
    async def tamper(tx: Tx, entries: list[Entry]) -> None:
        await change(tx, entries[4].id, **{field: FIELDS[field]})

    problems = tampered(database, tamper)
    assert problems[0] == "place 5 (row 5) is not what was sealed there"
    # A changed seal is also not what the next one is built on.
    assert len(problems) == (2 if field == "seal" else 1)


def test_a_removed_entry_is_named(database: OpenDatabase) -> None:
    problems = tampered(database, lambda tx, entries: remove(tx, entries[4].id))
    assert problems == ["place 5 is missing"]


def test_several_removed_entries_are_named(database: OpenDatabase) -> None:
    async def tamper(tx: Tx, entries: list[Entry]) -> None:
        for entry in entries[2:6]:
            await remove(tx, entry.id)

    assert tampered(database, tamper) == ["places 3 to 6 are missing"]


@pytest.mark.parametrize("with_seals", [False, True])
def test_a_new_order_is_found(database: OpenDatabase, *, with_seals: bool) -> None:
    async def tamper(tx: Tx, entries: list[Entry]) -> None:
        one, two = entries[3], entries[7]
        for entry, other in ((one, two), (two, one)):
            seal = other.seal if with_seals else entry.seal
            await change(tx, entry.id, place=other.place, seal=seal)

    problems = tampered(database, tamper)
    assert problems[0] == "place 4 (row 8) is not what was sealed there"
    assert "place 8 (row 4) is not what was sealed there" in problems


def test_an_end_that_was_cut_off_is_found(database: OpenDatabase) -> None:
    async def tamper(tx: Tx, entries: list[Entry]) -> None:
        for entry in entries[-3:]:
            await remove(tx, entry.id)

    assert tampered(database, tamper) == ["places 10 to 12 are missing"]


def test_an_end_that_was_cut_off_with_a_head_made_for_it_is_found(database: OpenDatabase) -> None:
    async def tamper(tx: Tx, entries: list[Entry]) -> None:
        for entry in entries[-3:]:
            await remove(tx, entry.id)
        head = await rows.find_head(tx)
        assert head is not None
        moved = {"place": 9, "seal": entries[8].seal}
        await put_head(tx, msgspec.structs.replace(head, **moved))

    problems = tampered(database, tamper)
    assert [text.partition(" by ")[0] for text in problems] == ["the head at place 9 is not signed"]


def test_a_head_of_another_key_is_found(database: OpenDatabase) -> None:
    async def tamper(tx: Tx, entries: list[Entry]) -> None:
        await put_head(tx, SealKey(bytes(32)).sign(Point(COUNT, entries[-1].seal), NOW))

    problems = tampered(database, tamper)
    assert [text.partition(" by ")[0] for text in problems] == [
        f"the head at place {COUNT} is not signed"
    ]


def test_an_end_that_was_written_anew_is_found(database: OpenDatabase) -> None:
    async def tamper(tx: Tx, entries: list[Entry]) -> None:
        seal = entries[8].seal
        for entry in entries[9:]:
            changed = msgspec.structs.replace(entry, actor="mallory")
            seal = seal_of(seal, changed)
            await change(tx, entry.id, actor="mallory", seal=seal)

    assert tampered(database, tamper) == [f"the head has not the seal of place {COUNT}"]


async def copied(tx: Tx, entry: Entry, place: int) -> None:
    """Insert a row like another one at a place."""
    await events.add_audit(tx, **values_of(entry.repository_id))
    (made,) = await rows.list_unsealed(tx, 0, 10)
    await change(tx, made.id, place=place, seal=entry.seal)


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (5, "place 5 (row 13) is there more than once"),
        (COUNT + 1, "place 13 (row 13) is outside of the chain"),
        (-1, "place -1 (row 13) is outside of the chain"),
    ],
)
def test_an_inserted_entry_is_named(database: OpenDatabase, place: int, problem: str) -> None:
    async def use(db: Database) -> list[str]:
        await add(db, range(COUNT))
        await seal(db)
        entries = await all_entries(db)
        await db.write(lambda tx: copied(tx, entries[4], place))
        return (await report_of(db)).problems

    assert database.run(use) == [problem]


def test_an_entry_that_is_to_be_sealed_again_is_missing(database: OpenDatabase) -> None:
    """Whoever changes one and marks it as new has it sealed, and leaves a hole."""

    async def tamper(tx: Tx, entries: list[Entry]) -> None:
        await change(tx, entries[4].id, place=0, seal=b"", actor="mallory")

    assert tampered(database, tamper) == ["place 5 is missing"]


@pytest.mark.parametrize("gone", [False, True])
def test_nothing_is_sealed_on_top_of_a_changed_head(database: OpenDatabase, *, gone: bool) -> None:
    """The job would sign what somebody has written."""

    async def use(db: Database) -> None:
        await add(db, range(3))
        await seal(db)
        head = await head_of(db)

        async def tamper(tx: Tx) -> None:
            await remove_head(tx)
            if not gone:
                await put_head(tx, msgspec.structs.replace(head, seal=bytes(32)))

        await db.write(tamper)
        await add(db, range(2))
        with pytest.raises(Broken):
            await seal(db)
        report = await report_of(db)
        assert (report.sealed, report.unsealed) == (0 if gone else 3, 2)
        assert report.problems

    database.run(use)


def test_a_trail_written_anew_is_found_by_a_head_that_was_kept(database: OpenDatabase) -> None:
    """Who has the registry's own key can do all of it; not to what is kept elsewhere."""

    async def use(db: Database) -> None:
        await add(db, range(COUNT))
        await seal(db)
        kept = await head_of(db)
        anchor = Point(kept.place, kept.seal)
        await add(db, range(2))
        await seal(db)
        assert (await report_of(db, anchor)).problems == []
        entries = await all_entries(db)

        async def rewrite(tx: Tx, keep: int) -> None:
            await remove_head(tx)
            for entry in entries:
                if entry.place <= keep:
                    await change(tx, entry.id, place=0, seal=b"", actor="mallory")
                else:
                    await remove(tx, entry.id)

        await db.write(lambda tx: rewrite(tx, COUNT))
        await seal(db)
        assert (await report_of(db)).problems == []
        found = (await report_of(db, anchor)).problems
        assert found == [f"place {COUNT} has not the seal that it once had"]
        await db.write(lambda tx: rewrite(tx, 2))
        await seal(db)
        found = (await report_of(db, anchor)).problems
        assert found == [f"the chain once went on to place {COUNT}: its end was cut off"]

    database.run(use)


async def gather(lines: AsyncIterator[bytes], into: list[bytes]) -> list[bytes]:
    """Return all lines; those before an error are in the list as well."""
    async for line in lines:
        into.append(line)  # noqa: PERF401 - what came before an error is looked at
    return into


def parts(database: OpenDatabase, *spans: tuple[int, int]) -> tuple[PublicKey, list[list[bytes]]]:
    """Return the key and the parts of a trail that has an entry for each hour."""

    async def use(db: Database) -> tuple[PublicKey, list[list[bytes]]]:
        await add(db, range(COUNT))
        await seal(db)
        key = await seal_key(db)
        found = [await gather(proof.export(db, key, *span), []) for span in spans]
        return key.public, found

    return database.run(use)


def test_parts_prove_themselves(database: OpenDatabase) -> None:
    """A part has what was asked for, whichever it is, and is verified by the key alone."""
    spans = [
        (NOW + first * HOUR, NOW + last * HOUR)
        for first, last in ((0, 5), (4, 9), (7, 40), (-9, 40))
    ]
    key, found = parts(database, *spans, ALL, (NOW + DAY, NOW + DAY))
    for (first, last), lines in zip([*spans, ALL], found[:-1], strict=True):
        report = proof.verify_lines(lines, key)
        assert report.problems == []
        assert report.sealed == len(lines) - 2
        told = [json.loads(line) for line in lines[1:-1]]
        numbers = {each["detail"]["number"] for each in told}
        assert numbers >= {n for n in range(COUNT) if first <= NOW + n * HOUR < last}
        if last - first == 5 * HOUR:
            assert len(numbers) <= 6
    assert found[-1] == []


def test_nothing_of_a_part_can_be_changed(database: OpenDatabase) -> None:
    key, (lines,) = parts(database, ALL)
    assert proof.verify_lines(lines, key).problems == []
    assert proof.verify_lines(lines, SealKey(bytes(32)).public).problems
    for number, line in enumerate(lines):
        told = json.loads(line)
        for name, value in told.items():
            other = value + 1 if isinstance(value, int) else "1" * 64
            for changed in ({**told, name: other}, {k: v for k, v in told.items() if k != name}):
                again = json.dumps(changed, separators=(",", ":")).encode() + b"\n"
                altered = [*lines[:number], again, *lines[number + 1 :]]
                assert proof.verify_lines(altered, key).problems, (number, name, changed)
        with_more = json.dumps({**told, "note": 1}, separators=(",", ":")).encode() + b"\n"
        assert proof.verify_lines([*lines[:number], with_more, *lines[number + 1 :]], key).problems
        assert proof.verify_lines([*lines[:number], *lines[number + 1 :]], key).problems
        assert proof.verify_lines([*lines[: number + 1], *lines[number:]], key).problems
        swapped = [*lines[:number], *lines[number : number + 2][::-1], *lines[number + 2 :]]
        if number + 1 < len(lines):
            assert proof.verify_lines(swapped, key).problems
        if number + 1 < len(lines):
            assert proof.verify_lines(lines[: number + 1], key).problems
    # A part that begins later, made of one that begins earlier.
    begin = json.loads(lines[0]) | {"place": 3, "seal": json.loads(lines[3])["seal"]}
    again = json.dumps(begin, separators=(",", ":")).encode() + b"\n"
    (problem,) = proof.verify_lines([again, *lines[4:]], key).problems
    assert "not signed" in problem
    for beyond in (b"\n", b"{}\n", b"\xff\n", lines[0], lines[3], lines[-1]):
        assert proof.verify_lines([*lines, beyond], key).problems


def test_a_part_of_a_changed_trail_is_not_signed(database: OpenDatabase) -> None:
    """The change is behind the part, and all seals were made anew up to the head."""

    async def use(db: Database) -> None:
        await add(db, range(COUNT))
        await seal(db)
        entries = await all_entries(db)

        async def tamper(tx: Tx) -> None:
            seal = entries[1].seal
            for entry in entries[2:]:
                changed = msgspec.structs.replace(entry, actor="mallory")
                seal = seal_of(seal, changed)
                await change(tx, entry.id, actor="mallory", seal=seal)

        await db.write(tamper)
        key = await seal_key(db)
        lines: list[bytes] = []
        with pytest.raises(Broken, match="head"):
            await gather(proof.export(db, key, 0, NOW + 5 * HOUR), lines)
        assert len(lines) > 5
        assert proof.verify_lines(lines, key.public).problems

    database.run(use)


def test_long_trails_are_followed_in_pages(database: OpenDatabase) -> None:
    count = 1_203

    async def use(db: Database) -> None:
        async def write(tx: Tx) -> None:
            for number in range(count):
                await events.add_audit(tx, **values_of(number))

        await db.write(write)
        while await seal(db, 400):
            pass
        report = await report_of(db)
        assert (report.sealed, report.problems) == (count, [])

        async def tamper(tx: Tx) -> None:
            # Places 100 to 1101, more than a page, and one at the end of a page.
            run = sa.delete(audit).where(audit.c.place.between(100, 1_101))
            await tx.run(Query("test_cut", run))

        await db.write(tamper)
        report = await report_of(db)
        assert report.sealed == count - 1_002
        assert report.problems == ["places 100 to 1101 are missing"]

    database.run(use)


def test_entries_are_found_by_page_and_filter(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        await add(db, range(COUNT))
        await seal(db)
        everything: list[int] = []
        before = 0
        while True:
            page = await read_entries(db, {}, before, 5)
            assert len(page.entries) <= 5
            everything += [entry.repository_id for entry in page.entries]
            before = page.before
            if not before:
                break
        assert everything == list(reversed(range(COUNT)))
        by = {Filter.ACTOR: "actor-1"}
        page = await read_entries(db, by, 0, 100)
        assert [entry.repository_id for entry in page.entries] == [10, 7, 4, 1]
        page = await read_entries(db, {**by, Filter.ACTION: "tag.deleted"}, 0, 100)
        assert [entry.repository_id for entry in page.entries] == [7, 1]
        page = await read_entries(db, {Filter.NAMESPACE: "absent"}, 0, 100)
        assert (page.entries, page.before) == ([], 0)

    database.run(use)


def test_a_look_for_what_is_rare_is_bounded(embedded: OpenDatabase) -> None:
    """One page goes through 2,000 entries at most, and says where to go on."""

    async def use(db: Database) -> None:
        async def write(tx: Tx) -> None:
            await events.add_audit(tx, **{**values_of(1), "action": "rare"})
            for number in range(2_100):
                await events.add_audit(tx, **values_of(number))

        await db.write(write)
        rare = {Filter.ACTION: "rare"}
        page = await read_entries(db, rare, 0, 10)
        assert page.entries == []
        assert page.before
        page = await read_entries(db, rare, page.before, 10)
        assert (len(page.entries), page.before) == (1, 0)

    embedded.run(use)
