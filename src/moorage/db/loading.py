"""Rows of a backup into an empty database: all of them in one transaction, or none.

The tables are made as they were when the backup was taken, and the usual steps bring them to this
release's schema afterwards. What the rows say of the place that they come from is changed on the
way: `prepared` has the list.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from moorage.db import snapshot
from moorage.db.collection_runs import PAUSE, Pause
from moorage.db.engine import Row
from moorage.db.schema import SCHEMA_VERSION
from moorage.errors import Refused

RESTORED = "restore.state"
# A blob whose bytes are still to be brought: like one that is lost, it is answered as absent.
COMING = "coming"
_PAGE = 500
_NAME = re.compile(r"[a-z_]+", re.ASCII)


class Table(Protocol):
    """A table of a backup: `header` as in `blobs/vault_rows.py`, then its rows."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """The names of its columns."""
        ...

    @property
    def kinds(self) -> Sequence[str]:
        """What each holds: integer, text or bytes."""
        ...

    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...


class State(msgspec.Struct, frozen=True):
    """How far a restore is: of the backup whose manifest has that digest."""

    manifest: str
    done: bool


class Load(msgspec.Struct, frozen=True):
    """All that goes in: `counters` are the highest ids that were given out."""

    schema: int
    tables: Iterable[Table]
    counters: Mapping[str, int]
    state: State
    now: int


def require_known(schema: int) -> None:
    """Do nothing for a schema that this release can bring to its own.

    Raises:
        Refused: it is newer.
    """
    if schema > SCHEMA_VERSION:
        raise Refused(
            f"The backup has schema {schema}, this release knows {SCHEMA_VERSION}.",
            why="A newer release has made it.",
            do="Restore it by that release, or a later one.",
        )


def marks(load: Load) -> list[tuple[str, str]]:
    """Return the settings that go in with the rows: nothing may be removed, and it is not whole."""
    pause = Pause("the registry was restored from a backup", load.now, 0)
    return [
        (PAUSE, msgspec.json.encode(pause).decode()),
        (RESTORED, msgspec.json.encode(load.state).decode()),
    ]


def prepared(table: Table) -> Iterator[list[Row]]:
    """Yield the rows of a table as they go in, a page at a time.

    Blobs wait for their bytes. A job that was running waits to be run again. Of the settings, the
    pause and how far a restore is are put by the restore itself.

    Raises:
        Refused: the backup has a table or a column that no release has made.
    """
    _require_names(table)
    places = {name: place for place, name in enumerate(table.columns)}
    page: list[Row] = []
    for row in table:
        values = list(row)
        if table.name == "setting" and values[places["key"]] in (PAUSE, RESTORED):
            continue
        if table.name == "blob" and values[places["state"]] == "live":
            values[places["state"]] = COMING
        if table.name == "job" and values[places["state"]] == "running":
            values[places["state"]] = "waiting"
            values[places["lease_until"]] = 0
        page.append(tuple(values))
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _require_names(table: Table) -> None:
    """Names go into statements: none but those of letters, as all of ours are."""
    named = all(_NAME.fullmatch(name) for name in (table.name, *table.columns))
    if named and set(table.kinds) <= {snapshot.INTEGER, snapshot.TEXT, snapshot.BYTES}:
        return
    raise Refused("The backup has a table that no release of Moorage has made.", exit_code=7)
