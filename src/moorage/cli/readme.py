"""`moorage repo readme`: what a repository says of itself at length."""

import sys
from pathlib import Path

import click

from moorage.cli.client import Client, client_command
from moorage.cli.complete import repositories
from moorage.cli.output import for_terminal
from moorage.cli.reference import REFERENCE
from moorage.cli.sections import Group
from moorage.client.operations.about import About, NewAbout, get_about, put_about
from moorage.errors import Refused

_MOST_BYTES = 64 << 10


@click.group(cls=Group)
def readme() -> None:
    """Manage the README of a repository, in Markdown.

    \b
    moorage repo readme push web/shop README.md
    moorage repo readme show web/shop
    """


@readme.command("show")
@click.argument("name", type=REFERENCE, shell_complete=repositories)
@client_command
def readme_show(client: Client, name: str) -> None:
    """Print the README as it was given."""
    found = get_about(client.api, name)
    if client.output.is_document:
        client.output.done("", found)
    else:
        click.echo(for_terminal(found["readme"]), nl=False)


@readme.command("push")
@click.argument("name", type=REFERENCE, shell_complete=repositories)
@click.argument("source", metavar="FILE", default="README.md")
@client_command
def readme_push(client: Client, name: str, source: str) -> None:
    """Set the README from a file; - is standard input."""
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{source} can't be read.", why=str(error), exit_code=2) from error
    if len(text.encode()) > _MOST_BYTES:
        raise Refused(
            f"{source} is too long.", why="A README has at most 65,536 bytes.", exit_code=2
        )
    made = change_about(client, name, readme=text)
    client.output.done(f"{name} has this README.", made)


@readme.command("clear")
@click.argument("name", type=REFERENCE, shell_complete=repositories)
@client_command
def readme_clear(client: Client, name: str) -> None:
    """Remove the README."""
    client.output.done(f"{name} has no README.", change_about(client, name, readme=""))


def change_about(client: Client, name: str, **changes: str) -> About:
    """Change a part of what a repository is about, unless somebody else does at the same time."""
    found = get_about(client.api, name)
    document: NewAbout = {
        "description": changes.get("description", found["description"]),
        "readme": changes.get("readme", found["readme"]),
    }
    return put_about(client.api, name, document, match=str(found["version"]))
