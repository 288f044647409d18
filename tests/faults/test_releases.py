"""A release and the one after it on one database.

There is no release yet, and the one after the first is not written. So it is this program with one
step more, which does what a step may: a table, and a column with a default. What that proves is
that this program's version check takes a database of a later schema that lets it, and that neither
of the two disturbs what the other writes; not that some other program would do.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from fleet import DATABASE, Fleet
from moorage.db.schema import SCHEMA_VERSION
from process import Server
from registry import Registry

# Each runs a part of the HTTP suite, twice, beside servers of its own.
pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).parents[2]
MIGRATIONS = ROOT / "src" / "moorage" / "db" / "migrations"
VERSION = "SELECT value FROM setting WHERE key = 'schema.version'"
# What is pushed by tag and by digest there, once, again and wrongly.
PUSHES = ("tests/http/test_manifest_push.py", "-k", "put_by or put_again or every_valid_tag")

LATER = SCHEMA_VERSION + 1
STEP = f"""
import sqlalchemy as sa
from alembic import op

revision = "{LATER:04}"
down_revision = "{SCHEMA_VERSION:04}"


def upgrade() -> None:
    op.create_table("later", sa.Column("id", sa.BigInteger(), primary_key=True))
    op.add_column(
        "repository", sa.Column("later", sa.BigInteger(), server_default="0", nullable=False)
    )
"""
AFTER = f"""
import pathlib, sys
from moorage.db import schema
schema.SCHEMA_VERSION = {LATER}
from moorage.db import migrate
migrate._SCRIPTS = pathlib.Path(sys.argv.pop(1))
from moorage.cli.main import main
main()
"""


class ServerAfter(Server):
    """A server that knows one schema more, with the steps in a directory of its own."""

    steps: Path

    @property
    def command(self) -> list[str]:
        """The command line."""
        mine = super().command
        at = mine.index("moorage")
        return [mine[0], "-c", AFTER, str(self.steps), *mine[at + 1 :]]


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """Return the directory of migrations with one step more."""
    made = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, made, ignore=shutil.ignore_patterns("__pycache__"))
    (made / "versions" / f"{LATER:04}_later.py").write_text(STEP)
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
    """Both push to one registry, and each serves all that the other was given.

    The one before runs already when the schema changes, and starts on what has become of it.
    """
    after = ServerAfter(tmp_path / "after" / "data", env=fleet.environment(), workers=1)
    after.steps = steps
    with after:
        assert fleet.database.execute(VERSION, database=DATABASE) == [(str(LATER),)]
        fleet.servers[1].stop()
        fleet.servers[1].start()
        servers = (after, *fleet.servers[:2])
        registries = [Registry(each.url, fleet.credentials) for each in servers]
        for registry in registries:
            push_basics(registry, fleet.credentials)
        seen = [everything(registry) for registry in registries]
    assert seen[0] == seen[1] == seen[2]
    assert sum(map(len, seen[0].values())) >= 27
    assert fleet.database.execute(VERSION, database=DATABASE) == [(str(LATER),)]
    assert all("Traceback" not in each.stderr_tail(10_000) for each in servers)


@pytest.mark.on("sqlite")
def test_one_after_the_other_on_a_file(
    server: Callable[..., Server], steps: Path, tmp_path: Path
) -> None:
    """Two servers may not share a data directory: the one after takes it over, and gives it back.

    The one before leaves the schema as it finds it.
    """
    data = tmp_path / "data"
    current = server(data=data)
    push_basics(Registry(current.url))
    first = everything(Registry(current.url))
    current.stop()
    after = ServerAfter(data)
    after.steps = steps
    with after:
        assert everything(Registry(after.url)) == first
        push_basics(Registry(after.url))
        second = everything(Registry(after.url))
        assert after.stop() == 0
    current.start()
    assert everything(Registry(current.url)) == second
    push_basics(Registry(current.url))
    third = everything(Registry(current.url))
    connection = apsw.Connection(str(data / "moorage.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute(VERSION).fetchall() == [(str(LATER),)]
    assert connection.table_exists(None, "later")
    connection.close()
    assert first.items() <= second.items() <= third.items()
    assert len(first) < len(second) < len(third)
