"""What names content is looked for by keys, never among all that a repository has."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage.db import collection, naming
from moorage.db.engine import Query
from moorage.db.migrate import migrate_sqlite
from moorage.db.sqlite import connect

QUERIES = (
    collection.WHAT_KEEPS_BLOB,
    collection.WHAT_KEEPS_MANIFEST,
    collection.FORGET_CHILD,
    *naming.FIND_PARENT,
    *naming.LIST_PARENTS,
    naming.LIST_OF_BLOB,
)


@pytest.mark.parametrize("query", QUERIES, ids=[query.title for query in QUERIES])
def test_nothing_is_looked_for_by_its_repository_alone(query: Query, tmp_path: Path) -> None:
    """SQLite has no statistics here: it takes the first way that looks short."""
    migrate_sqlite(tmp_path)
    connection = connect(tmp_path / "moorage.db")
    values = query.arguments(dict.fromkeys(query.names, 1))
    text = f"EXPLAIN QUERY PLAN {query.text('sqlite')}"
    steps = [row[3] for row in connection.execute(text, values).fetchall()]
    connection.close()
    assert [step for step in steps if step.startswith("SEARCH")]
    assert [step for step in steps if step.endswith("(repository_id=?)")] == []
    # What is missing is never looked for among what was found, under the id 0.
    assert [step for step in steps if step.endswith("(repository_id=? AND child_id=?)")] == []
