"""A commit that fails: nobody of its batch is told otherwise, and the next one works."""

import json
import subprocess
import sys
from pathlib import Path

from contract.conftest import OpenDatabase

# In a process of its own: the limit on the size of files holds for all that it writes.
SCRIPT = """
import asyncio, json, resource, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from contract.test_database import PUT, get, put
from moorage.db.sqlite import SqliteDatabase
from moorage.errors import Unavailable

async def body():
    directory = Path(sys.argv[1])
    db = SqliteDatabase(directory)
    await db.open()
    await put(db, "before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (directory / "moorage.db-wal").stat().st_size  # the next commit makes it grow
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    failed = await asyncio.gather(
        *(put(db, f"k{n}", "x" * 9_000) for n in range(5)), return_exceptions=True
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await put(db, "after")
    await db.close()
    again = SqliteDatabase(directory)
    await again.open()
    names = ["before", "after", *(f"k{n}" for n in range(5))]
    there = [name for name in names if await get(again, name) is not None]
    await again.close()
    unavailable = [isinstance(each, Unavailable) for each in failed]
    print(json.dumps({"unavailable": unavailable, "there": there}))

asyncio.run(body())
"""


def test_a_failed_commit_is_everybodys(embedded: OpenDatabase) -> None:
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(embedded.directory), tests],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {"unavailable": [True] * 5, "there": ["before", "after"]}
