"""A release and the one before it on one database.

There is no release yet whose schema is another. So the one before is this program made to know
schema 2 only: it has the steps up to 0002, and it does not tell the others that it is there, which
came with 0003. What that proves is that its version check takes a database of schema 3, and that
neither of the two disturbs what the other writes; not that some other program would do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from fleet import DATABASE, Fleet
from process import Server
from registry import Registry

ROOT = Path(__file__).parents[2]
MIGRATIONS = ROOT / "src" / "moorage" / "db" / "migrations"
VERSION = "SELECT value FROM setting WHERE key = 'schema.version'"
# What is pushed by tag and by digest there, once, again and wrongly.
PUSHES = ("tests/http/test_manifest_push.py", "-k", "put_by or put_again or every_valid_tag")

BEFORE = """
import pathlib, sys
from moorage.db import schema
schema.SCHEMA_VERSION = 2
from moorage.db import migrate
migrate._SCRIPTS = pathlib.Path(sys.argv.pop(1))
from moorage.registry import replicas

async def keep(self):
    pass

replicas.Presence.keep = keep
from moorage.cli.main import main
main()
"""


class ServerBefore(Server):
    """A server that knows schema 2 only, with the steps in a directory of its own."""

    steps: Path

    @property
    def command(self) -> list[str]:
        """The command line."""
        mine = super().command
        at = mine.index("moorage")
        return [mine[0], "-c", BEFORE, str(self.steps), *mine[at + 1 :]]


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """Return the directory of migrations as it was before step 0003."""
    made = tmp_path / "migrations"
    (made / "versions").mkdir(parents=True)
    for path in MIGRATIONS.iterdir():
        if path.is_file():
            (made / path.name).write_bytes(path.read_bytes())
    for number in ("0001", "0002"):
        for path in (MIGRATIONS / "versions").glob(f"{number}*.py"):
            (made / "versions" / path.name).write_bytes(path.read_bytes())
    return made


def push_basics(registry: Registry, credentials: tuple[str, str] | None = None) -> None:
    """Run the suite's basic pushes against a server."""
    user = "{}:{}@".format(*credentials) if credentials else ""
    command = [sys.executable, "-m", "pytest", "-q", *PUSHES]
    command += ["--registry", f"http://{user}{registry.authority}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3_000:]


def everything(registry: Registry) -> dict[str, dict[str, str]]:
    """Return the digests of all tags of all repositories."""
    found: dict[str, dict[str, str]] = {}
    names = registry.get("/v2/_catalog?n=10000").expect(200).json()["repositories"]
    for name in names:
        repository = registry.repository(name)
        found[name] = {tag: repository.tagged(tag) or "" for tag in repository.tags()}
    return found


def test_side_by_side_on_postgres(fleet: Fleet, steps: Path, tmp_path: Path) -> None:
    """Both push to one registry, and each serves all that the other was given."""
    before = ServerBefore(tmp_path / "before" / "data", env=fleet.environment(), workers=1)
    before.steps = steps
    with before:
        pair = [Registry(each.url, fleet.credentials) for each in (before, fleet.servers[0])]
        for registry in pair:
            push_basics(registry, fleet.credentials)
        seen, also = (everything(registry) for registry in pair)
    assert seen == also
    assert sum(map(len, seen.values())) >= 18
    assert fleet.database.execute(VERSION, database=DATABASE) == [("3",)]
    assert "Traceback" not in before.stderr_tail(10_000)


@pytest.mark.on("sqlite")
def test_one_after_the_other_on_a_file(
    server: Callable[..., Server], steps: Path, tmp_path: Path
) -> None:
    """Two servers may not share a data directory: the one before takes it over, and gives it back.

    It leaves the schema as it found it.
    """
    data = tmp_path / "data"
    current = server(data=data)
    push_basics(Registry(current.url))
    first = everything(Registry(current.url))
    current.stop()
    before = ServerBefore(data)
    before.steps = steps
    with before:
        assert everything(Registry(before.url)) == first
        push_basics(Registry(before.url))
        second = everything(Registry(before.url))
        assert before.stop() == 0
    connection = apsw.Connection(str(data / "moorage.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute(VERSION).fetchall() == [("3",)]
    connection.close()
    current.start()
    assert everything(Registry(current.url)) == second
    assert first.items() <= second.items()
    assert len(second) > len(first)


def test_the_one_before_knows_less(steps: Path, tmp_path: Path) -> None:
    """On a new file it makes schema 2, without the table: it is what this file says it is."""
    before = ServerBefore(tmp_path / "data")
    before.steps = steps
    with before:
        Registry(before.url).repository().push_image("latest")
    connection = apsw.Connection(str(before.data / "moorage.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute(VERSION).fetchall() == [("2",)]
    assert not connection.table_exists(None, "replica")
    connection.close()
