"""`moorage tag`: the tags of a repository, what they were, and how they came to be so."""

import click

from moorage.cli.alike import suggesting
from moorage.cli.client import Client, client_command
from moorage.cli.complete import images, repositories
from moorage.cli.output import Column, confirm
from moorage.cli.words import image_of, limit_of, other_of, tagged_of, time_of
from moorage.client.operations.images import list_tag_lines
from moorage.client.operations.tagging import SetTag, delete_tag, set_tag
from moorage.client.operations.tags import RestoreTag, list_tag_moves, list_tags, restore_tag
from moorage.errors import Refused

TAGS = (
    Column("tag", "name"),
    Column("digest", "digest", "digest"),
    Column("since", "since", "time"),
    Column("size", "content_size", "size"),
    Column("grown", "grown", "change"),
    Column("platforms", "platforms"),
    Column("kind", "kind", wide=True),
    Column("through", "by.through", wide=True),
    Column("by", "by.actor"),
)
# What they were at some time is told without their images.
TAGS_THEN = (
    Column("tag", "name"),
    Column("digest", "digest", "digest"),
    Column("since", "since", "time"),
    Column("through", "by.through"),
    Column("by", "by.actor"),
)
MOVES = (
    Column("version", "version"),
    Column("when", "at", "time"),
    Column("from", "before", "digest"),
    Column("to", "after", "digest"),
    Column("through", "by.through"),
    Column("by", "by.actor"),
)


@click.group()
def tag() -> None:
    """Look at tags as they are and were, set them, and undo their moves.

    \b
    moorage tag list web/shop --as-of 2026-09-14
    moorage tag set web/shop:stable :1.4
    moorage tag restore web/shop:latest
    """


@tag.command("list")
@click.argument("repository", shell_complete=repositories)
@click.option("--as-of", default="", help="As they were then: 2026-09-14, or with a time; UTC.")
@click.option("--newest", is_flag=True, help="The image that was pushed last first.")
@click.option("--filter", "pattern", default="", help="How they begin, or a pattern as 'v1.*'.")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def tag_list(
    client: Client, repository: str, *, as_of: str, newest: bool, pattern: str, limit: str
) -> None:
    """List the tags of a repository, as they are or were at some time."""
    if as_of and (newest or pattern):
        raise Refused(
            "--as-of goes with neither --newest nor --filter.",
            why="What tags were is told by their names.",
            exit_code=2,
        )
    with suggesting(client.api, repository):
        if as_of:
            then = list_tags(client.api, repository, as_of=time_of(as_of))
            client.output.items(then, TAGS_THEN, limit_of(limit))
            return
        sort = "newest" if newest else ""
        found = list_tag_lines(client.api, repository, sort=sort, filter=pattern)
        client.output.items(found, TAGS, limit_of(limit))


@tag.command("show")
@click.argument("reference", metavar="REPOSITORY:TAG", shell_complete=images)
@client_command
def tag_show(client: Client, reference: str) -> None:
    """Show a tag: what it names, since when, and through what."""
    repository, name = tagged_of(reference)
    with suggesting(client.api, repository, name):
        for found in list_tag_lines(client.api, repository, filter=name, limit=1):
            if found["name"] == name:
                client.output.one(found, TAGS)
                return
            break
        list_tag_moves(client.api, repository, name, limit=1)
    raise Refused(f"{reference} was deleted.", do=f"moorage tag undelete {reference}", exit_code=3)


@tag.command("set")
@click.argument("reference", metavar="REPOSITORY:TAG", shell_complete=images)
@click.argument("source", metavar="IMAGE", shell_complete=images)
@click.option("--expect", default="", metavar="DIGEST", help="Only if it names this one now.")
@client_command
def tag_set(client: Client, reference: str, source: str, expect: str) -> None:
    """Have a tag name IMAGE, of its own repository; `:1.4` is short for that."""
    repository, name = tagged_of(reference)
    place, wanted = other_of(source, repository)
    if place != repository:
        raise Refused(
            f"{source} is in another repository.",
            do=f"moorage tag copy {source} {reference} copies it.",
            exit_code=2,
        )
    _put(client, (repository, name), (place, wanted), expect)


@tag.command("copy")
@click.argument("source", metavar="IMAGE", shell_complete=images)
@click.argument("reference", metavar="REPOSITORY:TAG", shell_complete=images)
@click.option("--expect", default="", metavar="DIGEST", help="Only if the tag names this one now.")
@client_command
def tag_copy(client: Client, source: str, reference: str, expect: str) -> None:
    """Copy IMAGE to a tag, of any repository; the server reads no byte of it for that."""
    _put(client, tagged_of(reference), image_of(source), expect)


@tag.command("delete")
@click.argument("references", metavar="REPOSITORY:TAG…", nargs=-1, required=True)
@client_command
def tag_delete(client: Client, references: tuple[str, ...]) -> None:
    """Delete tags; the images that they name stay, and so do their other tags."""
    places = [tagged_of(each) for each in references]
    confirm(f"Delete {', '.join(references)}? Pulls by it fail at once.", yes=client.yes)
    for reference, (repository, name) in zip(references, places, strict=True):
        with suggesting(client.api, repository, name):
            delete_tag(client.api, repository, name)
        client.output.done(
            f"{reference} is deleted. To have it back: moorage tag undelete {reference}",
            {"repository": repository, "tag": name},
        )


@tag.command("history")
@click.argument("reference", metavar="REPOSITORY:TAG", shell_complete=images)
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def tag_history(client: Client, reference: str, limit: str) -> None:
    """List the moves of a tag, newest first."""
    repository, name = tagged_of(reference)
    with suggesting(client.api, repository, name):
        found = list_tag_moves(client.api, repository, name)
        client.output.items(found, MOVES, limit_of(limit))


@tag.command("restore")
@click.argument("reference", metavar="REPOSITORY:TAG")
@click.option("--to", default="", help="A digest or a version of its history; else the last move.")
@client_command
def tag_restore(client: Client, reference: str, to: str) -> None:
    """Have a tag name what it named before; of a deleted one, what it named last."""
    _restore(client, reference, to)


@tag.command("undelete")
@click.argument("reference", metavar="REPOSITORY:TAG")
@client_command
def tag_undelete(client: Client, reference: str) -> None:
    """Bring a deleted tag back, with the image that it named."""
    repository, name = tagged_of(reference)
    with suggesting(client.api, repository, name):
        last = next(list_tag_moves(client.api, repository, name, limit=1))
    if last["after"] is not None:
        raise Refused(
            f"{reference} is not deleted.",
            do=f"moorage tag restore {reference} has it name what it named before.",
            exit_code=9,
        )
    _restore(client, reference, "")


def _put(client: Client, target: tuple[str, str], source: tuple[str, str], expect: str) -> None:
    repository, name = target
    place, wanted = source
    document: SetTag = {"reference": wanted}
    if place != repository:
        document["source"] = place
    if expect:
        document["expected"] = expect
    with suggesting(client.api, place, wanted):
        made = set_tag(client.api, repository, name, document)
    digest, before = made.get("digest", ""), made.get("before")
    was = "it was so already" if before == digest else f"it was {before or 'nothing'}"
    client.output.done(f"{repository}:{name} is {digest}; {was}.", made)


def _restore(client: Client, reference: str, to: str) -> None:
    repository, name = tagged_of(reference)
    document: RestoreTag = {}
    if to:
        document = {"version": int(to)} if to.isascii() and to.isdigit() else {"digest": to}
    made = restore_tag(client.api, repository, name, document)
    was = made.get("before") or "nothing"
    client.output.done(f"{reference} is {made.get('digest', '')} again; it was {was}.", made)
