"""`moorage job list`: reads the database beside the running server."""

import asyncio
from datetime import UTC, datetime

import click
import msgspec

from moorage.app import database
from moorage.config import Config
from moorage.db import jobs
from moorage.db.engine import Tx
from moorage.errors import Refused

_NEWEST = 2**62


def list_all(config: Config, limit: int, *, as_json: bool) -> None:
    """Print the newest jobs.

    Raises:
        Refused: there is no database in the data directory.
    """
    if config.is_embedded and not (config.directory / "moorage.db").exists():
        raise Refused(
            f"There is no registry in {config.directory}.",
            why="It has no moorage.db.",
            do="Give --data the directory that the server uses.",
            exit_code=3,
        )
    found = asyncio.run(_read(config, limit))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    click.echo(f"{'ID':>6}  {'NAME':<16}  {'STATE':<8}  {'DUE':<20}  {'TRIES':>5}  ERROR")
    for job in found:
        due = datetime.fromtimestamp(job.run_at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        click.echo(
            f"{job.id:>6}  {job.name:<16}  {job.state:<8}  {due:<20}  {job.attempts:>5}  "
            f"{job.error}"
        )


async def _read(config: Config, limit: int) -> list[jobs.Job]:
    db, _ = database(config)
    await db.open()

    async def read(tx: Tx) -> list[jobs.Job]:
        return await jobs.list_jobs(tx, _NEWEST, limit)

    try:
        return await db.read(read, pages=True)
    finally:
        await db.close()
