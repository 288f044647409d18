"""`moorage trust`: which tokens of CI systems stand for which robot, without a stored secret."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from moorage.cli.client import Client, client_command, read_token
from moorage.cli.output import confirm
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.trust_add import add
from moorage.cli.words import limit_of
from moorage.client.operations.trusts import (
    change_trust,
    delete_trust,
    list_trust_uses,
    list_trusts,
    try_identity_token,
)
from moorage.errors import Refused
from moorage.model.trusts import Rule


def rules_told(rules: Sequence[Mapping[str, Any]]) -> str:
    """Return what a trust asks of tokens as people say it, those rules first that allow least.

    Such as `repository acme/shop, branch main, event_name push or schedule`.
    """
    shortest = sorted(rules, key=lambda rule: len(rule["patterns"]))
    return ", ".join(Rule(each["claim"], tuple(each["patterns"])).shown for each in shortest)


TRUSTS = (
    Column("name", "name"),
    Column("robot", "robot"),
    Column("if", "rules", say=rules_told),
    Column("for", "audience"),
    Column("enabled", "enabled"),
    Column("last used", "last_used_at", "time"),
)
VERDICTS = (
    Column("trust", "trust"),
    Column("claim", "claim"),
    Column("is", "value"),
    Column("must be", "allowed"),
    Column("holds", "holds"),
)
USES = (
    Column("when", "at", "time"),
    Column("let in", "accepted"),
    Column("why not", "reason"),
    Column("claims", "claims"),
)


@click.group(cls=Group)
def trust() -> None:
    """Let CI systems in by the tokens that they make themselves.

    \b
    moorage trust add github acme/shop --repository-id 17 --robot web+ci --branch main
    moorage trust list web
    moorage trust test web --jwt job.jwt
    """


trust.add_command(add)


@trust.command("list")
@click.argument("namespace")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def trust_list(client: Client, namespace: str, limit: str) -> None:
    """List the trusts of a namespace."""
    found = list_trusts(client.api, namespace)
    client.output.items(found, TRUSTS, limit_of(limit))


@trust.command("test")
@click.argument("namespace")
@click.option("--jwt", "path", default="-", show_default=True, help="A file with a CI's token.")
@client_command
def trust_test(client: Client, namespace: str, path: str) -> None:
    """Say claim by claim whether a token would be let in; exit 7 if not. Nothing comes of it."""
    found = try_identity_token(client.api, namespace, {"token": read_token(path)})
    if client.output.is_for_people:
        tried = found.get("tried", [])
        rows = [{"trust": each["trust"], **row} for each in tried for row in each["verdicts"]]
        client.output.items(rows, VERDICTS, None)
    else:
        client.output.one(found, (Column("allowed", "allowed"), Column("problem", "problem")))
    if not found.get("allowed"):
        raise Refused("The token is not let in.", why=str(found.get("problem", "")), exit_code=7)


@trust.command("uses")
@click.argument("namespace")
@click.argument("name")
@client_command
def trust_uses(client: Client, namespace: str, name: str) -> None:
    """List who came by a trust lately, and who was refused, and why."""
    found = list_trust_uses(client.api, namespace, name)
    client.output.items(found, USES, None)


@trust.command("disable")
@click.argument("namespace")
@click.argument("name")
@client_command
def trust_disable(client: Client, namespace: str, name: str) -> None:
    """Put a trust out of force; whoever is in by it is out."""
    _set_enabled(client, namespace, name, enabled=False)


@trust.command("enable")
@click.argument("namespace")
@click.argument("name")
@client_command
def trust_enable(client: Client, namespace: str, name: str) -> None:
    """Put a trust in force again."""
    _set_enabled(client, namespace, name, enabled=True)


@trust.command("remove")
@click.argument("namespace")
@click.argument("name")
@client_command
def trust_remove(client: Client, namespace: str, name: str) -> None:
    """Remove a trust; whoever is in by it is out."""
    confirm(f"Remove the trust {name} of {namespace}?", yes=client.yes)
    delete_trust(client.api, namespace, name)
    client.output.done(f"The trust {name} is removed.")


def _set_enabled(client: Client, namespace: str, name: str, *, enabled: bool) -> None:
    made = change_trust(client.api, namespace, name, {"enabled": enabled})
    client.output.done(f"The trust {name} is {'en' if enabled else 'dis'}abled.", made)
