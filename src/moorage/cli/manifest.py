"""`moorage manifest`: images that no tag names, and manifests that come back from the trash."""

import click

from moorage.cli.alike import suggesting
from moorage.cli.client import Client, client_command
from moorage.cli.complete import repositories
from moorage.cli.reference import REFERENCE
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import digested_of, limit_of
from moorage.client.operations.images import list_untagged
from moorage.client.operations.trash import list_trashed_manifests, restore_manifest
from moorage.errors import Refused

UNTAGGED = (
    Column("digest", "digest", "digest"),
    Column("kind", "kind"),
    Column("pushed", "pushed_at", "time"),
    Column("size", "content_size", "size"),
    Column("media type", "media_type", wide=True),
)

# So many digits of a digest will do, of the 64 that it has.
_LEAST = 8
_DIGITS = 64


@click.group(cls=Group)
def manifest() -> None:
    """Find images that no tag names, and restore manifests that were deleted.

    \b
    moorage manifest untagged web/shop
    moorage manifest restore web/shop@sha256:9f86d081884c…
    moorage tag restore web/shop:latest                     # the manifest with its tag
    """


@manifest.command("untagged")
@click.argument("repository", type=REFERENCE, shell_complete=repositories)
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def manifest_untagged(client: Client, repository: str, limit: str) -> None:
    """List the images that no tag names, which stay until somebody deletes them."""
    with suggesting(client.api, repository):
        found = list_untagged(client.api, repository)
        client.output.items(found, UNTAGGED, limit_of(limit))


@manifest.command("restore")
@click.argument("reference", metavar="REPOSITORY@DIGEST", type=REFERENCE)
@client_command
def manifest_restore(client: Client, reference: str) -> None:
    """Take a manifest out of the trash with all that it names; its tags are restored apart."""
    restore(client, reference)


def restore(client: Client, reference: str) -> None:
    """Take a manifest out of the trash.

    Raises:
        Refused: there is none of that digest.
    """
    repository, digest = digested_of(reference)
    digest = _whole(client, repository, digest)
    made = restore_manifest(client.api, repository, digest)
    count = len(made.get("manifests", []))
    told = f"{count} manifest{'s are' if count > 1 else ' is'} out of the trash." if count else ""
    client.output.done(told or "It is not in the trash: nothing was to do.", made)


def _whole(client: Client, repository: str, begun: str) -> str:
    """Return the digest in the trash that begins so, else what was given.

    Raises:
        Refused: there are several.
    """
    digits = begun.partition(":")[2]
    if not _LEAST <= len(digits) < _DIGITS:
        return begun
    trash = list_trashed_manifests(client.api, repository)
    found = [each["digest"] for each in trash if each["digest"].startswith(begun)]
    if len(found) > 1:
        raise Refused(
            f"{len(found)} manifests in the trash begin with {begun}.",
            do="Give more of its digits.",
            exit_code=2,
        )
    return str(found[0]) if found else begun
