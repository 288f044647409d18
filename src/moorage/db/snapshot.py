"""What a database has at one moment, read from beginning to end while everybody else goes on.

Only a backup uses this. The statements are made from the tables, read every row once, and are the
same on both databases.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import sqlalchemy as sa

from moorage.db import jobs_schema, schema
from moorage.db.access_schema import token
from moorage.db.columns import metadata
from moorage.db.engine import Row

PAGE = 500
INTEGER, TEXT, BYTES = "integer", "text", "bytes"
# What is under way belongs to the place that it was begun in. What signs people and machines in
# for a while stays away from backups: a restored registry must not believe in what has ended since.
_LEFT = {
    "upload",
    "delete_queue",
    "replica",
    "job_schedule",
    "sign_in",
    "idempotent",
    "refresh",
    "link",
    "signing_key",
    # What was found of objects at the old places.
    "damage",
    "verification_run",
    "verification_finding",
    # Made of the rest, and again when it is not there.
    "search_entry",
    "search_piece",
    "search_state",
}
# The schema's own marks are made anew, and so is the secret that seals the ids of uploads. What was
# pulled since the backup is not known: pulls are counted from the restore on.
_OWN_SETTINGS = ("schema.", "move.", "restore.", "secret.upload", "pulls.")
_SHA256 = 1
_CONTENT = (
    "SELECT d.digest, b.size, b.location, b.state FROM blob_digest d"
    " JOIN blob b ON b.id = d.blob_id ORDER BY d.digest"
)
_MANIFESTS = "SELECT DISTINCT identity FROM manifest ORDER BY identity"


class Content(NamedTuple):
    """A blob: the raw sha256 of its bytes, and where they are; `state` is live or lost."""

    sha256: bytes
    size: int
    location: str
    state: str


class Snapshot(Protocol):
    """A database at one moment; it blocks, and is used by one thread at a time."""

    def pages(self, text: str, kinds: Sequence[str]) -> Iterator[Sequence[Row]]:
        """Yield what the statement finds; `kinds` are those of its columns."""
        ...

    def counters(self) -> dict[str, int]:
        """Return the highest id that each table has ever given out."""
        ...

    def close(self) -> None:
        """Let go of the moment."""
        ...


def tables() -> list[sa.Table]:
    """Return the tables that a backup has."""
    return [table for table in metadata.sorted_tables if table.name not in _LEFT]


def columns_of(table: sa.Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of a table's columns, and what each holds."""
    columns = list(table.columns)
    return tuple(name_of(each) for each in columns), tuple(kind_of(each) for each in columns)


def name_of(named: sa.Table | sa.Column[object]) -> str:
    """Return a name as a plain text; SQLAlchemy's may be of a kind of its own."""
    return "".join(named.name)


def kind_of(column: sa.Column[object]) -> str:
    """Return what the column holds: integers, texts or bytes."""
    if isinstance(column.type, sa.Integer):
        return INTEGER
    return BYTES if isinstance(column.type, sa.LargeBinary) else TEXT


def rows(snapshot: Snapshot, table: sa.Table) -> Iterator[Row]:
    """Yield the rows of a table that a backup has, in the order of their keys."""
    names, kinds = columns_of(table)
    named = ", ".join(f'"{name}"' for name in names)
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
    # Names of our own tables, no user's text.
    text = f'SELECT {named} FROM "{table.name}" ORDER BY {keys}'
    belongs = _BELONGS.get(table.name)
    places = {name: place for place, name in enumerate(names)}
    for page in snapshot.pages(text, kinds):
        for row in page:
            if belongs is None or belongs(row, places):
                yield row


def contents(snapshot: Snapshot) -> Iterator[Content]:
    """Yield every blob, in the order of the digests."""
    for page in snapshot.pages(_CONTENT, (BYTES, INTEGER, TEXT, TEXT)):
        for key, size, location, state in page:
            if key[0] == _SHA256:
                yield Content(bytes(key[1:]), size, location, state)


def manifests(snapshot: Snapshot) -> Iterator[bytes]:
    """Yield the raw sha256 of every manifest once, in order."""
    for page in snapshot.pages(_MANIFESTS, (BYTES,)):
        for (key,) in page:
            yield bytes(key[1:])


def _is_setting(row: Row, places: dict[str, int]) -> bool:
    return not str(row[places["key"]]).startswith(_OWN_SETTINGS)


def _is_hold(row: Row, places: dict[str, int]) -> bool:
    return bool(row[places["repository_id"]])


def _is_token(row: Row, places: dict[str, int]) -> bool:
    return bool(row[places["kind"]] != "session")


def _is_job(row: Row, places: dict[str, int]) -> bool:
    return row[places["state"]] not in ("done", "cancelled")


_BELONGS: dict[str, Callable[[Row, dict[str, int]], bool]] = {
    schema.setting.name: _is_setting,
    schema.hold.name: _is_hold,
    jobs_schema.job.name: _is_job,
    token.name: _is_token,
}
