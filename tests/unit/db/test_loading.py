"""Rows on their way into a restored database: what is changed, and what is never let in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from moorage.db.loading import COMING, RESTORED, prepared, require_known
from moorage.db.schema import SCHEMA_VERSION
from moorage.errors import Refused


class Table(NamedTuple):
    """A table of a backup."""

    name: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:  # type: ignore[override]
        return iter(self.rows)


def loaded(table: Table) -> list[tuple[Any, ...]]:
    """Return the rows as they go in."""
    return [row for page in prepared(table) for row in page]


def test_blobs_wait_for_their_bytes() -> None:
    """But for those that were lost already."""
    rows = ((1, "live"), (2, "lost"))
    table = Table("blob", ("id", "state"), ("integer", "text"), rows)
    assert loaded(table) == [(1, COMING), (2, "lost")]


def test_jobs_that_ran_wait_again() -> None:
    columns = ("id", "state", "lease_until")
    rows = ((1, "running", 99), (2, "waiting", 0), (3, "dead", 5))
    table = Table("job", columns, ("integer", "text", "integer"), rows)
    assert loaded(table) == [(1, "waiting", 0), (2, "waiting", 0), (3, "dead", 5)]


def test_an_old_pause_gives_way() -> None:
    rows = (("collection.pause", ""), (RESTORED, "{}"), ("secret.keys", "x"))
    table = Table("setting", ("key", "value"), ("text", "text"), rows)
    assert loaded(table) == [("secret.keys", "x")]


def test_pages_are_bounded() -> None:
    table = Table("tag", ("id",), ("integer",), tuple((number,) for number in range(1_201)))
    assert [len(page) for page in prepared(table)] == [500, 500, 201]


@pytest.mark.parametrize(
    ("name", "column", "kind"),
    [
        ('tag" (id) VALUES (1); DROP TABLE tag; --', "id", "integer"),
        ("tag", 'id") VALUES (1); --', "integer"),
        ("tag", "id", "json"),
        ("Tag", "id", "integer"),
        ("täg", "id", "integer"),
        ("", "id", "integer"),
    ],
)
def test_no_name_of_a_backup_is_a_statement(name: str, column: str, kind: str) -> None:
    with pytest.raises(Refused, match="no release"):
        loaded(Table(name, (column,), (kind,), ((1,),)))


def test_newer_schemas_are_refused() -> None:
    require_known(SCHEMA_VERSION)
    require_known(1)
    with pytest.raises(Refused, match="schema"):
        require_known(SCHEMA_VERSION + 1)
