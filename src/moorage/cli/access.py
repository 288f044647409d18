"""`moorage access`: who may do what, where, and why."""

from collections.abc import Mapping, Sequence

import click

from moorage.cli.client import Client, client_command
from moorage.cli.complete import repositories
from moorage.cli.reference import REFERENCE
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import ROLES, Role, is_repository, limit_of, principal_of
from moorage.client.operations.access import explain_access, report_access
from moorage.client.operations.grants import (
    list_grants,
    list_repository_grants,
    put_grant,
    put_repository_grant,
    revoke_grant,
    revoke_repository_grant,
)


def place_told(pattern: str) -> str:
    """Return a place as `access grant` takes it: all of a namespace is its name."""
    return pattern.removesuffix("/**")


def paths_told(paths: Sequence[Mapping[str, str]]) -> str:
    """Return the grants that count, each in the words that `access grant` confirms it with."""
    return ", ".join(
        f"{each['through']} is {each['role']} of {place_told(each['on'])}" for each in paths
    )


GRANTS = (
    Column("who", "principal"),
    Column("kind", "kind"),
    Column("role", "role"),
    Column("on", "repository"),
    Column("since", "granted_at", "time"),
    Column("by", "granted_by"),
)
ANSWER = (
    Column("allowed", "allowed"),
    Column("because", "reason"),
    Column("by", "paths", say=paths_told),
    Column("visibility", "visibility"),
)
REPORT = (
    Column("who", "who"),
    Column("kind", "kind"),
    Column("role", "role"),
    Column("on", "on", say=place_told),
    Column("may", "may"),
)


@click.group(cls=Group)
def access() -> None:
    """Grant rights, take them back, and see who has which.

    \b
    moorage access grant web/shop alice writer
    moorage access grant web web/dev maintainer
    moorage access can alice push web/shop
    """


@access.command("grant")
@click.argument("place", metavar="NAMESPACE|REPOSITORY", type=REFERENCE)
@click.argument("who", metavar="ACCOUNT|NAMESPACE/TEAM|NAMESPACE+ROBOT")
@click.argument("role", type=click.Choice(ROLES))
@client_command
def access_grant(client: Client, place: str, who: str, role: Role) -> None:
    """Give somebody a role; one that they have already there is replaced."""
    put = put_repository_grant if is_repository(place) else put_grant
    made = put(client.api, place, principal_of(who).kind, who, {"role": role})
    client.output.done(f"{who} is {role} of {place}.", made)


@access.command("revoke")
@click.argument("place", metavar="NAMESPACE|REPOSITORY", type=REFERENCE)
@click.argument("who", metavar="ACCOUNT|NAMESPACE/TEAM|NAMESPACE+ROBOT")
@client_command
def access_revoke(client: Client, place: str, who: str) -> None:
    """Take the role back, from now on."""
    revoke = revoke_repository_grant if is_repository(place) else revoke_grant
    revoke(client.api, place, principal_of(who).kind, who)
    client.output.done(f"{who} has no role of its own on {place} any more.")


@access.command("list")
@click.argument("place", metavar="NAMESPACE|REPOSITORY", type=REFERENCE)
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def access_list(client: Client, place: str, limit: str) -> None:
    """List what was granted on a place."""
    granted = list_repository_grants if is_repository(place) else list_grants
    client.output.items(granted(client.api, place), GRANTS, limit_of(limit))


@access.command("can")
@click.argument("who", metavar="ACCOUNT|NAMESPACE+ROBOT")
@click.argument("action", type=click.Choice(["pull", "push", "delete"]))
@click.argument("place", metavar="REPOSITORY", type=REFERENCE, shell_complete=repositories)
@client_command
def access_can(client: Client, who: str, action: str, place: str) -> None:
    """Say whether somebody may, and by which grant; exit 7 if not."""
    found = explain_access(client.api, who=who, action=action, repository=place)
    client.output.one(found, ANSWER)
    if not found.get("allowed"):
        raise SystemExit(7)


@access.command("report")
@click.argument("namespace")
@click.option("--limit", default="all", show_default=True, help="How many, or all.")
@client_command
def access_report(client: Client, namespace: str, limit: str) -> None:
    """List everybody who may do anything in a namespace, and through what."""
    found = report_access(client.api, namespace=namespace)
    client.output.items(found, REPORT, limit_of(limit))
