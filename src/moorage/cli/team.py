"""`moorage team`: teams of a namespace, and who is in them."""

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import Column, confirm
from moorage.cli.words import limit_of, team_of

TEAMS = (
    Column("name", "name"),
    Column("description", "description"),
    Column("made", "created_at", "time"),
)
MEMBERS = (Column("account", "name"),)


@click.group()
def team() -> None:
    """Manage teams; what a team is granted, each of its members may.

    \b
    moorage team create web/dev
    moorage team add web/dev alice bob
    moorage team list web
    """  # noqa: D301 - click's mark for a paragraph that is not re-wrapped


@team.command("list")
@click.argument("place", metavar="NAMESPACE[/TEAM]")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def team_list(client: Client, place: str, limit: str) -> None:
    """List the teams of a namespace, or the members of a team."""
    if "/" in place:
        of = team_of(place)
        found = client.api.items("namespaces", of.namespace, "teams", of.name, "members")
        client.output.items(found, MEMBERS, limit_of(limit))
    else:
        client.output.items(client.api.items("namespaces", place, "teams"), TEAMS, limit_of(limit))


@team.command("create")
@click.argument("name", metavar="NAMESPACE/TEAM")
@click.option("--description", default="", help="What it is.")
@client_command
def team_create(client: Client, name: str, description: str) -> None:
    """Make a team."""
    of = team_of(name)
    document = {"name": of.name, "description": description}
    made = client.api.send("POST", "namespaces", of.namespace, "teams", document=document)
    client.output.done(f"{name} is there. Add people: moorage team add {name} NAME", made)


@team.command("delete")
@click.argument("name", metavar="NAMESPACE/TEAM")
@client_command
def team_delete(client: Client, name: str) -> None:
    """Delete a team with what it was granted."""
    of = team_of(name)
    confirm(f"Delete the team {name}?", yes=client.yes)
    client.api.send("DELETE", "namespaces", of.namespace, "teams", of.name)
    client.output.done(f"{name} is deleted.")


@team.command("add")
@click.argument("name", metavar="NAMESPACE/TEAM")
@click.argument("accounts", nargs=-1, required=True)
@client_command
def team_add(client: Client, name: str, accounts: tuple[str, ...]) -> None:
    """Put people into a team."""
    of = team_of(name)
    for account in accounts:
        client.api.send("PUT", "namespaces", of.namespace, "teams", of.name, "members", account)
        client.output.done(f"{account} is in {name}.")


@team.command("remove")
@click.argument("name", metavar="NAMESPACE/TEAM")
@click.argument("accounts", nargs=-1, required=True)
@client_command
def team_remove(client: Client, name: str, accounts: tuple[str, ...]) -> None:
    """Take people out of a team."""
    of = team_of(name)
    for account in accounts:
        client.api.send("DELETE", "namespaces", of.namespace, "teams", of.name, "members", account)
        client.output.done(f"{account} is not in {name} any more.")
