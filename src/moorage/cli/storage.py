"""`moorage storage`: what is stored for whom, what is largest, and what a clean-up would free."""

import click

from moorage.cli.clean import clean
from moorage.cli.client import Client, client_command
from moorage.cli.sections import Group
from moorage.cli.table import Column, size_text
from moorage.cli.words import limit_of
from moorage.client.operations.storage import (
    NamespaceBytes,
    RepositoryBytes,
    get_clean_up,
    get_largest_blobs,
    list_namespace_storage,
    list_storage,
)

NAMESPACES = (
    Column("name", "name"),
    Column("kind", "kind"),
    Column("size", "bytes", "size"),
)
REPOSITORIES = (
    Column("name", "name"),
    Column("size", "bytes", "size"),
    Column("own", "own", "size"),
    Column("blobs", "blobs"),
    Column("more", "more", wide=True),
)
LARGEST = (
    Column("size", "size", "size"),
    Column("digest", "digest", "digest"),
    Column("in", "repositories"),
)
CLEAN_UP = (
    Column("free now", "due_bytes", "size"),
    Column("objects now", "due_objects"),
    Column("free later", "later_bytes", "size"),
    Column("objects later", "later_objects"),
    Column("from", "first_at", "time"),
    Column("until", "last_at", "time"),
    Column("candidates", "candidates"),
    Column("of them", "candidate_bytes", "size"),
    Column("stopped by", "paused"),
)


class _Tree(NamespaceBytes):
    repositories: list[RepositoryBytes]


@click.group(cls=Group)
def storage() -> None:
    """Show what is stored for whom, and what a clean-up would free.

    \b
    moorage storage list web
    moorage storage top web
    moorage storage clean-up
    """


@storage.command("list")
@click.argument("namespace", required=False)
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def storage_list(client: Client, namespace: str | None, limit: str) -> None:
    """List namespaces with their bytes, or the repositories of one with what is theirs alone."""
    if namespace is None:
        client.output.items(list_storage(client.api), NAMESPACES, limit_of(limit))
        return
    found = list_namespace_storage(client.api, namespace)
    client.output.items(found, REPOSITORIES, limit_of(limit))


@storage.command("top")
@click.argument("namespace")
@client_command
def storage_top(client: Client, namespace: str) -> None:
    """List the largest layers of a namespace, and which of its repositories have them."""
    found = get_largest_blobs(client.api, namespace)
    client.output.items(found["items"], LARGEST, None)
    if found["more"]:
        client.output.note("Not all of the namespace was looked at: it has too much in it.")


@storage.command("tree")
@click.argument("namespace", required=False)
@client_command
def storage_tree(client: Client, namespace: str | None) -> None:
    """Show namespaces with their repositories, each with its bytes."""
    found: list[_Tree] = []
    for home in list_storage(client.api):
        if namespace in (None, home["name"]) and home["bytes"] is not None:
            inside = list(list_namespace_storage(client.api, home["name"]))
            found.append({**home, "repositories": inside})
    if namespace is not None and not found:
        # It is refused where there is none of that name; one that is told without bytes has none.
        inside = list(list_namespace_storage(client.api, namespace))
        found = [{"name": namespace, "kind": "", "bytes": 0, "repositories": inside}]
    if not client.output.is_for_people:
        client.output.document(found)
        return
    for tree in found:
        click.echo(f"{size_text(tree['bytes'] or 0):>10}  {clean(tree['name'])}")
        for each in tree["repositories"]:
            own = size_text(each["own"])
            click.echo(f"{size_text(each['bytes']):>10}    {clean(each['name'])}  ({own} own)")


@storage.command("clean-up")
@client_command
def storage_clean_up(client: Client) -> None:
    """Say what a clean-up would free now, and when the rest follows; changes nothing."""
    client.output.one(get_clean_up(client.api), CLEAN_UP)
