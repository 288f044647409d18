"""`moorage backup`: made, listed, verified and pruned, on the server's host beside the server."""

import asyncio
import json
import os
import platform
import pwd
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from moorage.app import blob_store, opened, restore_state, schema_state, snapshot
from moorage.auth.chain import PublicKey
from moorage.blobs.vault import Vault
from moorage.cli.absent import no_registry
from moorage.cli.interrupted import going_on
from moorage.cli.progress import Progress
from moorage.config import Config
from moorage.db import backups as rows
from moorage.db.engine import Tx
from moorage.errors import DigestInvalid, Refused, RegistryError
from moorage.model.artifacts import TagChange
from moorage.oci.digest import Digest
from moorage.registry import kept
from moorage.registry.backup import Backup, Made, Source
from moorage.registry.kept import Kept
from moorage.registry.move import Step
from moorage.registry.proof import time_of

Value = TypeVar("Value")
_MIB = 1 << 20


def create(config: Config, directory: Path, progress: Progress, *, as_json: bool) -> None:
    """Take a backup into a directory of backups, which is made if it is not there.

    Raises:
        Refused: there is no registry, the directory can't be used, or some bytes were damaged
            where they were: then the backup is there, without them, and the exit code is 7.
    """
    require_registry(config)
    vault = Vault(directory.absolute())
    vault.make()
    with vault.locked(), going_on("Run it again: what is there already is not copied again."):
        made = run(_create(config, vault, progress))
    progress.end()
    told = _document(Kept(made.manifest, made.digest))
    told |= {"copied": made.copied, "copied_bytes": made.copied_bytes}
    if as_json:
        click.echo(json.dumps(told))
    else:
        _tell_made(vault, made)
    if made.manifest.lost:
        raise Refused(
            f"{len(made.manifest.lost)} blobs were damaged or gone, and are not in the backup.",
            why=f"One of them is {made.manifest.lost[0]}; its manifest lists all.",
            do="Push them again: that heals them. Then make another backup.",
            exit_code=7,
        )


async def _create(config: Config, vault: Vault, progress: Progress) -> Made:
    blobs = blob_store(config)
    async with opened(config) as (db, clock):
        try:
            source = Source(db, clock, blobs, lambda file: snapshot(config, file))
            return await Backup(source, vault, platform.node(), operator(), progress.tell).make()
        finally:
            progress.end()
            await blobs.close()


def _tell_made(vault: Vault, made: Made) -> None:
    manifest = made.manifest
    click.echo(f"Made: {vault.directory(manifest.id)}")
    click.echo(
        f"{manifest.objects.count} objects, {manifest.bytes / _MIB:.1f} MiB, of which"
        f" {made.copied} with {made.copied_bytes / _MIB:.1f} MiB were new;"
        f" {manifest.manifests.count} manifests."
    )
    click.echo(f"Its manifest is {made.digest}.")


def list_kept(directory: Path, holding: str, *, as_json: bool) -> None:
    """List the complete backups in a directory, the youngest first; of a digest, what holds it.

    Raises:
        Refused: there are none, or one can't be read.
    """
    vault, _ = kept.find(directory)
    found = kept.list_kept(vault)
    if holding:
        sha256 = kept.key_of(_digest(holding))
        names = kept.holding(vault, sha256)
        found = [each for each in found if each.manifest.id in names]
    if as_json:
        click.echo(json.dumps([_document(each) for each in found]))
        return
    if not found:
        click.echo("There are none.")
    for each in found:
        manifest = each.manifest
        click.echo(
            f"{manifest.id}  {time_of(manifest.taken_at)}  {manifest.objects.count} objects "
            f"{manifest.bytes / _MIB:.1f} MiB"
            f"{f'  {len(manifest.lost)} lost' if manifest.lost else ''}"
        )


def verify(path: Path, key_file: Path | None, progress: Progress, *, as_json: bool) -> None:
    """Read and hash everything that one backup is made of, or all of a directory.

    Raises:
        Refused: something is not as it was written; then the exit code is 7.
    """
    vault, chosen = kept.find(path)
    key = read_key(key_file) if key_file is not None else None
    with vault.locked():
        wanted = [kept.read(vault, each) for each in ([chosen] if chosen else vault.ids())]
        if not wanted:
            raise _none(vault)
        found = run(kept.verify(vault, wanted, key, lambda n: progress.tell(Step("objects", n))))
    progress.end()
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        click.echo(
            f"{len(found.backups)} backups, {found.objects} objects,"
            f" {found.bytes / _MIB:.1f} MiB read."
        )
        for problem in found.problems:
            click.echo(f"{problem.backup}: {problem.what}.", err=True)
    if found.problems:
        raise Refused(
            f"{len(found.problems)} things are not as they were written.",
            do="Make another backup: it brings anew what is missing from the pool.",
            exit_code=7,
        )
    if not as_json:
        click.echo("All of it is as it was written.")


def prune(config: Config, directory: Path, keep: int, *, as_json: bool) -> None:
    """Remove all but the youngest backups of a directory, with the objects only those had.

    Raises:
        Refused: the directory can't be used, or a backup that stays is damaged.
    """
    vault, _ = kept.find(directory)
    with vault.locked():
        try:
            found = kept.prune(vault, keep)
        except OSError as error:
            raise Refused(f"{error.filename} can't be removed.", why=str(error)) from error
        forgotten = not found.backups or _forget(config, vault, found.backups)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        click.echo(
            f"Removed: {len(found.backups)} backups, {found.objects} objects,"
            f" {found.bytes / _MIB:.1f} MiB."
        )
    if not forgotten:
        click.echo(
            "The registry was not told, and names them until its next backup is made there.",
            err=True,
        )


def _forget(config: Config, vault: Vault, gone: tuple[str, ...]) -> bool:
    """Have the registry forget backups that are gone; False where there is none to be told."""

    async def write(tx: Tx) -> None:
        for known in await rows.list_backups_in(tx, platform.node(), str(vault.root), 10_000):
            if known.id in gone:
                await rows.drop_backup(tx, known.id)

    async def forget() -> None:
        async with opened(config) as (db, _):
            await db.write(write)

    try:
        require_registry(config)
        run(forget())
    except Refused:
        return False
    return True


def require_registry(config: Config) -> None:
    """Do nothing where the settings name a registry that this release can back up.

    Raises:
        Refused: there is none, it has another schema, or it is not whole itself.
    """
    state = schema_state(config)
    if not state.found:
        raise no_registry(
            "the database" if config.database else config.directory,
            "Give --data, --database and --storage, or --config, as the server has them.",
            "It has no tables.",
        )
    if state.found != state.wanted:
        raise Refused(
            f"The database has schema {state.found}, this release wants {state.wanted}.",
            why="A backup is of one schema, that of the release that takes it.",
            do="Use the release that the server runs, or run `moorage migrate` first.",
        )
    restored = restore_state(config)
    if restored is not None and not restored.done:
        raise Refused(
            "The registry is being restored from a backup, and that has not ended.",
            do="Run `moorage restore` again until it says that everything is there.",
        )


def run(work: Coroutine[Any, Any, Value]) -> Value:
    """Run a coroutine to its end; a store's failure is told as a command's.

    Raises:
        Refused: the database or the store does not answer.
    """
    try:
        return asyncio.run(work)
    except RegistryError as error:
        raise Refused(
            "The registry's database or store does not answer as it should.",
            why=error.message,
            do="See that both are well (`moorage doctor`), then run this again: it goes on.",
            exit_code=8,
        ) from error


def operator() -> TagChange:
    """Return who runs the command, for the trail."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a user that the machine has no name for
        name = f"uid {uid}"
    return TagChange(f"unix:{name}", "command line", "", cause="backup")


def choose(path: Path) -> tuple[Vault, Kept]:
    """Return the backup that is meant: the one named, or the youngest of a directory.

    Raises:
        Refused: there is none.
    """
    vault, chosen = kept.find(path)
    ids = [chosen] if chosen else vault.ids()
    if not ids:
        raise _none(vault)
    return vault, kept.read(vault, ids[-1])


def _none(vault: Vault) -> Refused:
    return Refused(
        f"There is no complete backup in {vault.root}.",
        do="Make one: `moorage backup create`.",
        exit_code=3,
    )


def _document(found: Kept) -> dict[str, Any]:
    manifest = found.manifest
    return {
        "id": manifest.id,
        "taken_at": time_of(manifest.taken_at),
        "version": manifest.version,
        "schema": manifest.schema,
        "manifest": found.digest,
        "objects": manifest.objects.count,
        "manifests": manifest.manifests.count,
        "bytes": manifest.bytes,
        "lost": list(manifest.lost),
    }


def _digest(text: str) -> Digest:
    try:
        return Digest.parse(text)
    except DigestInvalid as invalid:
        raise Refused(f"{text!r} is no digest.", why=invalid.message, exit_code=2) from invalid


def read_key(path: Path) -> PublicKey:
    """Return the public key of a trail in a file.

    Raises:
        Refused: there is none in it.
    """
    try:
        key = PublicKey.read(path.read_bytes())
    except OSError as error:
        raise Refused(f"{path} can't be read.", why=str(error), exit_code=2) from error
    if key is None:
        raise Refused(
            f"{path} is no key of an audit trail.",
            do="Give --key the file that `moorage audit key` was printed to.",
            exit_code=2,
        )
    return key
