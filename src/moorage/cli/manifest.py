"""`moorage manifest`: manifests that were deleted come back."""

import click

from moorage.cli.client import Client, client_command
from moorage.cli.reference import REFERENCE
from moorage.cli.sections import Group
from moorage.cli.words import digested_of
from moorage.client.operations.trash import restore_manifest


@click.group(cls=Group)
def manifest() -> None:
    """Restore manifests that were deleted.

    \b
    moorage trash list web/shop
    moorage manifest restore web/shop@sha256:9f86d081884c…
    moorage tag restore web/shop:latest                     # the manifest with its tag
    """


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
    made = restore_manifest(client.api, repository, digest)
    count = len(made.get("manifests", []))
    told = f"{count} manifest{'s are' if count > 1 else ' is'} out of the trash." if count else ""
    client.output.done(told or "It is not in the trash: nothing was to do.", made)
