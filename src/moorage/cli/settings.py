"""`moorage config` and `moorage version`."""

import difflib
import json
import os
import platform
import re
import textwrap
from importlib.metadata import version
from typing import Any

import apsw
import click
import msgspec

from moorage import __version__
from moorage.cli.meanings import MEANINGS
from moorage.config import PREFIX, SYSTEM_FILE, Config, Loaded, flatten, written
from moorage.errors import Refused
from moorage.web.listen import parse_address

_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_AS_COMMENT: Any = {"initial_indent": "# ", "subsequent_indent": "# "}
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


def explain(key: str, loaded: Loaded) -> None:
    """Print what a setting is about, or each of a table such as `limits`.

    Raises:
        Refused: there is none of that name.
    """
    chosen = [name for name in MEANINGS if name == key or name.startswith(f"{key}.")]
    if not chosen:
        near = difflib.get_close_matches(key, MEANINGS, n=3, cutoff=0.5)
        did_you_mean = f"Did you mean {' or '.join(near)}?" if near else ""
        raise Refused(
            f"There is no setting {key!r}.",
            do=did_you_mean or "`moorage config show` lists all.",
            exit_code=3,
        )
    values, standard = dict(flatten(loaded.config)), dict(flatten(Config()))
    for number, name in enumerate(chosen):
        click.echo(("\n" if number else "") + f"{name}: {_without_links(MEANINGS[name])}")
        click.echo(f"  here     {written(values[name])}, by {loaded.origins[name]}")
        click.echo(f"  default  {written(standard[name])}")
        click.echo(f"  from     ${PREFIX}{name.upper().replace('.', '__')}, or the file")


def defaults() -> None:
    """Print every setting with what it means and its default, as a file that changes nothing."""
    for key, value in flatten(Config()):
        click.echo("\n".join(textwrap.wrap(_without_links(MEANINGS[key]), 98, **_AS_COMMENT)))
        click.echo(f"{key} = {written(value)}\n")


def schema() -> None:
    """Print the JSON Schema of the file of settings, with what each setting means."""
    found = msgspec.json.schema(Config)
    tables = found["$defs"]
    for key, meaning in MEANINGS.items():
        table, _, name = key.rpartition(".")
        owner = tables["Config"]
        if table:
            owner = tables[owner["properties"][table]["$ref"].rpartition("/")[2]]
        owner["properties"][name]["description"] = _without_links(meaning)
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
    click.echo(json.dumps(document, indent=2))


def _without_links(text: str) -> str:
    return _LINK.sub(r"\1", text)


def versions() -> None:
    """Print the program's version and those of what it stands on."""
    click.echo(f"moorage {__version__}")
    click.echo(f"python {platform.python_version()}")
    for name in _STANDS_ON:
        click.echo(f"{name} {version(name)}")
    click.echo(f"sqlite {apsw.sqlite_lib_version()}")
