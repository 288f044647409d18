"""`moorage gc`: what collection removed and would remove, and why something is still there."""

from typing import Any

import click

from moorage.cli.client import Client, client_command, with_options
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import limit_of
from moorage.client.operations.collection import (
    Planned,
    Reason,
    explain_collection,
    get_collection,
    list_collection_runs,
    preview_collection,
    resume_collection,
    start_collection,
)
from moorage.errors import Refused

RUNS = (
    Column("began", "started_at", "time"),
    Column("run", "kind"),
    Column("state", "state"),
    Column("looked at", "looked"),
    Column("kept", "kept"),
    Column("manifests", "manifests"),
    Column("blobs", "blobs"),
    Column("objects", "objects"),
    Column("bytes", "bytes"),
    Column("reason", "reason"),
)
PLAN = (
    Column("what", "kind"),
    Column("repository", "repository"),
    Column("digest", "digest"),
    Column("bytes", "size"),
    Column("would", "would"),
)
_WHY = {
    "leased": "a push has just been told that it is there",
    "trash": "it was deleted and can still be restored",
    "named": "a manifest names it",
    "held": "it is held",
    "live": "it is not deleted",
}


@client_command
def _look(client: Client, *, dry_run: bool, explain: str | None, now: bool, limit: str) -> None:
    if sum((dry_run, explain is not None, now)) > 1:
        raise Refused("--dry-run, --explain and --now are three things.", exit_code=2)
    if dry_run:
        _show_plan(client, limit)
    elif explain is not None:
        _explain(client, explain)
    elif now:
        started = start_collection(client.api)
        client.output.done("A run begins as soon as there is time.", started)
    else:
        _show_runs(client, limit)


@click.group(cls=Group, invoke_without_command=True)
@click.option("--dry-run", is_flag=True, help="Say what the next run would do, and why.")
@click.option("--explain", metavar="DIGEST", help="Say what keeps this content, everywhere.")
@click.option("--now", is_flag=True, help="Have a run begin.")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@with_options
@click.pass_context
def gc(context: click.Context, /, **options: Any) -> None:
    """Look at collection, which is always on, and says what it removed and why things stay.

    \b
    moorage gc
    moorage gc --explain sha256:5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270
    moorage gc resume
    """
    if context.invoked_subcommand is None:
        _look(**options)


@gc.command("resume")
@client_command
def resume(client: Client) -> None:
    """Let collection go on that has stopped, whatever share it then removes within a day."""
    resumed = resume_collection(client.api)
    pause = resumed.get("pause")
    told = f"It goes on. It had stopped: {pause['reason']}." if pause else "It had not stopped."
    client.output.done(told, resumed)


def _show_runs(client: Client, limit: str) -> None:
    state = get_collection(client.api)
    client.output.items(list_collection_runs(client.api), RUNS, limit_of(limit))
    pause = state.get("pause")
    if pause and client.output.is_for_people:
        until = pause.get("until") or "somebody says `moorage gc resume`"
        client.output.note(f"Nothing is removed until {until}: {pause['reason']}.")


def _show_plan(client: Client, limit: str) -> None:
    count = limit_of(limit) or 1_000
    plan = preview_collection(client.api, limit=min(count, 1_000))
    rows = [{**each, "would": _would(each)} for each in plan.get("items", [])]
    client.output.items(rows, PLAN, None)
    if plan.get("more"):
        client.output.note("There are more candidates behind these.")


def _would(planned: Planned) -> str:
    if planned["goes"]:
        return "go"
    return f"stay: {_WHY.get(planned['why'], planned['why'])}"


def _explain(client: Client, digest: str) -> None:
    found = explain_collection(client.api, digest=digest)
    places = found.get("items", [])
    if not client.output.is_for_people:
        client.output.one(found, (Column("digest", "digest"), Column("items", "items")))
        return
    if not places:
        client.output.done(f"No repository has {digest}.")
    for place in places:
        where = f"{place['repository'] or 'a repository that is gone'} ({place['kind']})"
        if not place["reasons"]:
            client.output.done(f"{where}: nothing keeps it, the next run removes it")
        for reason in place["reasons"]:
            client.output.done(f"{where}: kept because {_told(reason)}")


def _told(reason: Reason) -> str:
    tags = ", ".join(reason["tags"])
    if reason["why"] == "named":
        where = " in the trash" if reason["in_trash"] else ""
        return f"the manifest {reason['by']}{where} names it{f' ({tags})' if tags else ''}"
    told = _WHY[reason["why"]]
    if reason["by"]:
        told += f", {reason['by']}"
    if tags:
        told += f" ({tags})"
    return told + (f", until {reason['until']}" if reason["until"] else "")
