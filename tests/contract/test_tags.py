"""Tags on the database: conditions are part of the writing statement, history has no gaps."""

from typing import Any

import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase
from moorage.db import manifests, repositories, tags
from moorage.db.engine import Database, Query, Tx
from moorage.db.schema import tag_change
from moorage.db.tags import Condition, Guard, Outcome, Present
from moorage.model.artifacts import Repository, TagChange
from moorage.oci.digest import Digest, digest_of
from moorage.oci.media_types import OCI_INDEX
from moorage.oci.names import RepositoryName, Tag

NAME, TAG = RepositoryName.parse("web/shop"), Tag.parse("latest")
BY = TagChange("alice", "password", "request")
RAW = {letter: f'{{"manifest":"{letter}"}}'.encode() for letter in "AB"}
IDENTITY = {letter: digest_of(raw) for letter, raw in RAW.items()}
ALIAS = {letter: digest_of(raw, "sha512") for letter, raw in RAW.items()}
ABSENT = digest_of(b"absent")
HISTORY = Query(
    "test_history",
    sa.select(tag_change.c.version, tag_change.c.digest)
    .where(tag_change.c.name == sa.bindparam("name"))
    .order_by(tag_change.c.version),
)


async def fill(tx: Tx) -> tuple[Repository, dict[str, int]]:
    """Make a repository with two manifests, each known by sha256 and sha512."""
    repository, _ = await repositories.put_repository(tx, NAME, "private", 1)
    made = {}
    for letter, raw in RAW.items():
        number = await manifests.add_manifest(
            tx,
            repository.id,
            IDENTITY[letter],
            media_type=OCI_INDEX,
            artifact_type="",
            subject=None,
            listed=b"",
            raw=raw,
            now=1,
        )
        for digest in (IDENTITY[letter], ALIAS[letter]):
            await manifests.add_digest(tx, repository.id, number, digest, IDENTITY[letter])
        made[letter] = number
    return repository, made


def put(database: OpenDatabase, steps: list[tuple[Any, ...]]) -> tuple[list[Outcome], list[Any]]:
    """Run steps (letter or None for a deletion, digest, condition); return outcomes and history."""

    async def use(db: Database) -> tuple[list[Outcome], list[Any]]:
        repository, numbers = await db.write(fill)
        guard = Guard(repository.namespace_id, 0)

        async def step(tx: Tx, letter: str | None, digest: Any, condition: Condition) -> Outcome:
            if letter is None:
                return await tags.delete_tag(
                    tx, repository.id, TAG, condition=condition, guard=guard, change=BY, now=2
                )
            return await tags.put_tag(
                tx,
                repository.id,
                TAG,
                numbers[letter],
                digest,
                condition=condition,
                guard=guard,
                change=BY,
                now=2,
            )

        outcomes = [await db.write(lambda tx, each=each: step(tx, *each)) for each in steps]
        history = await db.read(lambda tx: tx.many(HISTORY, name=TAG))
        return outcomes, history

    return database.run(use)


ANY = Condition()
MUST_BE = {letter: Condition(match=(IDENTITY[letter],)) for letter in RAW}


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (ANY, Outcome.CHANGED),
        (MUST_BE["A"], Outcome.CHANGED),
        (Condition(match=(ALIAS["A"],)), Outcome.CHANGED),
        (Condition(match=(ABSENT, IDENTITY["A"])), Outcome.CHANGED),
        (Condition(match=(ABSENT,)), Outcome.REFUSED),
        (MUST_BE["B"], Outcome.REFUSED),
        (Condition(Present.REQUIRED), Outcome.CHANGED),
        (Condition(Present.FORBIDDEN), Outcome.REFUSED),
        (Condition(unless=(IDENTITY["A"],)), Outcome.REFUSED),
        (Condition(unless=(ALIAS["A"],)), Outcome.REFUSED),
        (Condition(unless=(IDENTITY["B"],)), Outcome.CHANGED),
        (Condition(unless=(ABSENT,)), Outcome.CHANGED),
    ],
)
@pytest.mark.parametrize("letter", ["B", None])
def test_conditions_on_a_tag_that_is_there(
    database: OpenDatabase, condition: Condition, outcome: Outcome, letter: str | None
) -> None:
    """A tag at A moves to B, or goes, only if the condition holds, by any digest."""
    digest = IDENTITY["B"] if letter else None
    steps = [("A", IDENTITY["A"], ANY), (letter, digest, condition)]
    outcomes, history = put(database, steps)
    assert outcomes == [Outcome.CHANGED, outcome]
    assert len(history) == (2 if outcome is Outcome.CHANGED else 1)


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (ANY, Outcome.CHANGED),
        (Condition(Present.FORBIDDEN), Outcome.CHANGED),
        (Condition(Present.REQUIRED), Outcome.REFUSED),
        (MUST_BE["A"], Outcome.REFUSED),
        (Condition(unless=(IDENTITY["A"],)), Outcome.CHANGED),
    ],
)
def test_conditions_on_a_tag_that_is_not(
    database: OpenDatabase, condition: Condition, outcome: Outcome
) -> None:
    """A tag is made only if the condition allows that there was none."""
    assert put(database, [("A", IDENTITY["A"], condition)])[0] == [outcome]


@pytest.mark.parametrize("condition", [ANY, MUST_BE["B"], Condition(Present.FORBIDDEN)])
def test_what_is_as_asked_stays(database: OpenDatabase, condition: Condition) -> None:
    """A repeated request changes nothing, whatever its condition says, and makes no history."""
    steps = [("A", IDENTITY["A"], ANY), ("A", IDENTITY["A"], condition)]
    outcomes, history = put(database, steps)
    assert outcomes == [Outcome.CHANGED, Outcome.UNCHANGED]
    assert len(history) == 1


def test_history_goes_on(database: OpenDatabase) -> None:
    """Versions have no gap over moves, another digest, deletion and re-creation."""
    steps = [
        ("A", IDENTITY["A"], ANY),
        ("B", IDENTITY["B"], ANY),
        ("B", ALIAS["B"], ANY),
        (None, None, ANY),
        (None, None, ANY),
        ("A", IDENTITY["A"], ANY),
    ]
    outcomes, history = put(database, steps)
    assert outcomes[4] is Outcome.UNCHANGED
    assert [version for version, _ in history] == [1, 2, 3, 4, 5]
    told = [Digest.from_key(key) if key else None for _, key in history]
    assert told == [IDENTITY["A"], IDENTITY["B"], ALIAS["B"], None, IDENTITY["A"]]
