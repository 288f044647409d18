"""`moorage context`: names for registries, and which one commands speak to."""

import os

import click

from moorage.cli.client import LOCAL, output_option, place_of, telling
from moorage.cli.complete import servers
from moorage.cli.output import Output
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.client.contexts import Contexts, check_name, read_contexts, write_contexts
from moorage.client.hosts import config_directory, read_hosts
from moorage.errors import Refused

CONTEXTS = (
    Column("name", "name"),
    Column("server", "server"),
    Column("current", "current"),
    Column("user", "user"),
    Column("expires", "expires_at", "time", wide=True),
)


@click.group(cls=Group)
def context() -> None:
    """Choose the registry that commands speak to, and give registries names.

    \b
    moorage context list
    moorage context use prod --server registry.example
    moorage context show
    """


@context.command("list")
@output_option
@telling
def context_list(output: Output) -> None:
    """List names of registries, and those that you are signed in to."""
    output.items(_all(), CONTEXTS, None)


@context.command("show")
@output_option
@telling
def context_show(output: Output) -> None:
    """Show the registry that commands speak to."""
    for each in _all():
        if each["current"]:
            output.one(each, CONTEXTS)
            return
    raise Refused(
        "No registry is chosen.",
        why="Commands speak to this host's own.",
        do="Sign in with moorage login HOST, or moorage context use NAME --server HOST.",
        exit_code=3,
    )


@context.command("use")
@click.argument("name", shell_complete=servers)
@click.option("--server", default="", help="HOST, which gets this name.")
@output_option
@telling
def context_use(output: Output, name: str, server: str) -> None:
    """Have commands speak to a registry from now on, by its name or as HOST."""
    directory = config_directory(os.environ)
    known, hosts = read_contexts(directory), read_hosts(directory)
    if server:
        check_name(name)
        found = server if server == LOCAL else place_of(server, hosts).name
        known = Contexts(name, {**known.servers, name: found})
    elif name not in known.servers and name not in hosts.hosts and name != LOCAL:
        known.require_named(name, (LOCAL, *hosts.hosts))
        raise Refused(
            f"There is no context {name!r}.",
            do=f"Sign in to it with moorage login {name}, or say what it is by --server HOST.",
            exit_code=3,
        )
    write_contexts(directory, Contexts(name, known.servers))
    chosen = Contexts(name, known.servers).server_of(name)
    output.done(f"Commands speak to {chosen} from now on.", {"name": name, "server": chosen})


@context.command("remove")
@click.argument("name", shell_complete=servers)
@output_option
@telling
def context_remove(output: Output, name: str) -> None:
    """Forget the name of a registry; who is signed in there stays so."""
    directory = config_directory(os.environ)
    known = read_contexts(directory)
    if name not in known.servers and name != known.current:
        raise Refused(f"There is no context {name!r}.", exit_code=3)
    left = {each: server for each, server in known.servers.items() if each != name}
    write_contexts(directory, Contexts("" if name == known.current else known.current, left))
    output.done(f"{name} is forgotten.")


def _all() -> list[dict[str, object]]:
    directory = config_directory(os.environ)
    known, hosts = read_contexts(directory), read_hosts(directory)
    current = known.current or hosts.default
    unnamed = {name: name for name in hosts.hosts if name not in known.servers.values()}
    found = []
    for name, server in sorted({**unnamed, **known.servers}.items()):
        host = hosts.hosts.get(server)
        found.append(
            {
                "name": name,
                "server": server,
                "current": name == current or (not known.current and server == current),
                "user": host.user if host is not None else None,
                "expires_at": host.expires_at if host is not None else None,
            }
        )
    return found
