"""`moorage manifest`: images that no tag names, and manifests that come back from the trash."""

import click

from moorage.cli.alike import suggesting
from moorage.cli.client import Client, client_command
from moorage.cli.complete import repositories
from moorage.cli.output import Column
from moorage.cli.words import digested_of, limit_of

UNTAGGED = (
    Column("digest", "digest", "digest"),
    Column("kind", "kind"),
    Column("pushed", "pushed_at", "time"),
    Column("size", "content_size", "size"),
    Column("media type", "media_type", wide=True),
)


@click.group()
def manifest() -> None:
    """Find images that no tag names, and restore manifests that were deleted.

    \b
    moorage manifest untagged web/shop
    moorage manifest restore web/shop@sha256:9f86d081884c…
    moorage tag restore web/shop:latest                     # the manifest with its tag
    """


@manifest.command("untagged")
@click.argument("repository", shell_complete=repositories)
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def manifest_untagged(client: Client, repository: str, limit: str) -> None:
    """List the images that no tag names, which stay until somebody deletes them."""
    with suggesting(client.api, repository):
        found = client.api.items("repositories", repository, "-", "untagged")
        client.output.items(found, UNTAGGED, limit_of(limit))


@manifest.command("restore")
@click.argument("reference", metavar="REPOSITORY@DIGEST")
@client_command
def manifest_restore(client: Client, reference: str) -> None:
    """Take a manifest out of the trash with all that it names; its tags are restored apart."""
    repository, digest = digested_of(reference)
    path = ("repositories", repository, "-", "manifests", digest, "restore")
    made = client.api.send("POST", *path)
    count = len(made.get("manifests", []))
    told = f"{count} manifest{'s are' if count > 1 else ' is'} out of the trash." if count else ""
    client.output.done(told or "It is not in the trash: nothing was to do.", made)
