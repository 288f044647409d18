"""`moorage config`: the settings, one by one and all of them, and what stands in front."""

from pathlib import Path
from typing import Any

import click

from moorage.cli.meanings import MEANINGS
from moorage.cli.options import load_settings, settings_options
from moorage.cli.proxy import Front, write
from moorage.cli.sections import Group
from moorage.cli.settings import check, defaults, explain, schema, show


def _keys(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    return [key for key in MEANINGS if key.startswith(begun)]


@click.group(cls=Group)
def config() -> None:
    """Look at the settings.

    \b
    moorage config show --origin
    moorage config explain limits.free_bytes
    moorage config proxy nginx > /etc/nginx/conf.d/moorage.conf
    """


@config.command("check")
@settings_options
def config_check(file: Path | None, **flags: Any) -> None:
    """Say whether the settings are usable; exit 2 if not."""
    check(load_settings(file, **flags))


@config.command("show")
@click.option("--origin", is_flag=True, help="Also say where each value comes from.")
@settings_options
def config_show(file: Path | None, *, origin: bool, **flags: Any) -> None:
    """Print every setting with its value."""
    show(load_settings(file, **flags), origin=origin)


@config.command("explain")
@click.argument(
    "key", shell_complete=lambda _, __, begun: [k for k in MEANINGS if k.startswith(begun)]
)
@settings_options
def config_explain(file: Path | None, key: str, **flags: Any) -> None:
    """Say what a setting means, what it takes, and what it is here; of a table, all of its own."""
    explain(key, load_settings(file, **flags))


@config.command("defaults")
def config_defaults() -> None:
    """Print a file with every setting as it is where nothing is said of it, and what it means."""
    defaults()


@config.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of the file, for editors that complete and check it."""
    schema()


@config.command("proxy")
@click.argument("program", type=click.Choice(["nginx", "haproxy"]))
@click.option(
    "--replica", "replicas", multiple=True, help="host:port or unix:path of a server; repeatable."
)
@click.option("--server-name", default="", help="The host name that clients use.")
@click.option("--bind", default="", help="Where the proxy listens; :80, with a certificate :443.")
@click.option("--cert", default="", help="The proxy's certificate, PEM; for HAProxy with its key.")
@click.option("--key", default="", help="Its key, PEM, for nginx.")
@click.option(
    "--user", default="haproxy", show_default=True, help="HAProxy's user; '' if it is not root's."
)
@settings_options
def config_proxy(file: Path | None, **flags: Any) -> None:
    """Print a configuration for the proxy in front of one server or of several."""
    front = Front(**{name: flags.pop(name) for name in Front.__struct_fields__})
    write(load_settings(file, **flags).config, front)
