"""`moorage tag`: the tags of a repository, what they were, and how they came to be so."""

from datetime import datetime
from typing import Any

import click

from moorage.cli.alike import suggesting
from moorage.cli.client import Client, client_command, dry_run_option
from moorage.cli.complete import images, repositories
from moorage.cli.diff import compare, comparing
from moorage.cli.output import confirm
from moorage.cli.partly import for_each
from moorage.cli.reference import REFERENCE
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import image_of, limit_of, other_of, tagged_of, time_of
from moorage.client.operations.images import get_image, list_tag_lines
from moorage.client.operations.tagging import SetTag, delete_tag, set_tag
from moorage.client.operations.tags import Move, RestoreTag, list_tag_moves, list_tags, restore_tag
from moorage.client.problems import ServerRefused
from moorage.errors import Refused

_NOT_FOUND = 404
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
TAGS_ENDED = (
    Column("tag", "name"),
    Column("named", "digest", "digest"),
    Column("deleted", "since", "time"),
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


@click.group(cls=Group)
def tag() -> None:
    """Look at tags as they are and were, set them, and undo their moves.

    \b
    moorage tag list web/shop --as-of 2026-09-14
    moorage tag set web/shop:stable :1.4
    moorage tag restore web/shop:latest
    """


@tag.command("list")
@click.argument("repository", type=REFERENCE, shell_complete=repositories)
@click.option("--as-of", default="", help="As they were then: 2026-09-14, or with a time; UTC.")
@click.option("--deleted", is_flag=True, help="Those that were deleted and can be restored.")
@click.option("--newest", is_flag=True, help="The image that was pushed last first.")
@click.option("--filter", "pattern", default="", help="How they begin, or a pattern as 'v1.*'.")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def tag_list(  # noqa: PLR0913 - one argument for each of its options
    client: Client,
    repository: str,
    *,
    as_of: str,
    deleted: bool,
    newest: bool,
    pattern: str,
    limit: str,
) -> None:
    """List the tags of a repository, as they are or were at some time."""
    if (as_of or deleted) and (newest or pattern or (as_of and deleted)):
        raise Refused(
            "--as-of and --deleted go with neither --newest nor --filter, nor together.",
            why="What tags were is told by their names.",
            exit_code=2,
        )
    with suggesting(client.api, repository):
        if deleted:
            ended = list_tags(client.api, repository, deleted="true")
            client.output.items(ended, TAGS_ENDED, limit_of(limit))
            return
        if as_of:
            then = list_tags(client.api, repository, as_of=time_of(as_of))
            client.output.items(then, TAGS_THEN, limit_of(limit))
            return
        sort = "newest" if newest else ""
        found = list_tag_lines(client.api, repository, sort=sort, filter=pattern)
        client.output.items(found, TAGS, limit_of(limit))


@tag.command("show")
@click.argument("reference", metavar="REPOSITORY:TAG", type=REFERENCE, shell_complete=images)
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


@tag.command("diff")
@click.argument("reference", metavar="REPOSITORY:TAG", type=REFERENCE, shell_complete=images)
@click.option("--version", type=int, help="What it named at this version of its history.")
@click.option("--as-of", default="", help="What it named then: 2026-09-14, or with a time; UTC.")
@comparing
@client_command
def tag_diff(
    client: Client, reference: str, *, version: int | None, as_of: str, **how: str | None
) -> None:
    """Show how the image that a tag names differs from the one before it."""
    repository, name = tagged_of(reference)
    if version is not None and as_of:
        raise Refused("--version and --as-of are two things.", exit_code=2)
    with suggesting(client.api, repository, name):
        moves = list(list_tag_moves(client.api, repository, name))
    before = _named_before(reference, moves, version, time_of(as_of) if as_of else "")
    compare(client, (repository, before), (repository, name), **how)


@tag.command("set")
@click.argument("reference", metavar="REPOSITORY:TAG", type=REFERENCE, shell_complete=images)
@click.argument("source", metavar="IMAGE", type=REFERENCE, shell_complete=images)
@click.option("--expect", default="", metavar="DIGEST", help="Only if it names this one now.")
@dry_run_option
@client_command
def tag_set(client: Client, reference: str, source: str, expect: str, *, dry_run: bool) -> None:
    """Have a tag name IMAGE, of its own repository; `:1.4` is short for that."""
    repository, name = tagged_of(reference)
    place, wanted = other_of(source, repository)
    if place != repository:
        raise Refused(
            f"{source} is in another repository.",
            do=f"moorage tag copy {source} {reference} copies it.",
            exit_code=2,
        )
    act = _would_put if dry_run else _put
    act(client, (repository, name), (place, wanted), expect)


@tag.command("copy")
@click.argument("source", metavar="IMAGE", type=REFERENCE, shell_complete=images)
@click.argument("reference", metavar="REPOSITORY:TAG", type=REFERENCE, shell_complete=images)
@click.option("--expect", default="", metavar="DIGEST", help="Only if the tag names this one now.")
@dry_run_option
@client_command
def tag_copy(client: Client, source: str, reference: str, expect: str, *, dry_run: bool) -> None:
    """Copy IMAGE to a tag, of any repository; the server reads no byte of it for that."""
    act = _would_put if dry_run else _put
    act(client, tagged_of(reference), image_of(source), expect)


@tag.command("delete")
@click.argument(
    "references",
    metavar="REPOSITORY:TAG…",
    type=REFERENCE,
    nargs=-1,
    required=True,
    shell_complete=images,
)
@dry_run_option
@client_command
def tag_delete(client: Client, references: tuple[str, ...], *, dry_run: bool) -> None:
    """Delete tags; the images that they name stay, and so do their other tags."""
    places = {each: tagged_of(each) for each in references}
    if not dry_run:
        confirm(f"Delete {', '.join(references)}? Pulls by it fail at once.", yes=client.yes)

    def delete(reference: str) -> None:
        repository, name = places[reference]
        told: dict[str, Any] = {"repository": repository, "tag": name}
        if dry_run:
            now = _digest_of(client, repository, name)
            if now is None:
                # It is refused where there has never been one.
                next(list_tag_moves(client.api, repository, name, limit=1), None)
                raise Refused(f"{reference} is deleted already.", exit_code=3)
            told["digest"] = now
            client.output.done(f"{reference} would be deleted; it is {now}.", told)
            return
        with suggesting(client.api, repository, name):
            delete_tag(client.api, repository, name)
        undo = f"moorage tag undelete {reference}"
        client.output.done(f"{reference} is deleted. To have it back: {undo}", told)

    for_each(client.output, tuple(places), delete)


@tag.command("history")
@click.argument("reference", metavar="REPOSITORY:TAG", type=REFERENCE, shell_complete=images)
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def tag_history(client: Client, reference: str, limit: str) -> None:
    """List the moves of a tag, newest first."""
    repository, name = tagged_of(reference)
    with suggesting(client.api, repository, name):
        found = list_tag_moves(client.api, repository, name)
        client.output.items(found, MOVES, limit_of(limit))


@tag.command("restore")
@click.argument("reference", metavar="REPOSITORY:TAG", type=REFERENCE)
@click.option("--to", default="", help="A digest or a version of its history; else the last move.")
@client_command
def tag_restore(client: Client, reference: str, to: str) -> None:
    """Have a tag name what it named before; of a deleted one, what it named last."""
    _restore(client, reference, to)


@tag.command("undelete")
@click.argument("reference", metavar="REPOSITORY:TAG", type=REFERENCE)
@client_command
def tag_undelete(client: Client, reference: str) -> None:
    """Bring a deleted tag back, with the image that it named."""
    undelete_tag(client, reference)


def undelete_tag(client: Client, reference: str) -> None:
    """Bring a deleted tag back.

    Raises:
        Refused: it is not deleted, or never was there.
    """
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


def _named_before(reference: str, moves: list[Move], version: int | None, at: str) -> str:
    """Return the digest that a tag named at some version or time, else the last other one.

    Raises:
        Refused: it named nothing then.
    """
    found: list[str | None]
    if version is not None:
        found = [move["after"] for move in moves if move["version"] == version]
    elif at:
        until = datetime.fromisoformat(at)
        found = [move["after"] for move in moves if _was_by(move, until)]
    else:
        found = [move["after"] for move in moves if move["after"] not in (None, moves[0]["after"])]
    if not found or found[0] is None:
        raise Refused(
            f"{reference} named nothing {'else before' if version is None and not at else 'then'}.",
            do=f"moorage tag history {reference} lists what it named.",
            exit_code=3,
        )
    return found[0]


def _was_by(move: Move, until: datetime) -> bool:
    return move["at"] is not None and datetime.fromisoformat(move["at"]) <= until


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


def _would_put(
    client: Client, target: tuple[str, str], source: tuple[str, str], expect: str
) -> None:
    """Say what `_put` would do, by what is there at this moment.

    Raises:
        Refused: there is no such image, or the tag does not name the one expected.
    """
    repository, name = target
    with suggesting(client.api, *source):
        digest = get_image(client.api, *source)["digest"]
    before = _digest_of(client, repository, name)
    if expect and expect != before:
        raise Refused(
            f"{repository}:{name} is {before or 'nothing'}, and not what is expected.", exit_code=9
        )
    now = "that is what it is now" if before == digest else f"it is {before or 'nothing'} now"
    document = {"digest": digest, "before": before}
    client.output.done(f"{repository}:{name} would be {digest}; {now}.", document)


def _digest_of(client: Client, repository: str, name: str) -> str | None:
    """Return what a tag names now, None if nothing, or if there is no such repository."""
    try:
        last = next(list_tag_moves(client.api, repository, name, limit=1), None)
    except ServerRefused as refused:
        if refused.status != _NOT_FOUND:
            raise
        return None
    return last["after"] if last is not None else None


def _restore(client: Client, reference: str, to: str) -> None:
    repository, name = tagged_of(reference)
    document: RestoreTag = {}
    if to:
        document = {"version": int(to)} if to.isascii() and to.isdigit() else {"digest": to}
    made = restore_tag(client.api, repository, name, document)
    was = made.get("before") or "nothing"
    client.output.done(f"{reference} is {made.get('digest', '')} again; it was {was}.", made)
