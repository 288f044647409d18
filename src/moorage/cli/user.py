"""`moorage user` and `moorage invite`: accounts and the links by which they are made."""

import time

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import confirm
from moorage.cli.partly import for_each
from moorage.cli.sections import Command, Group
from moorage.cli.table import Column, relative, seconds_of
from moorage.cli.words import limit_of, team_of
from moorage.client.operations.accounts import (
    bind_account,
    change_account,
    create_account,
    delete_account,
    list_accounts,
)
from moorage.client.operations.links import MadeLink, create_link
from moorage.client.operations.second_factor import remove_totp
from moorage.client.operations.teams import add_member
from moorage.client.problems import ServerRefused

ACCOUNTS = (
    Column("name", "name"),
    Column("full name", "full_name"),
    Column("email", "email"),
    Column("enabled", "enabled"),
    Column("administrator", "administrator"),
    Column("second factor", "has_totp"),
    Column("from", "provider"),
    Column("made", "created_at", "time"),
)


@click.group(cls=Group)
def user() -> None:
    """Manage the accounts of people.

    \b
    moorage user list
    sudo moorage user link admin --server local
    moorage user disable alice
    """


@user.command("list")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def user_list(client: Client, limit: str) -> None:
    """List accounts."""
    client.output.items(list_accounts(client.api), ACCOUNTS, limit_of(limit))


@user.command("add")
@click.argument("name")
@click.option("--full-name", default="", help="What the person is called.")
@click.option("--email", default="", help="The person's address.")
@click.option("--administrator", is_flag=True, help="Let the account administer the registry.")
@click.option("--team", "teams", multiple=True, help="NAMESPACE/TEAM to be in; repeatable.")
@client_command
def user_add(
    client: Client,
    name: str,
    *,
    full_name: str,
    email: str,
    administrator: bool,
    teams: tuple[str, ...],
) -> None:
    """Make an account, and print a link by which its person chooses a password."""
    joined = [team_of(team) for team in teams]
    create_account(client.api, {"name": name, "full_name": full_name, "email": email})
    if administrator:
        change_account(client.api, name, {"administrator": True})
    for team in joined:
        add_member(client.api, team.namespace, team.name, name)
    _print_link(client, _password_link(client, name), f"{name} chooses a password")


@user.command("link")
@click.argument("name")
@client_command
def user_link(client: Client, name: str) -> None:
    """Print the set-up link while there is no account; else one for a new password."""
    try:
        made = _password_link(client, name)
    except ServerRefused as missing:
        if missing.status != 404:
            raise
        made = _setup_link(client, name, missing)
        _print_link(client, made, f"{name}, or whoever is first, makes the first account")
    else:
        _print_link(client, made, f"{name} chooses a new password")


@user.command("disable")
@click.argument("name")
@client_command
def user_disable(client: Client, name: str) -> None:
    """Let an account do nothing any more, from now on."""
    made = change_account(client.api, name, {"enabled": False})
    client.output.done(f"{name} is disabled.", made)


@user.command("enable")
@click.argument("name")
@client_command
def user_enable(client: Client, name: str) -> None:
    """Let a disabled account in again."""
    made = change_account(client.api, name, {"enabled": True})
    client.output.done(f"{name} is enabled.", made)


@user.command("delete")
@click.argument("name")
@client_command
def user_delete(client: Client, name: str) -> None:
    """Delete an account with its tokens and rights; its repositories stay."""
    confirm(f"Delete the account {name}?", yes=client.yes)
    delete_account(client.api, name)
    client.output.done(f"{name} is deleted.")


@user.command("mfa-reset")
@click.argument("name")
@client_command
def user_mfa_reset(client: Client, name: str) -> None:
    """Take the second factor from an account, of somebody who has lost it."""
    confirm(f"Let {name} in by the password alone?", yes=client.yes)
    remove_totp(client.api, name, {})
    client.output.done(f"{name} has no second factor any more.")


@click.command(cls=Command)
@click.argument("people", nargs=-1, required=True)
@click.option("--team", "teams", multiple=True, help="NAMESPACE/TEAM to be in; repeatable.")
@client_command
def invite(client: Client, people: tuple[str, ...], teams: tuple[str, ...]) -> None:
    """Print a link for each of the people, by name or e-mail address, to make an account with.

    \b
    moorage invite alice bob
    moorage invite alice@example.com --team web/dev
    moorage invite carol -o json
    """

    def ask(person: str) -> None:
        name = person.partition("@")[0].lower()
        _print_link(client, _invite(client, name, teams), f"{person} makes an account")

    for_each(client.output, people, ask)


def _invite(client: Client, name: str, teams: tuple[str, ...]) -> MadeLink:
    named = [f"{team.namespace}/{team.name}" for team in map(team_of, teams)]
    return create_link(client.api, {"kind": "invitation", "name": name, "teams": named})


def _password_link(client: Client, name: str) -> MadeLink:
    return create_link(client.api, {"kind": "password", "name": name})


def _setup_link(client: Client, name: str, missing: ServerRefused) -> MadeLink:
    """Return the link for the first account, with the name proposed.

    Where there is an account already, `missing` is what is wrong.
    """
    try:
        return create_link(client.api, {"kind": "setup", "name": name})
    except ServerRefused as refused:
        if refused.status == 409:
            raise missing from None
        raise


def _print_link(client: Client, made: MadeLink, told: str) -> None:
    until = relative(seconds_of(made.get("expires_at")), time.time())
    link = f"{client.api.url}{made.get('path', '')}"
    told = f"With this link {told}. It is good once, and ends {until}:"
    client.output.secret(link, told, {**made, "url": link})


@user.command("bind")
@click.argument("name")
@click.argument("provider", required=False, default="")
@click.argument("subject", required=False, default="")
@client_command
def user_bind(client: Client, name: str, provider: str, subject: str) -> None:
    """Have an account be whom a provider knows as SUBJECT; with neither, nobody's outside."""
    made = bind_account(client.api, name, {"provider": provider, "subject": subject})
    told = f"{subject} of {provider}" if provider else "nobody's outside"
    client.output.done(f"{name} is {told}.", made)
