"""Which server a command speaks to, as whom, and how it prints what comes back."""

import ipaddress
import os
import re
import sys
from base64 import b64encode
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
from click.core import ParameterSource

from moorage.cli.absent import no_registry
from moorage.cli.complete import servers
from moorage.cli.output import FORMS, TEMPLATE, Output
from moorage.cli.reference import take_hosts
from moorage.cli.words import patience_of
from moorage.client.api import Api
from moorage.client.contexts import read_contexts
from moorage.client.hosts import Host, Hosts, config_directory, read_hosts
from moorage.client.http import Connection, Place
from moorage.config import find_file, load
from moorage.errors import Refused
from moorage.web.private import find, find_only, is_container, read_address

LOCAL = "local"
_AUTHORITY = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", re.ASCII)


class Client(msgspec.Struct, frozen=True):
    """What a command works with."""

    api: Api
    output: Output
    yes: bool


class Wanted(msgspec.Struct, frozen=True):
    """What the options and the environment say of the server."""

    server: str = ""
    token_file: str = ""
    data: str = ""
    file: str = ""


class _Form(click.Choice[str]):
    """One of the forms, or a template, which may be anything."""

    def __init__(self) -> None:
        super().__init__((*FORMS, f"{TEMPLATE}=TEMPLATE"))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if str(value).startswith(f"{TEMPLATE}="):
            return str(value)
        return super().convert(value, param, ctx)


def client_command(run: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command its client as first argument, and the options that choose it."""
    return _client_command(run, "--config")


def image_command(run: Callable[..., Any]) -> Callable[..., Any]:
    """Do the same for one whose own `--config` is an image's; the file is `--settings` there."""
    return _client_command(run, "--settings")


def _client_command(run: Callable[..., Any], settings: str) -> Callable[..., Any]:
    @wraps(run)
    def command(output: Output, **options: Any) -> None:
        yes, timeout, verbose = (options.pop(name) for name in ("yes", "timeout", "verbose"))
        wanted = Wanted(**{name: options.pop(name) or "" for name in Wanted.__struct_fields__})
        connection = connect(_of_references(wanted, options))
        connection.seconds = patience_of(timeout)
        if verbose:
            connection.told = output.trace
        run(Client(Api(connection), output, yes), **options)

    return with_options(telling(command), settings)


def telling(run: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command its output as first argument, which tells of refusals too."""

    @wraps(run)
    def command(form: str, **options: Any) -> None:
        how = {name: options.pop(name) for name in ("columns", "sort", "no_color", "quiet")}
        output = Output(form, **how)
        try:
            run(output, **options)
        except Refused as refused:
            output.refuse(refused)
            sys.exit(refused.exit_code)

    return command


def with_options(command: Callable[..., Any], settings: str = "--config") -> Callable[..., Any]:
    """Add the options that every command that speaks to a server has."""
    for option in (
        click.option(
            "--server",
            envvar="MOORAGE_SERVER",
            shell_complete=servers,
            help="HOST, a context, or local for this host's own.",
        ),
        click.option("--token-file", envvar="MOORAGE_TOKEN_FILE", help="A file with a token."),
        click.option("--data", help="The data directory of this host's own server."),
        click.option(settings, "file", help="The settings of this host's own server."),
        click.option(
            "--timeout",
            default="30s",
            metavar="TIME",
            help="How long to wait for an answer, as 5s or 2m.",
        ),
        click.option(
            "-v", "--verbose", count=True, help="Say which requests are sent; -vv traces faults."
        ),
        output_option,
        click.option("--yes", is_flag=True, help="Do it without asking."),
    ):
        command = option(command)
    return command


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to print."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but what is asked for."),
        click.option("--no-color", is_flag=True, help="Without colours; $NO_COLOR says so too."),
        click.option("--sort", default="", metavar="[-]COLUMN", help="Sort by it; - is down."),
        click.option("--columns", default="", metavar="A,B", help="Which columns, in this order."),
        click.option("--plain", "form", flag_value="plain", help="The same as -o plain."),
        click.option("--json", "form", flag_value="json", help="The same as -o json."),
        click.option("-o", "--output", "form", type=_Form(), default="table", help="How to print."),
    ):
        command = option(command)
    return command


def dry_run_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option of commands that can say what they would change."""
    return click.option("--dry-run", is_flag=True, help="Only say what would be done.")(command)


def connect(wanted: Wanted) -> Connection:
    """Return a connection to the server that is meant, with what proves who asks.

    Named servers come first, then this host's own where its settings are named, then the context in
    use, then the one signed in to last, then this host's own.

    Raises:
        Refused: there is none, or no credential for it.
    """
    if wanted.server == LOCAL or (not wanted.server and (wanted.data or wanted.file)):
        return _local(wanted)
    directory = config_directory(os.environ)
    contexts, hosts = read_contexts(directory), read_hosts(directory)
    chosen = wanted.server or contexts.current
    server = contexts.server_of(chosen) if chosen else hosts.default
    if server in ("", LOCAL):
        return _local(wanted)
    if chosen:
        contexts.require_named(chosen, (LOCAL, "localhost", *hosts.hosts))
    return _remote(place_of(server, hosts), wanted, hosts)


def _of_references(wanted: Wanted, options: dict[str, Any]) -> Wanted:
    """Return what is wanted where the references among the options name the registry.

    Raises:
        Refused: they name several, or another one than an option does, or a token is not for it.
    """
    context = click.get_current_context()

    @cache
    def known() -> tuple[str, set[str]]:
        """Return the server that is chosen otherwise, and all that are known."""
        directory = config_directory(os.environ)
        contexts, hosts = read_contexts(directory), read_hosts(directory)
        named = contexts.server_of(wanted.server or contexts.current) or hosts.default
        bare = named.rpartition("://")[2].rstrip("/")
        return bare, {*hosts.hosts, *contexts.servers.values(), bare}

    named = take_hosts(context.command.params, options, lambda host: host in known()[1])
    if not named:
        return wanted
    chosen = known()[0]
    by_option = {
        name
        for name in ("server", "token_file", "data", "file")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    others = {chosen} if "server" in by_option else set()
    if "data" in by_option or "file" in by_option:
        others.add("this host's own")
    if len(named | others) > 1:
        raise Refused(
            "One command speaks to one registry.",
            why=f"These are {' and '.join(sorted(named | others))}.",
            exit_code=2,
        )
    (server,) = named
    if server == chosen:
        return wanted  # which may say how it is reached, too
    if wanted.token_file and "token_file" not in by_option:
        raise Refused(
            f"The token in $MOORAGE_TOKEN_FILE is for {chosen or 'another registry'}.",
            do=f"Say that it is for {server}: --token-file {wanted.token_file}.",
            exit_code=2,
        )
    return Wanted(server, wanted.token_file)


def place_of(server: str, hosts: Hosts) -> Place:
    """Return where a server of that name is; loopback names are without TLS, as for docker.

    Raises:
        Refused: it is no name of a server.
    """
    known = hosts.hosts.get(server)
    if known is not None and known.url:
        return Place(url=known.url)
    text = server.rstrip("/")
    if "://" not in text:
        text = f"{'http' if is_loopback(text) else 'https'}://{text}"
    parts = urlsplit(text)
    is_usable = parts.scheme in ("http", "https") and _AUTHORITY.fullmatch(parts.netloc)
    if not is_usable or text != f"{parts.scheme}://{parts.netloc}" or not _has_port(parts.netloc):
        raise Refused(
            f"{server!r} is not a server.", do="Write it as registry.example.", exit_code=2
        )
    return Place(url=f"{parts.scheme}://{parts.netloc}")


def _has_port(authority: str) -> bool:
    """Tell whether the port, if there is one, can be one."""
    port = authority.rpartition("]")[2].partition(":")[2]
    return not port or 0 < int(port) < 65_536


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header for a user name and a password."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    """Return the header for a token."""
    return {"Authorization": f"Bearer {token}"}


def read_token(path: str) -> str:
    """Return the token in a file; `-` is standard input.

    Raises:
        Refused: it can't be read.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} can't be read.", why=str(error), exit_code=2) from error
    return text.strip()


def _remote(place: Place, wanted: Wanted, hosts: Hosts) -> Connection:
    if wanted.token_file:
        return Connection(place, bearer(read_token(wanted.token_file)))
    host: Host | None = hosts.hosts.get(place.name)
    if host is None or not host.token:
        return Connection(place)
    if host.url != place.url:  # in the clear, where it was given encrypted
        raise Refused(
            f"The sign-in at {host.name} is for {host.url}, not {place.url}.",
            do=f"Leave the scheme out: --server {host.name}.",
            exit_code=2,
        )
    return Connection(place, bearer(host.token))


def is_loopback(authority: str) -> bool:
    """Tell whether a host with its port is this machine."""
    host = urlsplit(f"//{authority}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_empty(directory: Path) -> bool:
    """Tell whether there is no registry in the directory; one that can't be looked into may be."""
    try:
        return not (directory / "moorage.db").exists()
    except PermissionError:
        return False


def _local(wanted: Wanted) -> Connection:
    loaded = load(find_file(wanted.file, os.environ), os.environ, {"data": wanted.data or None})
    config = loaded.config
    path = find(config)
    if path is None and {loaded.origins["data"], loaded.origins["database"]} == {"default"}:
        path = find_only()
    if path is not None:
        return Connection(Place(read_address(path.parent), str(path)))
    if wanted.data and config.is_embedded and _is_empty(config.directory):
        raise no_registry(config.directory, "Give --data the directory that the server uses.")
    where = "the database" if config.database else config.directory
    # Who is root already is not to be told so.
    there = (
        "in this container start the server with MOORAGE_ADMIN_SOCKET=on"
        if is_container()
        else "on the server's host run it as root, with --data"
    )
    raise Refused(
        "Nobody is signed in here, and this host's own server has no admin socket for you.",
        why=f"It was looked for as the server of {where}.",
        do=f"Sign in with moorage login HOST; or {there}.",
        exit_code=4,
    )
