"""`moorage search`: what has some words, of what you may read."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from moorage.cli.client import Client, client_command
from moorage.cli.sections import Command
from moorage.cli.table import Column
from moorage.cli.words import limit_of
from moorage.client.operations.search import search as find

FOUND = (
    Column("kind", "kind"),
    Column("where", "where"),
    Column("digest", "digest", "digest"),
    Column("what", "what"),
)


@click.command(cls=Command)
@click.argument("text", nargs=-1, required=True)
@click.option(
    "--kind",
    type=click.Choice(["repository", "tag", "label", "digest"]),
    help="Only these; else all of them.",
)
@click.option("--limit", default="20", show_default=True, help="How many, or all.")
@client_command
def search(client: Client, text: tuple[str, ...], kind: str | None, limit: str) -> None:
    """Search names, tags, labels, digests and descriptions.

    \b
    moorage search shop
    moorage search 9f86d081
    moorage search --kind label revision=1a2b3c4
    """
    found = find(client.api, q=" ".join(text), kind=kind or "")
    columns = FOUND if client.output.form != "name" else FOUND[1:]  # what can be pulled
    client.output.items(_rows(found, client), columns, limit_of(limit))


def _rows(found: Iterator[Mapping[str, Any]], client: Client) -> Iterator[Mapping[str, Any]]:
    """Yield what was found; for people, with where it is as they would pull it."""
    if client.output.is_document:
        yield from found
        return
    for hit in found:
        tags = hit.get("tags") or []
        where = f"{hit['repository']}:{tags[0]}" if tags else hit["repository"]
        what = hit.get("label") or hit.get("description") or ""
        yield {**hit, "where": where, "what": what}
