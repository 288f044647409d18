"""`moorage namespace`: organisations, and the namespaces of people."""

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import confirm
from moorage.cli.repo import VISIBILITIES
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import Visibility, limit_of
from moorage.client.operations.namespaces import (
    change_namespace,
    create_namespace,
    delete_namespace,
    list_namespaces,
)
from moorage.client.operations.trash import get_usage

NAMESPACES = (
    Column("name", "name"),
    Column("kind", "kind"),
    Column("new repositories", "visibility"),
)

USAGE = (Column("bytes", "bytes", "size"), Column("of the trash", "trash", "size"))


@click.group(cls=Group)
def namespace() -> None:
    """Manage namespaces, the first part of repositories' names.

    \b
    moorage namespace create web
    moorage namespace list
    moorage namespace set web --visibility internal
    """


@namespace.command("list")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def namespace_list(client: Client, limit: str) -> None:
    """List the namespaces that you may see."""
    client.output.items(list_namespaces(client.api), NAMESPACES, limit_of(limit))


@namespace.command("create")
@click.argument("name")
@click.option(
    "--visibility", type=VISIBILITIES, default="private", show_default=True, help="Of what is new."
)
@client_command
def namespace_create(client: Client, name: str, visibility: Visibility) -> None:
    """Make the namespace of an organisation."""
    made = create_namespace(client.api, {"name": name, "visibility": visibility})
    told = f"{name} is there. Let people in: moorage access grant {name} WHO ROLE"
    client.output.done(told, made)


@namespace.command("set")
@click.argument("name")
@click.option("--visibility", type=VISIBILITIES, required=True, help="Of what is new.")
@client_command
def namespace_set(client: Client, name: str, visibility: Visibility) -> None:
    """Change who may see the repositories that are made in it from now on."""
    made = change_namespace(client.api, name, {"visibility": visibility})
    client.output.done(f"New repositories in {name} are {visibility}.", made)


@namespace.command("delete")
@click.argument("name")
@client_command
def namespace_delete(client: Client, name: str) -> None:
    """Delete a namespace that has no repositories."""
    confirm(f"Delete the namespace {name}?", yes=client.yes)
    delete_namespace(client.api, name)
    client.output.done(f"{name} is deleted.")


@namespace.command("usage")
@click.argument("name")
@client_command
def namespace_usage(client: Client, name: str) -> None:
    """Show how many bytes a namespace takes, and how many of them only its trash holds."""
    client.output.one(get_usage(client.api, name), USAGE)
