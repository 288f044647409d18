"""`moorage trust`: which tokens of CI systems stand for which robot, without a stored secret."""

from typing import Any

import click

from moorage.cli.client import Client, client_command, read_token
from moorage.cli.output import Column, confirm
from moorage.cli.words import limit_of, robot_of, scopes_of
from moorage.errors import Refused

TRUSTS = (
    Column("id", "id"),
    Column("name", "name"),
    Column("robot", "robot"),
    Column("issuer", "issuer"),
    Column("enabled", "enabled"),
    Column("last used", "last_used_at", "time"),
)
VERDICTS = (
    Column("claim", "claim"),
    Column("is", "value"),
    Column("must be", "allowed"),
    Column("holds", "holds"),
)


@click.group()
def trust() -> None:
    """Let CI systems in by the tokens that they make themselves.

    \b
    moorage trust add web/shop --robot web+ci --issuer https://gitlab.example --claim project_id=17
    moorage trust list web
    moorage trust test web 3 --jwt job.jwt
    """  # noqa: D301 - click's mark for a paragraph that is not re-wrapped


@trust.command("list")
@click.argument("namespace")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def trust_list(client: Client, namespace: str, limit: str) -> None:
    """List the trusts of a namespace."""
    found = client.api.items("namespaces", namespace, "trusts")
    client.output.items(found, TRUSTS, limit_of(limit))


@trust.command("add")
@click.argument("name")
@click.option("--robot", required=True, help="NAMESPACE+ROBOT that the tokens stand for.")
@click.option("--issuer", required=True, help="The address of an issuer that is registered.")
@click.option(
    "--claim", "claims", multiple=True, required=True, help="CLAIM=PATTERN; all must hold."
)
@click.option("--audience", default="", help="Whom the tokens are for; else the registry's url.")
@click.option(
    "--may", "scopes", multiple=True, help="ACTIONS:REPOSITORY or ACTIONS:NAMESPACE/**; repeatable."
)
@client_command
def trust_add(  # noqa: PLR0913 - options
    client: Client,
    name: str,
    *,
    robot: str,
    issuer: str,
    claims: tuple[str, ...],
    audience: str,
    scopes: tuple[str, ...],
) -> None:
    """Let tokens of an issuer stand for a robot; of a claim given twice, either will do."""
    of = robot_of(robot)
    document: dict[str, Any] = {
        "name": name,
        "issuer": issuer,
        "robot": of.name,
        "rules": _rules_of(claims),
        "scopes": scopes_of(scopes) if scopes else None,
    }
    if audience:
        document["audience"] = audience
    made = client.api.send("POST", "namespaces", of.namespace, "trusts", document=document)
    client.output.done(f"Trust {made.get('id', '')}: tokens of {issuer} stand for {robot}.", made)


@trust.command("test")
@click.argument("namespace")
@click.argument("number", metavar="ID")
@click.option("--jwt", "path", default="-", show_default=True, help="A file with a CI's token.")
@client_command
def trust_test(client: Client, namespace: str, number: str, path: str) -> None:
    """Say claim by claim whether a token would be let in; exit 7 if not. It is not used up."""
    document = {"token": read_token(path)}
    found = client.api.send(
        "POST", "namespaces", namespace, "trusts", number, "test", document=document
    )
    client.output.items(found.get("verdicts", []), VERDICTS, None)
    if not found.get("allowed"):
        raise Refused("The token is not let in.", why=str(found.get("reason", "")), exit_code=7)


@trust.command("remove")
@click.argument("namespace")
@click.argument("number", metavar="ID")
@client_command
def trust_remove(client: Client, namespace: str, number: str) -> None:
    """Remove a trust; whoever is in by it is out."""
    confirm(f"Remove the trust {number} of {namespace}?", yes=client.yes)
    client.api.send("DELETE", "namespaces", namespace, "trusts", number)
    client.output.done(f"Trust {number} is removed.")


def _rules_of(claims: tuple[str, ...]) -> list[dict[str, Any]]:
    rules: dict[str, list[str]] = {}
    for text in claims:
        claim, equals, pattern = text.partition("=")
        if not (claim and equals and pattern):
            raise Refused(
                f"{text!r} is not a claim.", do="Write it as ref=refs/heads/main.", exit_code=2
            )
        rules.setdefault(claim, []).append(pattern)
    return [{"claim": claim, "patterns": patterns} for claim, patterns in rules.items()]
