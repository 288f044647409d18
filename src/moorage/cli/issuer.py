"""`moorage issuer`: whose identity tokens namespaces may trust."""

from typing import Literal

import click

from moorage.cli.client import Client, client_command, read_token
from moorage.cli.output import confirm
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import limit_of
from moorage.client.operations.issuers import (
    NewIssuer,
    change_issuer,
    create_issuer,
    delete_issuer,
    list_issuers,
)

Kind = Literal["github", "gitlab", "jenkins", "kubernetes", "generic"]
KINDS = click.Choice(["github", "gitlab", "jenkins", "kubernetes", "generic"])
ISSUERS = (
    Column("id", "id"),
    Column("address", "url"),
    Column("kind", "kind"),
    Column("shared", "shared"),
    Column("keys kept here", "own_keys"),
    Column("enabled", "enabled"),
)


@click.group(cls=Group)
def issuer() -> None:
    """Say whose tokens namespaces may trust; for administrators.

    \b
    moorage issuer add https://token.actions.githubusercontent.com --kind github
    moorage issuer add https://prod.example --kind kubernetes --jwks keys.json
    moorage issuer list
    """


@issuer.command("list")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def issuer_list(client: Client, limit: str) -> None:
    """List issuers."""
    client.output.items(list_issuers(client.api), ISSUERS, limit_of(limit))


@issuer.command("add")
@click.argument("url")
@click.option("--kind", type=KINDS, default="generic", show_default=True, help="What it is.")
@click.option("--shared", is_flag=True, help="Strangers run workloads there too.")
@click.option("--jwks", default="", help="A file with its keys, if it can't be reached.")
@click.option("--ca-file", default="", help="The server's file with the authority of its TLS.")
@client_command
def issuer_add(
    client: Client, url: str, *, kind: Kind, shared: bool, jwks: str, ca_file: str
) -> None:
    """Register an issuer by its address, which its tokens must have as `iss`."""
    document: NewIssuer = {"url": url, "kind": kind, "shared": shared, "ca_file": ca_file}
    if jwks:
        document["jwks"] = read_token(jwks)
    made = create_issuer(client.api, document)
    client.output.done(f"{url} is registered as {made.get('id', '')}.", made)


@issuer.command("disable")
@click.argument("number", metavar="ID")
@client_command
def issuer_disable(client: Client, number: str) -> None:
    """Let nobody in by its tokens, from now on."""
    made = change_issuer(client.api, number, {"enabled": False})
    client.output.done(f"Issuer {number} is disabled.", made)


@issuer.command("enable")
@click.argument("number", metavar="ID")
@client_command
def issuer_enable(client: Client, number: str) -> None:
    """Take its tokens again."""
    made = change_issuer(client.api, number, {"enabled": True})
    client.output.done(f"Issuer {number} is enabled.", made)


@issuer.command("remove")
@click.argument("number", metavar="ID")
@client_command
def issuer_remove(client: Client, number: str) -> None:
    """Forget an issuer that no trust names."""
    confirm(f"Remove the issuer {number}?", yes=client.yes)
    delete_issuer(client.api, number)
    client.output.done(f"Issuer {number} is removed.")
