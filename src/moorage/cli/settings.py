"""`moorage config` and `moorage version`."""

import os
import platform
from importlib.metadata import version

import apsw
import click

from moorage import __version__
from moorage.config import SYSTEM_FILE, Loaded, flatten, written
from moorage.errors import Refused
from moorage.web.listen import parse_address

_STANDS_ON = ("aiohttp", "msgspec", "sqlalchemy", "apsw", "alembic", "structlog")


def check(loaded: Loaded) -> None:
    """Say that the settings are usable, and which those are; loading has refused them otherwise."""
    for address in loaded.config.listen:
        parse_address(address)
    changed = sum(origin != "default" for origin in loaded.origins.values())
    click.echo(f"The settings are usable; {changed} of {len(loaded.origins)} are not the default.")
    if loaded.file is not None:
        click.echo(f"They are those of {loaded.file}, the environment and the options.")
        return
    click.echo(
        "They are those of the environment and the options: there is no file. --config and"
        f" MOORAGE_CONFIG name none, and {SYSTEM_FILE} is not there."
    )


def require_one_registry(loaded: Loaded) -> Loaded:
    """Return the settings, if they don't name a directory here and a database in their file.

    Whoever names a directory to try something in it would else join the registry of the file, with
    none of its blobs.

    Raises:
        Refused: they do.
    """
    origins = loaded.origins
    is_of_file = origins["database"] not in ("default", "flag") and origins["database"][0] != "$"
    if loaded.config.database and is_of_file and origins["data"] == "flag":
        directory = loaded.config.data
        raise Refused(
            f"--data names {directory}, and {origins['database']} names a database elsewhere.",
            why="With both this would be a part of the registry that has that database, and not"
            " one of its own.",
            do=f"For one of its own in {directory}, leave the file out: --config {os.devnull}."
            " For that registry leave --data out; where its blobs are in a directory, name that"
            " as `data` in the file.",
            exit_code=2,
        )
    return loaded


def show(loaded: Loaded, *, origin: bool) -> None:
    """Print each key with its value, as TOML would write it, and where it came from."""
    rows = [(key, written(value)) for key, value in flatten(loaded.config)]
    width = max(len(f"{key} = {value}") for key, value in rows)
    for key, value in rows:
        line = f"{key} = {value}"
        click.echo(f"{line:<{width}}  # {loaded.origins[key]}" if origin else line)


def versions() -> None:
    """Print the program's version and those of what it stands on."""
    click.echo(f"moorage {__version__}")
    click.echo(f"python {platform.python_version()}")
    for name in _STANDS_ON:
        click.echo(f"{name} {version(name)}")
    click.echo(f"sqlite {apsw.sqlite_lib_version()}")
