"""`moorage trash`: what was deleted and can be restored."""

import click

from moorage.cli.client import Client, client_command
from moorage.cli.complete import repositories
from moorage.cli.manifest import restore
from moorage.cli.reference import REFERENCE
from moorage.cli.repo import undelete
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.tag import undelete_tag
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


@click.group(cls=Group)
def trash() -> None:
    """Look at what was deleted, and bring it back.

    \b
    moorage trash list web
    moorage trash list web/shop
    moorage trash restore web/shop:1.4
    """


@trash.command("list")
@click.argument(
    "place", metavar="NAMESPACE|REPOSITORY", type=REFERENCE, shell_complete=repositories
)
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


@trash.command("restore")
@click.argument(
    "reference", metavar="REPOSITORY[:TAG|@DIGEST]", type=REFERENCE, shell_complete=repositories
)
@client_command
def trash_restore(client: Client, reference: str) -> None:
    """Bring back a repository, a tag or a manifest, as their own commands do."""
    if "@" in reference:
        restore(client, reference)
    elif ":" in reference:
        undelete_tag(client, reference)
    else:
        undelete(client, reference, None, None)
