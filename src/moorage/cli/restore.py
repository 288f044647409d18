"""`moorage restore`: a registry of a backup, on a machine that has none."""

import asyncio
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from moorage.app import (
    blob_store,
    load_backup,
    opened,
    prepare,
    prepare_store,
    restore_state,
    schema_state,
)
from moorage.auth.chain import PublicKey
from moorage.blobs.vault import TABLES, Vault
from moorage.blobs.vault_rows import Rows
from moorage.cli.backup import choose, operator, read_key, run
from moorage.cli.interrupted import going_on
from moorage.cli.lock import DataLock
from moorage.cli.progress import Progress
from moorage.clock import SystemClock
from moorage.config import Config
from moorage.db.loading import Load, State, require_known
from moorage.errors import Refused
from moorage.model.backup import Credential
from moorage.registry.kept import Kept, check_files
from moorage.registry.proof import time_of
from moorage.registry.recovery import Recovery, Restored, Target, require_empty


def restore(
    config: Config, path: Path, key_file: Path | None, progress: Progress, *, as_json: bool
) -> None:
    """Restore the backup, or the youngest of a directory, to where the settings say.

    Raises:
        Refused: the backup is damaged, or not signed by the key; what the settings name is not
            empty, or in use; or the backup lacks bytes: then all else is there, and the exit code
            is 7.
    """
    vault, chosen = choose(path)
    require_known(chosen.manifest.schema)
    key = read_key(key_file) if key_file is not None else None
    again = going_on("Run it again: it goes on where it was.")
    with again, vault.locked(), _alone(config):
        prepare_store(config)
        state = _begun(config, chosen)
        _require_whole(vault, chosen, key)
        if state is None:
            run(_require_empty(config))
            _load(config, vault, chosen)
        progress.say("The metadata are there. The objects follow.")
        prepare(config, restoring=True)
        restored = run(_bring(config, vault, chosen, progress))
    if as_json:
        told = msgspec.to_builtins(restored)
        told |= {"backup": chosen.manifest.id, "taken_at": time_of(chosen.manifest.taken_at)}
        click.echo(json.dumps(told))
    else:
        _report(chosen, restored)
    if restored.lost:
        raise Refused(
            f"{len(restored.lost)} blobs are not in the backup, or not whole there.",
            why=f"One of them is {restored.lost[0]}. They are answered as absent.",
            do="Push them again: that heals them.",
            exit_code=7,
        )


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    """Keep every server away from the data directory, where there is one."""
    lock = DataLock.acquire(config.directory) if config.uses_directory else None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _begun(config: Config, chosen: Kept) -> State | None:
    """Return how far this very restore has come already, None if it begins now.

    Raises:
        Refused: the database is another registry's, or another backup's.
    """
    state = restore_state(config)
    where = "The database" if config.database else str(config.directory)
    if state is None and not schema_state(config).found:
        return None
    if state is not None and not state.done and state.manifest == chosen.digest:
        return state
    begun = state is not None and not state.done
    raise Refused(
        f"{where} is not empty.",
        why="The restore of another backup has begun there." if begun else "It has a registry.",
        do="Name an empty place: a restore mixes with nothing, and removes nothing.",
        exit_code=9,
    )


def _require_whole(vault: Vault, chosen: Kept, key: PublicKey | None) -> None:
    problems = check_files(vault, chosen, key)
    if problems:
        raise Refused(
            f"The backup {chosen.manifest.id} is damaged.",
            why=f"{problems[0][0].upper()}{problems[0][1:]}.",
            do="Restore another one: `moorage backup list` shows what there is.",
            exit_code=7,
        )


async def _require_empty(config: Config) -> None:
    blobs = blob_store(config)
    try:
        await require_empty(blobs)
    finally:
        await blobs.close()


def _load(config: Config, vault: Vault, chosen: Kept) -> None:
    manifest = chosen.manifest

    def tables() -> Iterator[Rows]:
        for each in manifest.tables:
            with Rows(vault.directory(manifest.id) / TABLES / f"{each.name}.jsonl.gz") as rows:
                yield rows

    load = Load(
        manifest.schema,
        tables(),
        manifest.counters,
        State(str(chosen.digest), done=False),
        SystemClock().now(),
    )
    run(asyncio.to_thread(load_backup, config, load))


async def _bring(config: Config, vault: Vault, chosen: Kept, progress: Progress) -> Restored:
    blobs = blob_store(config)
    async with opened(config) as (db, clock):
        try:
            target = Target(db, clock, blobs)
            recovery = Recovery(vault, chosen, target, operator(), progress.tell)
            await recovery.bring()
            return await recovery.finish(platform.node())
        finally:
            progress.end()
            await blobs.close()


def _report(chosen: Kept, restored: Restored) -> None:
    at = time_of(chosen.manifest.taken_at)
    click.echo(
        f"Restored as of {at}: {restored.objects} objects, {restored.bytes} bytes, every one "
        "verified by its digest."
    )
    click.echo("Everybody signs in again: sessions, refresh tokens and links have ended, and all")
    click.echo("that was signed by the registry's old keys is refused.")
    click.echo("Nothing is removed until you say `moorage gc resume`.")
    if not restored.credentials:
        return
    click.echo(f"These let somebody in as of {at}. Which of them were ended since, the backup")
    click.echo("can't know: end those again.")
    for each in restored.credentials:
        click.echo(f"  {_told(each)}")


def _told(each: Credential) -> str:
    parts = [each.kind, each.owner, each.name, each.mark and f"({each.mark}…)"]
    until = f"until {time_of(each.expires_at)}" if each.expires_at else ""
    return " ".join(part for part in (*parts, until) if part)
