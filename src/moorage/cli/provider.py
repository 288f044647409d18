"""`moorage provider`: where people from outside sign in."""

import click

from moorage.cli.client import Client, client_command, read_token
from moorage.cli.output import confirm
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import limit_of
from moorage.client.operations.providers import (
    NewProvider,
    change_provider,
    create_provider,
    delete_provider,
    get_provider,
    list_providers,
)

PROVIDERS = (
    Column("name", "name"),
    Column("address", "url"),
    Column("client", "client_id"),
    Column("secret", "has_secret"),
    Column("enabled", "enabled"),
    Column("sign in at", "sign_in"),
)

PROVIDER = (
    *PROVIDERS,
    Column("scopes", "scopes"),
    Column("claim of the name", "name_claim"),
    Column("claim of the groups", "groups_claim"),
    Column("made", "created_at", "time"),
)


@click.group(cls=Group)
def provider() -> None:
    """Let people sign in by OpenID providers; for administrators.

    \b
    moorage provider add corp https://login.example --client-id moorage --secret-file secret
    moorage team group add web/dev corp developers
    moorage provider list
    """


@provider.command("list")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def provider_list(client: Client, limit: str) -> None:
    """List providers."""
    client.output.items(list_providers(client.api), PROVIDERS, limit_of(limit))


@provider.command("show")
@click.argument("name")
@client_command
def provider_show(client: Client, name: str) -> None:
    """Show one provider; its secret is shown to nobody."""
    client.output.one(get_provider(client.api, name), PROVIDER)


@provider.command("add")
@click.argument("name")
@click.argument("url")
@click.option("--client-id", required=True, help="What the registry is called there.")
@click.option("--secret-file", default="", help="A file with its secret there; - to read it.")
@click.option(
    "--scopes", default="openid profile email", show_default=True, help="What to ask for."
)
@click.option(
    "--name-claim",
    default="preferred_username",
    show_default=True,
    help="The claim that names new accounts.",
)
@click.option(
    "--groups-claim", default="groups", show_default=True, help="The claim with people's groups."
)
@client_command
def provider_add(client: Client, name: str, url: str, **options: str) -> None:
    """Register a provider by its address, which its tokens must have as `iss`."""
    secret_file = options.pop("secret_file")
    document: NewProvider = {
        "name": name,
        "url": url,
        "client_id": options["client_id"],
        "scopes": options["scopes"],
        "name_claim": options["name_claim"],
        "groups_claim": options["groups_claim"],
    }
    if secret_file:
        document["client_secret"] = read_token(secret_file)
    made = create_provider(client.api, document)
    client.output.done(f"{name} is registered. People sign in at {made.get('sign_in', '')}.", made)


@provider.command("secret")
@click.argument("name")
@click.argument("secret_file", metavar="FILE")
@client_command
def provider_secret(client: Client, name: str, secret_file: str) -> None:
    """Keep another secret for the registry at the provider; - to read it."""
    made = change_provider(client.api, name, {"client_secret": read_token(secret_file)})
    client.output.done(f"The secret at {name} is another one.", made)


@provider.command("disable")
@click.argument("name")
@client_command
def provider_disable(client: Client, name: str) -> None:
    """Let nobody sign in by it from now on."""
    made = change_provider(client.api, name, {"enabled": False})
    client.output.done(f"{name} is disabled.", made)


@provider.command("enable")
@click.argument("name")
@client_command
def provider_enable(client: Client, name: str) -> None:
    """Let people sign in by it again."""
    made = change_provider(client.api, name, {"enabled": True})
    client.output.done(f"{name} is enabled.", made)


@provider.command("remove")
@click.argument("name")
@client_command
def provider_remove(client: Client, name: str) -> None:
    """Forget a provider that no account and no team hangs on."""
    confirm(f"Remove the provider {name}?", yes=client.yes)
    delete_provider(client.api, name)
    client.output.done(f"{name} is removed.")
