"""The options that choose settings, and the settings that they choose."""

# ruff: noqa: PLC0415

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

if TYPE_CHECKING:
    from moorage.config import Loaded

How = Literal["auto", "json", "none"]
Command = TypeVar("Command", bound=Callable[..., Any])


def settings_options(command: Command) -> Command:
    """Add the options that choose settings to a command."""
    for option in (
        click.option("--config", "file", type=click.Path(path_type=Path), help="A TOML file."),
        click.option("--data", help="The data directory."),
        click.option("--database", help="PostgreSQL, as postgresql://user@host/name."),
        click.option("--storage", help="An object store, as s3://bucket/prefix."),
        click.option(
            "--listen", multiple=True, help="host:port, [v6]:port, :port or unix:path; repeatable."
        ),
        click.option("--url", help="The address that clients use, as https://registry.example."),
        click.option("--workers", type=int, help="Serving processes; 0 is one for each core."),
        click.option(
            "--allow-sparse",
            type=click.Choice(["never", "indexes", "always"]),
            help="What may lack the content that it names.",
        ),
        click.option("--tls-cert", "tls_cert", help="A certificate, PEM."),
        click.option("--tls-key", "tls_key", help="Its key, PEM."),
    ):
        command = option(command)
    return command


def load_settings(file: Path | None, **flags: Any) -> "Loaded":
    """Return the settings that these options choose, over those of the environment and the file.

    Raises:
        Refused: they can't be used.
    """
    from moorage.config import find_file, load

    renamed = {key.replace("tls_", "tls."): value for key, value in flags.items()}
    renamed["listen"] = list(flags.get("listen") or ()) or None
    return load(find_file(file, os.environ), os.environ, renamed)


def progress_option(command: Command) -> Command:
    """Add the option that says how a long command tells how far it is."""
    return click.option(
        "--progress",
        type=click.Choice(["auto", "json", "none"]),
        default="auto",
        help="How to say how far it is; json is a document a line.",
    )(command)
