"""`moorage fsck`: whether everything is there and right, and what is kept that is not."""

import sys
import time
from typing import Any

import click

from moorage.cli.client import Client, client_command, with_options
from moorage.cli.interrupted import going_on
from moorage.cli.output import confirm
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import limit_of
from moorage.client.operations.verification import (
    NewRun,
    Run,
    discard_damage,
    get_verification,
    get_verification_run,
    list_damage,
    list_findings,
    list_verification_runs,
    start_verification,
)
from moorage.errors import Refused

FINDINGS = (
    Column("rule", "rule"),
    Column("what", "subject"),
    Column("problem", "problem"),
    Column("done", "repair"),
)
RUNS = (
    Column("id", "id"),
    Column("kind", "kind"),
    Column("began", "started_at", "time"),
    Column("state", "state"),
    Column("looked at", "looked"),
    Column("objects read", "objects"),
    Column("bytes", "bytes"),
    Column("found", "found"),
    Column("repaired", "repaired"),
    Column("reason", "reason"),
)
DAMAGE = (
    Column("id", "id"),
    Column("digest", "digest", "digest"),
    Column("why", "why"),
    Column("found", "found_at", "time"),
    Column("by", "found_by"),
    Column("blob is", "state"),
    Column("bytes", "size"),
    Column("kept at", "location"),
)
# As of `doctor` and `audit verify`: a check found problems.
_PROBLEMS = 7
_FAILED = 1
_POLL_SECONDS = 0.2
_SLOW_POLL_SECONDS = 2.0


@client_command
def _check(
    client: Client, *, fast: bool, full: bool, repair: bool, detach: bool, limit: str
) -> None:
    if fast and full:
        raise Refused("--fast and --full are two things.", exit_code=2)
    shown = limit_of(limit)
    asked: NewRun = {"kind": "full" if full else "fast", "repair": repair}
    run = start_verification(client.api, asked)
    if detach:
        client.output.done(f"Check {run['id']} begins as soon as there is time.", run)
        return
    _report(client, _wait(client, run), shown)


@click.group(cls=Group, invoke_without_command=True)
@click.option("--fast", is_flag=True, help="Check the metadata, and that objects are there.")
@click.option("--full", is_flag=True, help="Read the bytes of every object, too.")
@click.option("--repair", is_flag=True, help="Mend what can be mended without any risk.")
@click.option("--detach", is_flag=True, help="Do not wait for the end.")
@click.option("--limit", default="all", show_default=True, help="How many findings, or all.")
@with_options
@click.pass_context
def fsck(context: click.Context, /, **options: Any) -> None:
    """Check that everything is there and right, beside the running server; exit 7 if not.

    \b
    moorage fsck
    moorage fsck --full --repair
    moorage fsck show
    """
    if context.invoked_subcommand is None:
        _check(**options)


@fsck.command("list")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def fsck_list(client: Client, limit: str) -> None:
    """List checks and scrubs, the newest first."""
    client.output.items(list_verification_runs(client.api), RUNS, limit_of(limit))
    if client.output.is_for_people:
        state = get_verification(client.api)
        client.output.note(
            f"{state['lost']} blobs are lost."
            f" The bytes of all others were verified since {state['oldest_at'] or 'ever'}."
        )


@fsck.command("show")
@click.argument("number", metavar="[ID]", required=False)
@click.option("--wait", is_flag=True, help="Wait for its end.")
@click.option("--limit", default="all", show_default=True, help="How many findings, or all.")
@client_command
def fsck_show(client: Client, number: str | None, limit: str, *, wait: bool) -> None:
    """Show what a check found, the last one without an ID; exit 7 if something is wrong."""
    shown = limit_of(limit)
    if number is None:
        last = get_verification(client.api).get("last")
        if last is None:
            raise Refused("There was no check yet.", do="Begin one: moorage fsck.", exit_code=3)
        number = str(last["id"])
    run = get_verification_run(client.api, number)
    _report(client, _wait(client, run) if wait else run, shown)


@fsck.command("damage")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def fsck_damage(client: Client, limit: str) -> None:
    """List the blobs that are lost, and the damaged objects that are kept."""
    found = list_damage(client.api)
    rows = ({**each, "state": each["ending"] or "lost"} for each in found)
    client.output.items(rows, DAMAGE, limit_of(limit))


@fsck.command("discard")
@click.argument("number", metavar="ID")
@client_command
def fsck_discard(client: Client, number: str) -> None:
    """Delete a damaged object whose blob was pushed again or is needed no more."""
    confirm(f"Delete the damaged object {number} for good?", yes=client.yes)
    discard_damage(client.api, number)
    client.output.done(f"The object {number} is deleted as soon as there is time.")


def _wait(client: Client, run: Run) -> Run:
    """Return the run when it has ended, and tell a person meanwhile how far it is."""
    wait = _POLL_SECONDS
    step = ""
    with going_on(f"The check itself goes on: moorage fsck show {run['id']} --wait"):
        while run["state"] == "running":
            if client.output.is_for_people and run["step"] != step:
                step = run["step"]
                at = f"{run['steps_done'] + 1} of {run['steps']}"
                client.output.note(f"{at}: {step}, {run['looked']} looked at, {run['found']} found")
            time.sleep(wait)
            wait = min(wait * 1.5, _SLOW_POLL_SECONDS)
            run = get_verification_run(client.api, str(run["id"]))
    return run


def _report(client: Client, run: Run, limit: int | None) -> None:
    """Print a run with its findings, and end as it says."""
    found = list_findings(client.api, str(run["id"]))
    if client.output.form == "json":
        items = list(found)
        document = {**run, "findings": items[:limit]}
        client.output.one(document, ())
    elif client.output.is_for_people:
        if run["found"]:
            client.output.items(found, FINDINGS, limit)
        client.output.done(_told(run))
    else:
        client.output.items(found, FINDINGS, limit)
    sys.exit(_code(run))


def _told(run: Run) -> str:
    left = run["found"] - run["repaired"]
    looked = f"{run['looked']} rows and objects looked at"
    if run["objects"]:
        looked += f", {run['objects']} objects read ({run['bytes']} bytes)"
    if run["state"] == "running":
        return f"Check {run['id']} is under way at {run['step']}: {looked}, {run['found']} found."
    if run["state"] != "done":
        return f"Check {run['id']} has not come to its end: {run['reason']}. {looked}."
    if not run["found"]:
        return f"All is well: {looked}."
    return f"{looked}: {run['found']} found, {run['repaired']} repaired, {left} wrong still."


def _code(run: Run) -> int:
    if run["found"] > run["repaired"]:
        return _PROBLEMS
    return 0 if run["state"] in ("done", "running") else _FAILED
