"""`moorage repo`: repositories, and who may see them."""

from collections.abc import Mapping
from typing import Any

import click

from moorage.cli.alike import suggesting
from moorage.cli.client import Client, client_command, dry_run_option
from moorage.cli.complete import repositories
from moorage.cli.output import confirm
from moorage.cli.readme import change_about, readme
from moorage.cli.reference import REFERENCE
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import Visibility, limit_of
from moorage.client.operations.about import get_about
from moorage.client.operations.images import list_images
from moorage.client.operations.pulls import get_pulls
from moorage.client.operations.repositories import (
    NewRepository,
    change_repository,
    create_repository,
    get_repository,
    rename_repository,
)
from moorage.client.operations.trash import delete_repository, restore_repository
from moorage.errors import Refused

VISIBILITIES = click.Choice(["private", "internal", "public"])
TYPES = click.Choice(["image", "chart", "artifact", "wasm", "signature", "sbom", "provenance"])
REPOSITORIES = (
    Column("name", "name"),
    Column("visibility", "visibility"),
    Column("type", "type", wide=True),
    Column("tags", "tags"),
    Column("newest", "newest"),
    Column("since", "newest_at", "time"),
    Column("changed", "changed_at", "time"),
    Column("size", "content_size", "size"),
)
REPOSITORY = (
    Column("name", "name"),
    Column("namespace", "namespace"),
    Column("visibility", "visibility"),
    Column("description", "description"),
    Column("pulls", "pulls"),
    Column("last pull", "last_pulled_at", "time"),
)


@click.group(cls=Group)
def repo() -> None:
    """Manage repositories.

    \b
    moorage repo list
    moorage repo create web/shop --visibility internal
    moorage repo restore web/shop
    """


@repo.command("list")
@click.option("--namespace", default="", help="Only those of this one.")
@click.option("--visibility", type=VISIBILITIES, help="Only those that are so.")
@click.option("--type", "kind", type=TYPES, help="Only those whose newest image is one.")
@click.option(
    "--pulled",
    type=click.Choice(["recently", "unused"]),
    help="Only those pulled within 90 days, or not for as long.",
)
@click.option("--newest", is_flag=True, help="What changed last first.")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def repo_list(
    client: Client, *, newest: bool, kind: str | None, limit: str, **only: str | None
) -> None:
    """List the repositories that you may read, with the newest tag of each."""
    found = list_images(
        client.api,
        sort="changed" if newest else "",
        type=kind or "",
        namespace=only["namespace"] or "",
        visibility=only["visibility"] or "",
        pulled=only["pulled"] or "",
    )
    client.output.items(found, REPOSITORIES, limit_of(limit))


@repo.command("show")
@click.argument("name", type=REFERENCE, shell_complete=repositories)
@client_command
def repo_show(client: Client, name: str) -> None:
    """Show a repository."""
    with suggesting(client.api, name):
        found = get_repository(client.api, name)
    said = get_about(client.api, name)
    pulls = get_pulls(client.api, name)
    counted = {key: pulls[key] for key in ("pulls", "last_pulled_at")}
    client.output.one({**found, "description": said["shown"], **counted}, REPOSITORY)


@repo.command("create")
@click.argument("name", type=REFERENCE)
@click.option("--visibility", type=VISIBILITIES, help="Who may see it; else as the namespace says.")
@client_command
def repo_create(client: Client, name: str, visibility: Visibility | None) -> None:
    """Make a repository; a push makes it as well."""
    document: NewRepository = {"name": name}
    if visibility is not None:
        document["visibility"] = visibility
    made = create_repository(client.api, document)
    client.output.done(f"{name} is there, {made.get('visibility', '')}.", made)


@repo.command("set")
@click.argument("name", type=REFERENCE, shell_complete=repositories)
@click.option("--visibility", type=VISIBILITIES, help="Who may see it.")
@click.option("--description", help="What it is about, in a line of up to 200 characters.")
@client_command
def repo_set(
    client: Client, name: str, visibility: Visibility | None, description: str | None
) -> None:
    """Change who may see a repository, or what it is said to be about."""
    if visibility is None and description is None:
        raise Refused("Nothing is to be changed.", do="Give an option.", exit_code=2)
    made: Mapping[str, Any] = {}
    told = []
    if description is not None:
        made = change_about(client, name, description=description)
        told.append(f"{name} is described.")
    if visibility is not None:
        made = change_repository(client.api, name, {"visibility": visibility})
        told.append(f"{name} is {visibility}.")
    client.output.done(" ".join(told), made)


repo.add_command(readme)


@repo.command("rename")
@click.argument("name", type=REFERENCE, shell_complete=repositories)
@click.argument("new_name")
@client_command
def repo_rename(client: Client, name: str, new_name: str) -> None:
    """Give a repository another name in its namespace; the one before goes on working."""
    with suggesting(client.api, name):
        made = rename_repository(client.api, name, {"name": new_name})
    client.output.done(f"{name} is {new_name} now; its old name leads there.", made)


@repo.command("delete")
@click.argument("name", type=REFERENCE, shell_complete=repositories)
@dry_run_option
@client_command
def repo_delete(client: Client, name: str, *, dry_run: bool) -> None:
    """Delete a repository with all that is in it; for some time it can be restored."""
    with suggesting(client.api, name):
        found = get_repository(client.api, name)
    if dry_run:
        client.output.done(f"{found['name']} would go to the trash, with all its tags.", found)
        return
    confirm(f"Delete {name} with all its tags? Pulls from it fail at once.", yes=client.yes)
    delete_repository(client.api, name)
    client.output.done(f"{name} is in the trash. To have it back: moorage repo restore {name}")


@repo.command("undelete")
@click.argument("name", type=REFERENCE)
@click.option("--as", "new_name", help="Under another name of its namespace.")
@click.option("--id", "number", type=int, help="Which of that name, as trash list shows; the last.")
@client_command
def repo_undelete(client: Client, name: str, new_name: str | None, number: int | None) -> None:
    """Bring back a repository that was deleted, with all that was in it."""
    undelete(client, name, new_name, number)


repo.add_command(repo_undelete, "restore")


def undelete(client: Client, name: str, new_name: str | None, number: int | None) -> None:
    """Bring a repository back from the trash; `number` is which one of several of that name.

    Raises:
        Refused: there is none, or its name is taken.
    """
    made = restore_repository(client.api, name, {"name": new_name, "id": number})
    told = f"{made.get('name', '')} is there again, {made.get('visibility', '')}."
    client.output.done(told, made)
