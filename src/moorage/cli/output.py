"""What commands print: tables for people, JSON and plain lines for programs."""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, NamedTuple

import click

from moorage.errors import Refused

Form = Literal["table", "json", "jsonl", "plain"]
FORMS = ("table", "json", "jsonl", "plain")
_UNITS = (
    (365 * 86_400, "year"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
)
_WIDEST = 60
_DIGEST = len("sha256:") + 12  # of which people know one again; programs get all of it


class Column(NamedTuple):
    """A column: its title, where its value is in a document, and how it is shown."""

    title: str
    key: str
    kind: Literal["text", "time", "digest"] = "text"


class Output:
    """Prints in the form that was asked for."""

    def __init__(self, form: Form) -> None:
        """Print in this form."""
        self.form = form

    @property
    def is_for_people(self) -> bool:
        """Whether a person reads it."""
        return self.form == "table"

    def items(
        self, found: Iterable[Mapping[str, Any]], columns: Sequence[Column], limit: int | None
    ) -> None:
        """Print a list, of at most so many items."""
        shown = iter(found)
        rows = list(shown if limit is None else islice(shown, limit))
        if self.form == "json":
            click.echo(json.dumps(rows, indent=2))
        elif self.form == "jsonl":
            for row in rows:
                click.echo(json.dumps(row))
        elif self.form == "plain":
            for row in rows:
                click.echo("\t".join(plain(row, column) for column in columns))
        else:
            click.echo(table(rows, columns, time.time()) if rows else "There are none.")
        if limit is not None and next(shown, None) is not None:
            click.echo("There are more: --limit all shows them.", err=True)

    def one(self, document: Mapping[str, Any], columns: Sequence[Column]) -> None:
        """Print one thing, each of its columns on a line."""
        if self.form in ("json", "jsonl"):
            click.echo(json.dumps(document, indent=2 if self.form == "json" else None))
            return
        now = time.time()
        width = max(len(column.title) for column in columns)
        for column in columns:
            if self.form == "plain":
                click.echo(f"{column.key}\t{plain(document, column)}")
            elif shown := cell(document, column, now):
                click.echo(f"{column.title:<{width}}  {shown}")

    def done(self, told: str, document: Mapping[str, Any] | None = None) -> None:
        """Say that something was done; programs get the document, if there is one."""
        if self.form in ("json", "jsonl"):
            click.echo(json.dumps(document or {}, indent=2 if self.form == "json" else None))
        else:
            click.echo(told)

    def note(self, told: str) -> None:
        """Say something beside what was asked for, on standard error."""
        click.echo(clean(told), err=True)

    def secret(self, secret: str, told: str, document: Mapping[str, Any]) -> None:
        """Print what is shown once: alone on standard output, and to people what it is."""
        if self.form in ("json", "jsonl"):
            click.echo(json.dumps(document, indent=2 if self.form == "json" else None))
            return
        if self.is_for_people:
            click.echo(told, err=True)
        click.echo(secret)

    def refuse(self, refused: Refused) -> None:
        """Print what went wrong on standard error."""
        if self.form in ("json", "jsonl"):
            error = {
                "code": getattr(refused, "code", ""),
                "message": refused.what,
                "why": refused.why,
                "do": refused.do,
                "request_id": getattr(refused, "request_id", ""),
            }
            click.echo(json.dumps({"error": error}), err=True)
            return
        for label, text in (("Error", refused.what), ("Why", refused.why), ("Do", refused.do)):
            if text:
                click.echo(f"{label}: {clean(text)}", err=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person; `--yes` is the answer of a program.

    Raises:
        Refused: nobody is there to ask.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"{question} Nobody is there to say so.", do="Add --yes.", exit_code=2)
    click.confirm(question, abort=True, err=True)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], now: float) -> str:
    """Return the rows under the columns' titles; what is too long is cut."""
    cells = [[column.title.upper() for column in columns]]
    cells += [[_cut(cell(row, column, now)) for column in columns] for row in rows]
    widths = [max(map(len, each)) for each in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def cell(document: Mapping[str, Any], column: Column, now: float) -> str:
    """Return a value as a person reads it."""
    value = _value(document, column.key)
    if column.kind == "time":
        moment = seconds_of(value)
        return relative(moment, now) if moment else "never"
    if column.kind == "digest":
        return _shown(value)[:_DIGEST]
    return _shown(value)


def plain(document: Mapping[str, Any], column: Column) -> str:
    """Return a value on one line without tabs; times as they came."""
    return _shown(_value(document, column.key))


def seconds_of(value: Any) -> float:
    """Return a time of the API as seconds since 1970, 0 for none."""
    if isinstance(value, str) and value:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return value / 1_000 if isinstance(value, int | float) else 0.0


def relative(moment: float, now: float) -> str:
    """Return a time as people say it: `3 days ago`, `in 2 hours`."""
    distance = abs(moment - now)
    for seconds, name in _UNITS:
        # What expires in 89.99 days was asked for as 90.
        count = int((distance + (seconds / 50 if moment > now else 0)) // seconds)
        if count:
            told = f"{count} {name}{'s' if count > 1 else ''}"
            return f"in {told}" if moment > now else f"{told} ago"
    return "in a moment" if moment > now else "just now"


def clean(text: str) -> str:
    """Return a text of somebody else's without what would steer the terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _value(document: Any, key: str) -> Any:
    for part in key.split("."):
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _shown(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    if isinstance(value, Mapping):
        return clean(" ".join(f"{key}={_shown(each)}" for key, each in value.items()))
    return clean(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
