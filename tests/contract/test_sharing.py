"""Two processes that write to one embedded database: neither waits for the other's luck."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from contract.conftest import OpenDatabase

FLAT_OUT = """
import asyncio, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from contract.test_database import put
from moorage.db.sqlite import SqliteDatabase
commits = 0
class Observer:
    def committed(self, requests, seconds):
        global commits
        commits += 1
async def body():
    db = SqliteDatabase(Path(sys.argv[1]), Observer())
    await db.open()
    async def writer(n):
        count = 0
        while time.time() < until:
            count += 1
            await put(db, f"{sys.argv[2]}-{n}-{count}")
    print("ready", flush=True)
    until = float(sys.stdin.readline())
    await asyncio.gather(*(writer(n) for n in range(4)))
    print(commits)
    await db.close()
asyncio.run(body())
"""


def test_two_processes_share_fairly(embedded: OpenDatabase) -> None:
    """Two processes writing flat out get at least 40 % of the commits each."""
    tests = str(Path(__file__).parents[1])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", FLAT_OUT, str(embedded.directory), name, tests],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    until = time.time() + 2
    for process in running:
        assert process.stdin is not None
        process.stdin.write(f"{until}\n")
        process.stdin.flush()
    counts = [int(process.communicate(timeout=30)[0]) for process in running]
    assert min(counts) >= 0.4 * sum(counts), counts
