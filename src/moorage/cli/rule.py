"""`moorage rule`: which tags may be made, moved and deleted by whom."""

from collections.abc import Iterator
from typing import Literal

import click

from moorage.cli.client import Client, client_command
from moorage.cli.complete import repositories
from moorage.cli.output import confirm
from moorage.cli.reference import REFERENCE
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import is_repository, limit_of
from moorage.client.operations.rules import (
    NewRule,
    create_repository_rule,
    create_rule,
    delete_repository_rule,
    delete_rule,
    list_repository_rules,
    list_rules,
    try_rule,
)

RULES = (
    Column("id", "id"),
    Column("tags", "pattern"),
    Column("but not", "exceptions"),
    Column("make", "create"),
    Column("move", "move"),
    Column("delete", "delete"),
    Column("since", "created_at", "time"),
    Column("by", "created_by"),
)
Least = Literal["writer", "maintainer", "owner", "nobody"]
WHO = click.Choice(["writer", "maintainer", "owner", "nobody"])
TAGS = (Column("tag", "name"),)


@click.group(cls=Group)
def rule() -> None:
    """Say which tags stay as they are.

    \b
    moorage rule add web 'v*' --except 'v*-rc*'
    moorage rule add web/shop latest --move maintainer --delete maintainer
    moorage rule list web/shop
    """


@rule.command("list")
@click.argument("place", metavar="NAMESPACE|REPOSITORY", type=REFERENCE)
@click.option("--limit", default="all", show_default=True, help="How many, or all.")
@client_command
def rule_list(client: Client, place: str, limit: str) -> None:
    """List the rules of a namespace or of a repository itself."""
    listed = list_repository_rules if is_repository(place) else list_rules
    client.output.items(listed(client.api, place), RULES, limit_of(limit))


@rule.command("add")
@click.argument("place", metavar="NAMESPACE|REPOSITORY", type=REFERENCE)
@click.argument("pattern")
@click.option("--except", "exceptions", multiple=True, help="Tags that it is not for; repeatable.")
@click.option("--create", type=WHO, default="writer", show_default=True, help="Who makes them.")
@click.option("--move", type=WHO, default="nobody", show_default=True, help="Who moves them.")
@click.option("--delete", type=WHO, default="nobody", show_default=True, help="Who deletes them.")
@client_command
def rule_add(
    client: Client, place: str, pattern: str, exceptions: tuple[str, ...], **needs: Least
) -> None:
    """Add a rule for the tags of a pattern; without more, they stay for ever."""
    document: NewRule = {
        "pattern": pattern,
        "exceptions": list(exceptions),
        "create": needs["create"],
        "move": needs["move"],
        "delete": needs["delete"],
    }
    create = create_repository_rule if is_repository(place) else create_rule
    made = create(client.api, place, document)
    client.output.done(f"Rule {made.get('id', '')} is for {pattern} in {place}.", made)


@rule.command("test")
@click.argument("repository", type=REFERENCE, shell_complete=repositories)
@click.argument("pattern")
@click.option("--except", "exceptions", multiple=True, help="Tags that it is not for; repeatable.")
@client_command
def rule_test(client: Client, repository: str, pattern: str, exceptions: tuple[str, ...]) -> None:
    """List the tags of a repository that a rule would be for."""
    client.output.items(_tried(client, repository, pattern, exceptions), TAGS, None)


@rule.command("remove")
@click.argument("place", metavar="NAMESPACE|REPOSITORY", type=REFERENCE)
@click.argument("number", metavar="ID")
@client_command
def rule_remove(client: Client, place: str, number: str) -> None:
    """Remove a rule."""
    confirm(f"Remove the rule {number} of {place}?", yes=client.yes)
    delete = delete_repository_rule if is_repository(place) else delete_rule
    delete(client.api, place, number)
    client.output.done(f"Rule {number} is removed.")


def _tried(
    client: Client, repository: str, pattern: str, exceptions: tuple[str, ...]
) -> Iterator[dict[str, str]]:
    after = ""
    while True:
        found = try_rule(
            client.api,
            repository,
            {"pattern": pattern, "exceptions": list(exceptions), "after": after},
        )
        yield from ({"name": tag} for tag in found["tags"])
        after = found["after"]
        if not after:
            return
