"""`moorage trash`: what was deleted and can be restored."""

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import Column
from moorage.cli.words import limit_of
from moorage.client.operations.trash import (
    list_removed_repositories,
    list_trashed_blobs,
    list_trashed_manifests,
)

MANIFESTS = (
    Column("digest", "digest"),
    Column("type", "media_type"),
    Column("bytes", "size"),
    Column("until", "until", "time"),
)
BLOBS = tuple(column for column in MANIFESTS if column.key != "media_type")
REPOSITORIES = (
    Column("id", "id"),
    Column("name", "name"),
    Column("visibility", "visibility"),
    Column("until", "until", "time"),
)


@click.group()
def trash() -> None:
    """Look at what was deleted and can be restored.

    \b
    moorage trash list web
    moorage trash list web/shop
    moorage trash list web/shop --blobs
    """


@trash.command("list")
@click.argument("place", metavar="NAMESPACE|REPOSITORY")
@click.option("--blobs", is_flag=True, help="Blobs that were deleted by themselves.")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def trash_list(client: Client, place: str, *, blobs: bool, limit: str) -> None:
    """List deleted repositories of a namespace, or deleted manifests of a repository."""
    if "/" not in place:
        removed = list_removed_repositories(client.api, place)
        client.output.items(removed, REPOSITORIES, limit_of(limit))
        return
    found = (list_trashed_blobs if blobs else list_trashed_manifests)(client.api, place)
    client.output.items(found, BLOBS if blobs else MANIFESTS, limit_of(limit))
