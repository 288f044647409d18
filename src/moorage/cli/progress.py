"""How far a command is that takes long."""

import json
import sys
import time

import click

from moorage.cli.options import How
from moorage.registry.move import Step

_SECONDS = {"terminal": 0.1, "json": 1.0, "lines": 5.0}
_BAR = 10


class Progress:
    """Tells a terminal all the time, and anything else now and then: on standard error."""

    def __init__(self, how: How = "auto") -> None:
        """Have told nothing yet; `json` is a document a line, `none` is silent."""
        self._how = how if how != "auto" else "terminal" if sys.stderr.isatty() else "lines"
        self._told = 0.0
        self._open = False
        self._began: dict[str, tuple[float, int]] = {}

    def tell(self, step: Step) -> None:
        """Show how far it is."""
        now = time.monotonic()
        self._began.setdefault(step.what, (now, step.done))
        if self._how == "none" or now - self._told < _SECONDS[self._how]:
            return
        self._told = now
        if self._how == "json":
            told = {"what": step.what, "done": step.done, "total": step.total or None}
            click.echo(json.dumps(told), err=True)
            return
        line = line_of(step, now - self._began[step.what][0], self._began[step.what][1])
        self._open = self._how == "terminal"
        click.echo(f"\r{line:<78}" if self._open else line, err=True, nl=not self._open)

    def say(self, line: str) -> None:
        """Show a line of its own."""
        self.end()
        if self._how != "none":
            click.echo(json.dumps({"told": line}) if self._how == "json" else line, err=True)

    def end(self) -> None:
        """End the line that is being shown."""
        if self._open:
            click.echo(err=True)
        self._open = False


def line_of(step: Step, seconds: float, before: int) -> str:
    """Return how far a step is that has gone from `before` on for so many seconds."""
    if not step.total:
        return f"{step.what}: {step.done}"
    full = _BAR * step.done // step.total
    share = f"{100 * step.done // step.total} %"
    line = f"{step.what}  {'█' * full}{'░' * (_BAR - full)}  {share}  {step.done}/{step.total}"
    rate = (step.done - before) / seconds if seconds > 1 else 0.0
    return f"{line}  eta {_short((step.total - step.done) / rate)}" if rate else line


def _short(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7_200 else f"{whole // 3_600} h"
