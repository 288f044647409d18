"""`moorage team`: teams of a namespace, and who is in them."""

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import confirm
from moorage.cli.partly import for_each
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import limit_of, team_of
from moorage.client.operations.groups import TeamGroup, add_group, list_groups, remove_group
from moorage.client.operations.teams import (
    add_member,
    create_team,
    delete_team,
    list_members,
    list_teams,
    remove_member,
)

TEAMS = (
    Column("name", "name"),
    Column("description", "description"),
    Column("made", "created_at", "time"),
)
MEMBERS = (Column("account", "name"), Column("from", "source"))
GROUPS = (Column("provider", "provider"), Column("group", "group"))


@click.group(cls=Group)
def team() -> None:
    """Manage teams; what a team is granted, each of its members may.

    \b
    moorage team create web/dev
    moorage team add web/dev alice bob
    moorage team list web
    """


@team.command("list")
@click.argument("place", metavar="NAMESPACE[/TEAM]")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def team_list(client: Client, place: str, limit: str) -> None:
    """List the teams of a namespace, or the members of a team."""
    if "/" in place:
        of = team_of(place)
        found = list_members(client.api, of.namespace, of.name)
        client.output.items(found, MEMBERS, limit_of(limit))
    else:
        client.output.items(list_teams(client.api, place), TEAMS, limit_of(limit))


@team.command("create")
@click.argument("name", metavar="NAMESPACE/TEAM")
@click.option("--description", default="", help="What it is.")
@client_command
def team_create(client: Client, name: str, description: str) -> None:
    """Make a team."""
    of = team_of(name)
    made = create_team(client.api, of.namespace, {"name": of.name, "description": description})
    client.output.done(f"{name} is there. Add people: moorage team add {name} NAME", made)


@team.command("delete")
@click.argument("name", metavar="NAMESPACE/TEAM")
@client_command
def team_delete(client: Client, name: str) -> None:
    """Delete a team with what it was granted."""
    of = team_of(name)
    confirm(f"Delete the team {name}?", yes=client.yes)
    delete_team(client.api, of.namespace, of.name)
    client.output.done(f"{name} is deleted.")


@team.command("add")
@click.argument("name", metavar="NAMESPACE/TEAM")
@click.argument("accounts", nargs=-1, required=True)
@client_command
def team_add(client: Client, name: str, accounts: tuple[str, ...]) -> None:
    """Put people into a team."""
    of = team_of(name)

    def add(account: str) -> None:
        add_member(client.api, of.namespace, of.name, account)
        client.output.done(f"{account} is in {name}.")

    for_each(client.output, accounts, add)


@team.command("remove")
@click.argument("name", metavar="NAMESPACE/TEAM")
@click.argument("accounts", nargs=-1, required=True)
@client_command
def team_remove(client: Client, name: str, accounts: tuple[str, ...]) -> None:
    """Take people out of a team."""
    of = team_of(name)

    def remove(account: str) -> None:
        remove_member(client.api, of.namespace, of.name, account)
        client.output.done(f"{account} is not in {name} any more.")

    for_each(client.output, accounts, remove)


@team.group("group")
def team_group() -> None:
    """Say which groups of providers a team is: who is in one signs in into the team.

    \b
    moorage team group add web/dev corp developers
    moorage team group list web/dev
    """


@team_group.command("list")
@click.argument("name", metavar="NAMESPACE/TEAM")
@client_command
def team_group_list(client: Client, name: str) -> None:
    """List the groups that are the team."""
    of = team_of(name)
    found = list_groups(client.api, of.namespace, of.name)
    client.output.items(found, GROUPS, None)


@team_group.command("add")
@click.argument("name", metavar="NAMESPACE/TEAM")
@click.argument("provider")
@click.argument("group")
@client_command
def team_group_add(client: Client, name: str, provider: str, group: str) -> None:
    """Have a provider's group be the team, for whoever signs in from now on."""
    of = team_of(name)
    document: TeamGroup = {"provider": provider, "group": group}
    made = add_group(client.api, of.namespace, of.name, document)
    client.output.done(f"{group} of {provider} is {name}.", made)


@team_group.command("remove")
@click.argument("name", metavar="NAMESPACE/TEAM")
@click.argument("provider")
@click.argument("group")
@client_command
def team_group_remove(client: Client, name: str, provider: str, group: str) -> None:
    """Have the group be the team no longer; its people are out at once."""
    of = team_of(name)
    remove_group(client.api, of.namespace, of.name, {"provider": provider, "group": group})
    client.output.done(f"{group} of {provider} is not {name} any more.")
