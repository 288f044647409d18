"""`moorage token`: your own tokens."""

import time

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import confirm
from moorage.cli.sections import Group
from moorage.cli.table import Column, relative, seconds_of
from moorage.cli.words import days_of, limit_of, scopes_of
from moorage.client.operations.robots import MadeToken, NewToken
from moorage.client.operations.tokens import create_token, list_tokens, revoke_token, rotate_token

TOKENS = (
    Column("id", "id"),
    Column("name", "name"),
    Column("begins with", "mark"),
    Column("may", "scopes"),
    Column("expires", "expires_at", "time"),
    Column("last used", "last_used_at", "time"),
)


@click.group(cls=Group)
def token() -> None:
    """Manage your tokens, each good for what it says only.

    \b
    moorage token create jenkins --may push:web/** --expires 90d
    moorage token list
    moorage token rotate 17
    """


@token.command("create")
@click.argument("name")
@click.option(
    "--may", "scopes", multiple=True, help="ACTIONS:REPOSITORY or ACTIONS:NAMESPACE/**; repeatable."
)
@click.option("--expires", default="90d", show_default=True, help="90d, 12w, a date, or never.")
@client_command
def token_create(client: Client, name: str, scopes: tuple[str, ...], expires: str) -> None:
    """Make a token, and print it: it is not shown again."""
    document = token_document(name, scopes, expires)
    print_token(client, create_token(client.api, document))


@token.command("list")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def token_list(client: Client, limit: str) -> None:
    """List your tokens."""
    client.output.items(list_tokens(client.api), TOKENS, limit_of(limit))


@token.command("rotate")
@click.argument("number", metavar="ID")
@click.option(
    "--overlap", default=24, show_default=True, help="Hours that the old one is good beside it."
)
@client_command
def token_rotate(client: Client, number: str, overlap: int) -> None:
    """Make a token like this one, and print it: it is not shown again."""
    print_token(client, rotate_token(client.api, number, {"overlap_hours": overlap}))


@token.command("revoke")
@click.argument("number", metavar="ID")
@client_command
def token_revoke(client: Client, number: str) -> None:
    """End a token, from now on."""
    confirm(f"Revoke the token {number}?", yes=client.yes)
    revoke_token(client.api, number)
    client.output.done(f"Token {number} is revoked.")


def token_document(name: str, scopes: tuple[str, ...], expires: str) -> NewToken:
    """Return the request for a token; without scopes it may what its owner may.

    Raises:
        Refused: a scope or the time is not written as one.
    """
    limits = scopes_of(scopes) if scopes else None
    return {"name": name, "scopes": limits, "days": days_of(expires)}


def print_token(client: Client, made: MadeToken) -> None:
    """Print a token that was just made."""
    token = made.get("token", {})
    ends = seconds_of(token.get("expires_at"))
    until = f"it expires {relative(ends, time.time())}" if ends else "it never expires"
    told = f"Token {token.get('id', '')}, {token.get('name', '')}: {until}. It is not shown again:"
    client.output.secret(str(made.get("secret", "")), told, made)
