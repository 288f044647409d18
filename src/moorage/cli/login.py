"""`moorage login`, `logout` and `whoami`: which registry knows this person, and by what."""

import contextlib
import os
import shutil
import socket
import sys
from datetime import datetime
from pathlib import Path

import click
import msgspec

from moorage.cli.clean import clean
from moorage.cli.client import (
    Client,
    basic,
    bearer,
    client_command,
    is_loopback,
    output_option,
    place_of,
    read_token,
    telling,
)
from moorage.cli.output import Output, confirm
from moorage.cli.sections import Command
from moorage.cli.table import Column
from moorage.client import docker_config
from moorage.client.api import Api, Document, path_of
from moorage.client.hosts import Host, config_directory, put_host, read_hosts, remove_host
from moorage.client.http import Connection, Place
from moorage.client.operations.sessions import end_session
from moorage.client.operations.tokens import create_token, revoke_token
from moorage.client.operations.whoami import Whoami
from moorage.client.operations.whoami import whoami as who_am_i
from moorage.client.problems import ServerRefused, refusal_of
from moorage.errors import Refused

_DAYS = 90
_HELPER = "docker-credential-moorage"
WHOAMI = (
    Column("server", "server"),
    Column("name", "name"),
    Column("kind", "kind"),
    Column("by", "credential"),
    Column("administrator", "administrator"),
    Column("may", "scopes"),
    Column("expires", "expires_at", "time"),
)


@click.command(cls=Command)
@click.argument("host")
@click.option("-u", "--user", help="The account; asked for if it is not given.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--code", default="", help="Of the second factor, if the account has one.")
@click.option("--token-stdin", is_flag=True, help="Read a token from standard input.")
@click.option("--no-docker", is_flag=True, help="Leave docker's configuration as it is.")
@click.option("--insecure", is_flag=True, help="Send the password without encryption.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@output_option
@telling
def login(  # noqa: PLR0913 - options
    output: Output,
    host: str,
    *,
    user: str | None,
    code: str,
    password_stdin: bool,
    token_stdin: bool,
    no_docker: bool,
    insecure: bool,
    yes: bool,
) -> None:
    """Sign in to a registry, here and for docker.

    \b
    moorage login registry.example
    moorage login localhost:5000 --user alice
    moorage login registry.example --token-stdin < token
    """
    directory = config_directory(os.environ)
    known = read_hosts(directory)
    place = place_of(host, known)
    _require_encrypted(place, insecure=insecure)
    is_ours = False
    if token_stdin:
        found = _by_token(place, read_token("-"))
    else:
        name = user or click.prompt("User", err=True)
        password = (
            sys.stdin.readline()
            if password_stdin
            else click.prompt("Password", err=True, hide_input=True)
        )
        found = _by_password(place, name, password.rstrip("\r\n"), code)
        is_ours = found.token != password.strip()  # a token may be given as one, too
    told = _keep(directory, found, is_ours=is_ours)
    _revoke(known.hosts.get(place.name), found)
    output.done(f"Signed in to {place.name} as {found.user}.", told)
    if not no_docker:
        _tell_docker(place.name, yes=yes)


@click.command(cls=Command)
@click.argument("host", required=False)
@output_option
@telling
def logout(output: Output, host: str | None) -> None:
    """Sign out of a registry: its token ends, and is forgotten here.

    \b
    moorage logout
    moorage logout registry.example
    moorage logout localhost:5000
    """
    directory = config_directory(os.environ)
    known = read_hosts(directory)
    found = known.hosts.get(host or known.default)
    if found is None:
        raise Refused(f"Nobody is signed in to {host or 'any registry'} here.", exit_code=3)
    remove_host(directory, found.name)
    _revoke(found, None)
    docker_config.remove_helper(docker_config.config_file(os.environ), found.name)
    output.done(f"Signed out of {found.name}.", {"server": found.name})


@click.command(cls=Command)
@client_command
def whoami(client: Client) -> None:
    """Show who you are to the registry, and by what.

    \b
    moorage whoami
    moorage whoami --server registry.example
    moorage whoami -o json
    """
    client.output.one({"server": client.api.server, **who_am_i(client.api)}, WHOAMI)


def _require_encrypted(place: Place, *, insecure: bool) -> None:
    if place.url.startswith("http://") and not is_loopback(place.name) and not insecure:
        raise Refused(
            f"{place.url} is not encrypted.",
            why="Everybody on the way could read the password.",
            do="Give the server a certificate; or add --insecure where nobody else is on the way.",
            exit_code=2,
        )


def _by_token(place: Place, token: str) -> Host:
    found = who_am_i(Api(Connection(place, bearer(token))))
    _require_somebody(place, found)
    number = found["credential"].partition("token:")[2]
    return Host(place.name, place.url, found["name"], token, number, found["expires_at"] or "")


def _by_password(place: Place, user: str, password: str, code: str) -> Host:
    if password.startswith("mrg_"):
        return _by_token(place, password.strip())
    credentials = _session(place, user, password, code) if code else basic(user, password)
    api = Api(Connection(place, credentials))
    try:
        made = create_token(api, {"name": f"cli on {socket.gethostname()}"[:100], "days": _DAYS})
    except ServerRefused as refused:
        if refused.status == 401 and not code:
            refused.do = "With a second factor, add --code."
        raise
    finally:
        if code:
            with contextlib.suppress(Refused):  # it ends by itself, the token must not be lost
                end_session(api)
    token = made["token"]
    ends = token["expires_at"] or ""
    return Host(place.name, place.url, user, made["secret"], str(token["id"]), ends)


def _session(place: Place, user: str, password: str, code: str) -> dict[str, str]:
    """Return the headers of a page that has signed in with its second factor."""
    asked = msgspec.json.encode({"name": user, "password": password, "code": code})
    found = Connection(place).request("POST", path_of("session"), asked)
    if found.status != 201:
        raise refusal_of(found.status, found.headers, found.body, place.name)
    cookie = found.headers.get("set-cookie", "").partition(";")[0]
    return {"Cookie": cookie, "Origin": place.url}


def _require_somebody(place: Place, found: Whoami) -> None:
    if found.get("kind") not in ("account", "robot"):
        raise Refused(
            f"{place.name} does not know whose token that is.", exit_code=4, do="Make a new one."
        )


def _keep(directory: str, found: Host, *, is_ours: bool) -> Document:
    """Keep a sign-in, and return what is told of it; a token of ours that can't be kept ends.

    Raises:
        Refused: it can't be kept, or is not what it should be.
    """
    is_kept = False
    try:
        told = _told(found)
        put_host(directory, found)
        is_kept = True
    except OSError as error:
        raise Refused(f"{directory} can't be written to.", why=f"{error}.") from error
    finally:
        if is_ours and not is_kept:
            _revoke(found, None)
    return told


def _revoke(old: Host | None, new: Host | None) -> None:
    """End a token that is not used any more; it ends by itself if that can't be done now."""
    if old is None or not old.token_id or (new is not None and new.token == old.token):
        return
    try:
        revoke_token(Api(Connection(Place(url=old.url), bearer(old.token))), old.token_id)
    except Refused as refused:
        click.echo(f"A token could not be ended: {clean(refused.what)}", err=True)


def _told(host: Host) -> Document:
    try:
        ends = datetime.fromisoformat(host.expires_at).isoformat() if host.expires_at else None
    except ValueError as error:
        raise Refused(
            f"{host.name} does not answer as Moorage does.",
            why=f"Its token ends at {host.expires_at!r}, which is no time.",
        ) from error
    return {"server": host.name, "name": host.user, "token_id": host.token_id, "expires_at": ends}


def _tell_docker(host: str, *, yes: bool) -> None:
    path = docker_config.config_file(os.environ)
    if shutil.which(_HELPER) is None:
        click.echo(
            f"docker is not signed in: {_HELPER} is not in $PATH. "
            f"Use docker login -u USER --password-stdin {host} with a token.",
            err=True,
        )
        return
    if docker_config.has_helper(path, host):
        return
    told = f'docker gets to know of it by this in {path}: "credHelpers": {{"{host}": "moorage"}}'
    click.echo(told, err=True)
    if sys.stdin.isatty():
        confirm("Write it?", yes=yes)
    docker_config.put_helper(Path(path), host)
