"""`moorage tag`: the tags of a repository, what they were, and how they came to be so."""

from typing import Any

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import Column
from moorage.cli.words import limit_of, tagged_of, time_of

TAGS = (
    Column("tag", "name"),
    Column("digest", "digest", "digest"),
    Column("since", "since", "time"),
    Column("through", "by.through"),
    Column("by", "by.actor"),
)
MOVES = (
    Column("version", "version"),
    Column("when", "at", "time"),
    Column("from", "before", "digest"),
    Column("to", "after", "digest"),
    Column("through", "by.through"),
    Column("by", "by.actor"),
)


@click.group()
def tag() -> None:
    """Look at tags as they are and were, and undo their moves.

    \b
    moorage tag list web/shop --as-of 2026-09-14
    moorage tag history web/shop:latest
    moorage tag restore web/shop:latest
    """  # noqa: D301 - click's mark for a paragraph that is not re-wrapped


@tag.command("list")
@click.argument("repository")
@click.option("--as-of", default="", help="As they were then: 2026-09-14, or with a time; UTC.")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def tag_list(client: Client, repository: str, as_of: str, limit: str) -> None:
    """List the tags of a repository, as they are or were at some time."""
    query = {"as_of": time_of(as_of)} if as_of else {}
    found = client.api.items("repositories", repository, "-", "tags", **query)
    client.output.items(found, TAGS, limit_of(limit))


@tag.command("history")
@click.argument("reference", metavar="REPOSITORY:TAG")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def tag_history(client: Client, reference: str, limit: str) -> None:
    """List the moves of a tag, newest first."""
    repository, name = tagged_of(reference)
    found = client.api.items("repositories", repository, "-", "tags", name, "history")
    client.output.items(found, MOVES, limit_of(limit))


@tag.command("restore")
@click.argument("reference", metavar="REPOSITORY:TAG")
@click.option("--to", default="", help="A digest or a version of its history; else the last move.")
@client_command
def tag_restore(client: Client, reference: str, to: str) -> None:
    """Have a tag name what it named before; of a deleted one, what it named last."""
    repository, name = tagged_of(reference)
    document: dict[str, Any] = {}
    if to:
        document = {"version": int(to)} if to.isascii() and to.isdigit() else {"digest": to}
    path = ("repositories", repository, "-", "tags", name, "restore")
    made = client.api.send("POST", *path, document=document)
    was = made.get("before") or "nothing"
    client.output.done(f"{reference} is {made.get('digest', '')} again; it was {was}.", made)
