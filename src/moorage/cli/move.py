"""`moorage move`: an embedded registry becomes a fleet, beside the server that still answers."""

import asyncio

import click
import msgspec

from moorage.app import blob_store, database, move_state, prepare
from moorage.cli.absent import no_registry
from moorage.cli.interrupted import going_on
from moorage.cli.progress import Progress
from moorage.config import Config
from moorage.db.sqlite import freeze
from moorage.errors import Refused
from moorage.registry.move import DONE, End, Move, Moved


def move(config: Config, progress: Progress, *, abort: bool) -> None:
    """Move the registry in the data directory to the settings' database and store.

    May be interrupted at any time and run again. With `abort`, the old registry takes pushes again.

    Raises:
        Refused: there is nothing to move, or nowhere to, or both ends differ afterwards.
    """
    if not (config.directory / "moorage.db").exists():
        raise no_registry(
            config.directory, "Give --data the directory of the registry that is to be moved."
        )
    if abort:
        _abort(config)
        return
    if not config.database:
        raise Refused(
            "There is no database to move to.",
            why="The setting database is empty.",
            do="Give --database postgresql://… and, for the blobs too, --storage s3://…",
            exit_code=2,
        )
    again = "Run it again: it goes on where it was. --abort lets the old registry take pushes."
    with going_on(again):
        moved = asyncio.run(_move(config, progress))
    _report(config, moved)


def _abort(config: Config) -> None:
    if config.database and move_state(config) == DONE:
        raise Refused(
            "The move has ended.",
            why="The new registry may have taken pushes by now, which the old one would lack.",
            do="Go on with the new one. To go back all the same, stop it and leave --database out.",
        )
    freeze(config.directory, frozen=False)
    click.echo("The registry takes pushes again. The next move brings the copy up to date.")


async def _move(config: Config, progress: Progress) -> Moved:
    embedded = msgspec.structs.replace(config, database="", storage="")
    await asyncio.to_thread(prepare, config, moving=True)
    source = End(database(embedded)[0], blob_store(embedded))
    target = End(database(config)[0], blob_store(config))
    for end in (source, target):
        await end.db.open()
    try:
        work = Move(source, target, progress.tell, bytes_stay=not config.storage)
        await work.begin()
        await work.copy_blobs()
        progress.say("The blobs are there. From here on the old registry refuses pushes;")
        progress.say("pulls go on. `moorage move --abort` would let it take pushes again.")
        freeze(config.directory, frozen=True)
        return await work.finish()
    finally:
        progress.end()
        for end in (source, target):
            await end.db.close()
            await end.blobs.close()


def _report(config: Config, moved: Moved) -> None:
    rows = moved.rows
    click.echo(
        f"Moved: {rows['repository']} repositories, {rows['tag']} tags, {rows['manifest']} "
        f"manifests, {rows['blob_digest']} blob digests; every row compared, every blob verified."
    )
    for digest in moved.lost:
        click.echo(f"Damaged where it was, and absent now until it is pushed again: {digest}")
    click.echo(f"Next: stop the server on {config.directory} and start it with the same")
    click.echo("--database and --storage. Keep the old directory until you trust the new one.")
