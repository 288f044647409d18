"""`moorage manifest`: manifests that were deleted come back."""

import click

from moorage.cli.client import Client, client_command
from moorage.cli.reference import REFERENCE
from moorage.cli.sections import Group
from moorage.cli.words import digested_of
from moorage.errors import Refused

# So many digits of a digest will do, of the 64 that it has.
_LEAST = 8
_DIGITS = 64


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
    digest = _whole(client, repository, digest)
    path = ("repositories", repository, "-", "manifests", digest, "restore")
    made = client.api.send("POST", *path)
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
    trash = client.api.items("repositories", repository, "-", "trash", "manifests")
    found = [each["digest"] for each in trash if each["digest"].startswith(begun)]
    if len(found) > 1:
        raise Refused(
            f"{len(found)} manifests in the trash begin with {begun}.",
            do="Give more of its digits.",
            exit_code=2,
        )
    return str(found[0]) if found else begun
