"""What is told when somebody interrupts a command: how that goes on which it was about."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from moorage.errors import Refused


@contextmanager
def going_on(how: str) -> Iterator[None]:
    """Have an interruption end what is done inside, and say how it goes on.

    Raises:
        Refused: it was interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        click.echo(err=True)
        raise Refused("It was interrupted.", do=how, exit_code=130) from None
