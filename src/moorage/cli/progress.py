"""How far a command is that takes long."""

import sys
import time

import click

from moorage.registry.move import Step

_SECONDS = 5.0


class Progress:
    """Tells a terminal all the time, and anything else now and then."""

    def __init__(self) -> None:
        """Have told nothing yet."""
        self._terminal = sys.stderr.isatty()
        self._told = 0.0
        self._open = False

    def tell(self, step: Step) -> None:
        """Show how far it is."""
        now = time.monotonic()
        if now - self._told < (0.1 if self._terminal else _SECONDS):
            return
        self._told = now
        share = f" ({100 * step.done // step.total} %)" if step.total else ""
        line = f"{step.what}: {step.done}{share}"
        click.echo(f"\r{line:<60}" if self._terminal else line, err=True, nl=not self._terminal)
        self._open = self._terminal

    def say(self, line: str) -> None:
        """Show a line of its own."""
        self.end()
        click.echo(line, err=True)

    def end(self) -> None:
        """End the line that is being shown."""
        if self._open:
            click.echo(err=True)
        self._open = False
