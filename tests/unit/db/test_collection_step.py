"""The step to schema 6: what was in the trash before is found by collection afterwards."""

from __future__ import annotations

import apsw

from moorage.db import migrate


def at_schema_5() -> apsw.Connection:
    """Return a database as the release before made it."""
    connection = apsw.Connection(":memory:")
    before = migrate.render("sqlite", 0).removesuffix(migrate.render("sqlite", 5))
    connection.execute(before).fetchall()
    return connection


def test_what_was_in_the_trash_is_queued() -> None:
    connection = at_schema_5()
    link = "INSERT INTO repository_blob VALUES (?, ?, 1, ?, ?)"
    connection.execute(link, (1, 1, 500, 0))  # leased
    connection.execute(link, (1, 2, 0, 900))  # deleted
    manifest = "INSERT INTO manifest VALUES (?, 1, ?, 'type', '', x'', x'', 1, 1, ?, x'00')"
    connection.execute(manifest, (7, b"live", 0))
    connection.execute(manifest, (8, b"gone", 900))
    connection.execute("INSERT INTO delete_queue VALUES ('place', 5, 'replaced')")
    connection.execute(migrate.render("sqlite", 5)).fetchall()
    links = connection.execute("SELECT blob_id, lease_until FROM repository_blob").fetchall()
    assert sorted(links) == [(1, 500), (2, 900)]
    queued = connection.execute(
        "SELECT kind, repository_id, subject_id, review_after FROM review_queue"
    ).fetchall()
    assert queued == [("manifest", 1, 8, 900)]
    assert connection.execute("SELECT size FROM delete_queue").fetchall() == [(0,)]
