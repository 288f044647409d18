"""`moorage job`: the work that no request waits for."""

import click

from moorage.cli.client import Client, client_command
from moorage.cli.output import confirm
from moorage.cli.sections import Group
from moorage.cli.table import Column
from moorage.cli.words import limit_of
from moorage.client.operations.jobs import cancel_job, get_job, list_jobs, retry_job

JOBS = (
    Column("id", "id"),
    Column("name", "name"),
    Column("state", "state"),
    Column("due", "due", "time"),
    Column("tries", "tries"),
    Column("error", "error"),
)
JOB = (
    Column("id", "id"),
    Column("name", "name"),
    Column("key", "key"),
    Column("state", "state"),
    Column("due", "due", "time"),
    Column("tries", "tries"),
    Column("at most", "most_tries"),
    Column("error", "error"),
    Column("finished", "finished_at", "time"),
    Column("payload", "payload"),
)
STATES = click.Choice(["waiting", "running", "done", "dead", "cancelled"])


@click.group(cls=Group)
def job() -> None:
    """Look at the work that no request waits for.

    \b
    moorage job list
    moorage job list --state dead
    moorage job retry 4711
    """


@job.command("list")
@click.option("--state", type=STATES, help="Only those; dead are the ones that were given up.")
@click.option("--limit", default="50", show_default=True, help="How many, or all.")
@client_command
def job_list(client: Client, state: str | None, limit: str) -> None:
    """List jobs, the newest first."""
    found = list_jobs(client.api, state=state or "")
    client.output.items(found, JOBS, limit_of(limit))


@job.command("show")
@click.argument("number", metavar="ID")
@client_command
def job_show(client: Client, number: str) -> None:
    """Show a job with what it was given to do, and why it failed."""
    client.output.one(get_job(client.api, number), JOB)


@job.command("retry")
@click.argument("number", metavar="ID")
@client_command
def job_retry(client: Client, number: str) -> None:
    """Have a job run now, with all of its tries before it."""
    made = retry_job(client.api, number)
    client.output.done(f"Job {number}, {made.get('name', '')}, runs as soon as it can.", made)


@job.command("cancel")
@click.argument("number", metavar="ID")
@client_command
def job_cancel(client: Client, number: str) -> None:
    """Give up a job; one that runs stops soon, and what it has done stays."""
    confirm(f"Give up the job {number}?", yes=client.yes)
    made = cancel_job(client.api, number)
    client.output.done(f"Job {number}, {made.get('name', '')}, is cancelled.", made)
