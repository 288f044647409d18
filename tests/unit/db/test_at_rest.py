"""The statements of a server at rest: compiled before its processes are forked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import asyncio, sys
from pathlib import Path
import moorage.cli.serve
from moorage import worker
from moorage.app import build, prepare
from moorage.config import load
from moorage.db import at_rest, engine

compiled = []
plain = engine.Query._compile
def compile_and_tell(query, dialect):
    compiled.append(query.title)
    plain(query, dialect)
engine.Query._compile = compile_and_tell

WAITING = engine.Query("test", engine.sa.text("SELECT count(*) FROM job WHERE state <> 'done'"))
RUN = engine.Query("test", engine.sa.text("SELECT count(*) FROM job WHERE state = 'done'"))
async def count(s, query):
    return (await s.db.read(lambda tx: tx.one(query)))[0]

async def rest(config, secrets):
    s = await build(config, secrets, "jobs")
    working = asyncio.create_task(worker.run(s, asyncio.Event()))
    while await count(s, WAITING) or await count(s, RUN) < 10:
        await asyncio.sleep(0.2)
    working.cancel()

config = load(None, {}, {"data": sys.argv[1]}).config
secrets = prepare(config)
at_rest.compile_at_rest("sqlite")
del compiled[:]
asyncio.run(asyncio.wait_for(rest(config, secrets), 60))
print(*sorted(set(compiled) - {"test"}))
"""


def test_all_of_a_first_rest_are_among_them(tmp_path: Path) -> None:
    """All jobs that are due on an empty registry run without compiling a statement."""
    script = [sys.executable, "-c", _SCRIPT, str(tmp_path / "data")]
    assert subprocess.check_output(script, text=True).split() == []
