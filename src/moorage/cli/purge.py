"""`moorage purge`: content is removed at once and for good, everywhere."""

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import confirm
from moorage.cli.sections import Command
from moorage.cli.table import Column
from moorage.client.operations.purge import AskedPurge, Purged, purge_content

REPOSITORIES = (
    Column("repository", "name"),
    Column("manifests", "manifests"),
    Column("tags", "tags"),
)


@click.command(cls=Command)
@click.argument("digest")
@click.option("--now", is_flag=True, help="Do it; without, it only shows what would go.")
@click.option("--reason", default="", help="Why, for the audit trail.")
@client_command
def purge(client: Client, digest: str, *, now: bool, reason: str) -> None:
    """Remove a blob or manifest for good, past the trash: a leaked secret, a court's order.

    \b
    moorage purge sha256:9f86d081884c…
    moorage purge sha256:9f86d081884c… --now --reason 'a key in a layer'
    moorage audit list --action content.purged
    """
    asked: AskedPurge = {"digest": digest, "reason": reason, "dry_run": True}
    found = purge_content(client.api, asked)
    if not now:
        _show(client, found, "would go")
        return
    if client.output.is_for_people:
        _show(client, found, "will go")
    places = len(found.get("repositories", []))
    confirm(
        f"Remove it from {places} repositories, with these manifests and tags? "
        "Nothing of it can be restored.",
        yes=client.yes,
    )
    done = purge_content(client.api, {**asked, "dry_run": False})
    objects = done.get("objects", 0)
    client.output.done(
        f"{digest} is gone from {len(done.get('repositories', []))} repositories; "
        f"{objects} objects are deleted.\n"
        "Copies that were pulled are where they are: look for them.",
        done,
    )
    if client.output.is_for_people:
        _show_backups(client, done)


def _show(client: Client, found: Purged, verb: str) -> None:
    if client.output.is_document:
        client.output.done("", found)
        return
    client.output.items(found.get("repositories", []), REPOSITORIES, None)
    objects = found.get("objects", 0)
    click.echo(f"From these {verb} what is listed, and {objects} objects with the bytes.", err=True)
    _show_backups(client, found)
    if verb == "would go":
        click.echo("To do it, add --now.", err=True)


def _show_backups(client: Client, found: Purged) -> None:
    for each in found.get("backups", []):
        verb = "has it" if each["certain"] else "may have it, which the server can't look up"
        where = f"{each['place']} on {each['host']}"
        client.output.note(f"The backup {each['id']} in {where} {verb}.")
