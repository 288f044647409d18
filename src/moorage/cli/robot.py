"""`moorage robot`: what machines sign in as."""

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import confirm
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.token import print_token, token_document
from moorage.cli.words import limit_of, robot_of
from moorage.client.operations.robots import (
    create_robot,
    create_robot_token,
    delete_robot,
    list_robots,
)

ROBOTS = (
    Column("name", "name"),
    Column("description", "description"),
    Column("enabled", "enabled"),
    Column("made", "created_at", "time"),
)


@click.group(cls=Group)
def robot() -> None:
    """Manage robots, the accounts of machines in a namespace.

    \b
    moorage robot create web+ci
    moorage access grant web web+ci writer
    moorage robot token web+ci --expires 90d
    """


@robot.command("list")
@click.argument("namespace")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def robot_list(client: Client, namespace: str, limit: str) -> None:
    """List the robots of a namespace."""
    found = list_robots(client.api, namespace)
    client.output.items(found, ROBOTS, limit_of(limit))


@robot.command("create")
@click.argument("name", metavar="NAMESPACE+ROBOT")
@click.option("--description", default="", help="What it is for.")
@client_command
def robot_create(client: Client, name: str, description: str) -> None:
    """Make a robot; it may nothing until it is granted something."""
    of = robot_of(name)
    made = create_robot(client.api, of.namespace, {"name": of.name, "description": description})
    told = f"{name} is there. Let it in: moorage access grant {of.namespace} {name} reader"
    client.output.done(told, made)


@robot.command("delete")
@click.argument("name", metavar="NAMESPACE+ROBOT")
@client_command
def robot_delete(client: Client, name: str) -> None:
    """Delete a robot with its tokens, trusts and rights."""
    of = robot_of(name)
    confirm(f"Delete the robot {name}?", yes=client.yes)
    delete_robot(client.api, of.namespace, of.name)
    client.output.done(f"{name} is deleted.")


@robot.command("token")
@click.argument("name", metavar="NAMESPACE+ROBOT")
@click.option("--name", "label", default="cli", show_default=True, help="What to call it.")
@click.option(
    "--may", "scopes", multiple=True, help="ACTIONS:REPOSITORY or ACTIONS:NAMESPACE/**; repeatable."
)
@click.option("--expires", default="90d", show_default=True, help="90d, 12w, a date, or never.")
@client_command
def robot_token(
    client: Client, name: str, label: str, scopes: tuple[str, ...], expires: str
) -> None:
    """Make a token of a robot, and print it: it is not shown again."""
    of = robot_of(name)
    document = token_document(label, scopes, expires)
    print_token(client, create_robot_token(client.api, of.namespace, of.name, document))
