"""`moorage migrate`: brings a database to this release's schema, or says what that would do."""

import click

from moorage.app import prepare, schema_state
from moorage.config import Config
from moorage.db.migrate import refuse_unusable
from moorage.errors import Refused


def migrate(config: Config, *, check: bool) -> None:
    """Run the steps that the database lacks; with `check`, only say which those are.

    Raises:
        Refused: the database can't be used by this release; with `check` also, with exit code 8,
            when steps are to be run.
    """
    state = schema_state(config)
    click.echo(f"The database has schema {state.found}, this release wants {state.wanted}.")
    refuse_unusable(state)
    if not state.steps:
        click.echo("Nothing is to be done.")
        return
    for step in state.steps:
        click.echo(f"  {step}")
    if check:
        raise Refused(
            f"{len(state.steps)} steps are to be run.",
            do="Run `moorage migrate`, or start the server, which does it by itself.",
            exit_code=8,
        )
    prepare(config)
    click.echo("Done.")
