"""What commands print: tables for people, JSON and other plain forms for programs."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import click

from moorage.cli.clean import clean, clean_lines
from moorage.cli.forms import table_of_csv, yaml
from moorage.cli.table import Column, cell, plain, said, shown_of, table
from moorage.cli.template import Template
from moorage.errors import Refused

FORMS = ("table", "wide", "json", "jsonl", "yaml", "csv", "name", "plain")
TEMPLATE = "go-style"
_DOCUMENTS = ("json", "jsonl", "yaml", TEMPLATE)
# How far is counted what a limit leaves out: more pages than these are not worth the number.
_COUNTED = 1_000
# What programs are told of a refusal that is none of a server's, by its exit code.
_CODES = {
    2: "USAGE",
    3: "NOT_FOUND",
    4: "DENIED",
    5: "PROTECTED",
    6: "PARTLY_DONE",
    7: "PROBLEMS_FOUND",
    8: "UNREACHABLE",
    9: "CONFLICT",
}


class Output:
    """Prints in the form that was asked for."""

    def __init__(
        self,
        form: str,
        *,
        columns: str = "",
        sort: str = "",
        no_color: bool = False,
        quiet: bool = False,
    ) -> None:
        """Print in this form, which is one of `FORMS` or `go-style=TEMPLATE`.

        `columns` are titles or keys with commas between them; `sort` is one of them, with `-`
        before it for the largest first. Who wants it quiet is told nothing but what was asked for.

        Raises:
            Refused: the template has something in it that isn't known.
        """
        self.form, _, template = form.partition("=")
        self._template = Template(template)
        self._is_quiet = quiet
        self._columns = [each.strip() for each in columns.split(",") if each.strip()]
        self._sort = sort
        self.is_coloured = not no_color and _may_colour()

    @property
    def is_for_people(self) -> bool:
        """Whether a person reads it."""
        return self.form in ("table", "wide")

    @property
    def is_document(self) -> bool:
        """Whether it is a document, as the API has it."""
        return self.form in _DOCUMENTS

    def items(
        self, found: Iterable[Mapping[str, Any]], columns: Sequence[Column], limit: int | None
    ) -> None:
        """Print a list, of at most so many items.

        Raises:
            Refused: it can't be sorted by that.
        """
        shown = iter(self._sorted(found, columns) if self._sort else found)
        rows = list(shown if limit is None else islice(shown, limit))
        if self.is_document:
            self._documents(rows)
        elif self.form == "name":
            for row in rows:
                click.echo(plain(row, columns[0]))
        elif self.form == "csv":
            chosen = self._chosen(columns)
            values = ([plain(row, column) for column in chosen] for row in rows)
            click.echo(table_of_csv([each.title for each in chosen], values), nl=False)
        elif self.form == "plain":
            for row in rows:
                click.echo("\t".join(plain(row, column) for column in self._chosen(columns)))
        elif rows:
            printed = table(rows, self._chosen(columns), time.time(), **self._bounds())
            told, rest = printed.split("\n", 1)
            self.tell(f"{self.styled(told, bold=True)}\n{rest}")
        else:
            click.echo("There are none.")
        if limit is not None and next(shown, None) is not None and not self._is_quiet:
            click.echo(self._more(shown), err=True)

    def _bounds(self) -> dict[str, int | None]:
        """Return how long a value and a line may be: a terminal has no line that goes on."""
        if self.form == "wide":
            return {"longest": None}
        if sys.stdout.isatty():
            return {"longest": None, "width": shutil.get_terminal_size().columns}
        return {}

    def _more(self, left: Iterator[Any]) -> str:
        """Return what is said of a list that goes on; people are told how far."""
        if not self.is_for_people:
            return "There are more: --limit all shows them."
        count = 1 + sum(1 for _ in islice(left, _COUNTED))
        told = f"more than {_COUNTED:,}" if count > _COUNTED else f"{count}"
        return f"… {told} more (--limit all)"

    def one(self, document: Mapping[str, Any], columns: Sequence[Column]) -> None:
        """Print one thing, each of its columns on a line."""
        if self.is_document:
            self.document(document)
            return
        chosen = self._chosen(columns)
        if self.form == "name":
            click.echo(plain(document, columns[0]))
            return
        if self.form == "csv":
            values = [plain(document, column) for column in chosen]
            click.echo(table_of_csv([each.title for each in chosen], [values]), nl=False)
            return
        now = time.time()
        width = max(len(column.title) for column in chosen)
        for column in chosen:
            if self.form == "plain":
                click.echo(f"{column.key}\t{plain(document, column)}")
            elif shown := cell(document, column, now):
                click.echo(f"{column.title:<{width}}  {shown}")

    def document(self, document: Any) -> None:
        """Print a document as JSON, or as YAML if that was asked for."""
        if self.form == TEMPLATE:
            click.echo(self._template.write(document))
        elif self.form == "yaml":
            click.echo(yaml(document), nl=False)
        else:
            click.echo(json.dumps(document, indent=None if self.form == "jsonl" else 2))

    def tell(self, text: str) -> None:
        """Print a text that may have colours."""
        click.echo(text, color=self.is_coloured)

    def styled(self, text: str, **style: Any) -> str:
        """Return the text with colours, where there may be any."""
        return click.style(text, **style) if self.is_coloured else text

    def _documents(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if self.form in ("jsonl", TEMPLATE):
            for row in rows:
                self.document(row)
        else:
            self.document(rows)

    def _chosen(self, columns: Sequence[Column]) -> Sequence[Column]:
        if not self._columns:
            return [each for each in columns if not each.wide or self.form != "table"]
        return [_named(name, columns) for name in self._columns]

    def _sorted(
        self, found: Iterable[Mapping[str, Any]], columns: Sequence[Column]
    ) -> list[Mapping[str, Any]]:
        column = _named(self._sort.removeprefix("-"), columns)
        return sorted(
            found,
            key=lambda row: _sortable(said(row, column)),
            reverse=self._sort.startswith("-"),
        )

    def done(self, told: str, document: Mapping[str, Any] | None = None) -> None:
        """Say that something was done; programs get the document, if there is one."""
        if self.is_document:
            self.document(document or {})
        elif self.form != "name" and not self._is_quiet:
            click.echo(clean(told))

    def note(self, told: str) -> None:
        """Say something beside what was asked for, on standard error."""
        if not self._is_quiet:
            click.echo(clean(told), err=True)

    def trace(self, told: str) -> None:
        """Say what is going on, to whoever asked for that."""
        click.echo(clean(told), err=True)

    def secret(self, secret: str, told: str, document: Mapping[str, Any]) -> None:
        """Print what is shown once: alone on standard output, and to people what it is."""
        if self.is_document:
            self.document(document)
            return
        if self.is_for_people:
            click.echo(told, err=True)
        click.echo(secret)

    def refuse(self, refused: Refused) -> None:
        """Print what went wrong on standard error."""
        if self.is_document:
            click.echo(json.dumps({"error": error_of(refused)}), err=True)
            return
        for line in lines_of(refused):
            click.echo(clean(line), err=True)


def error_of(refused: Refused) -> dict[str, str]:
    """Return what programs are told of a refusal."""
    return {
        "code": getattr(refused, "code", _CODES.get(refused.exit_code, "FAILED")),
        "message": refused.what,
        "why": refused.why,
        "do": refused.do,
        "request_id": getattr(refused, "request_id", ""),
    }


def lines_of(refused: Refused) -> Iterator[str]:
    """Yield what people are told of a refusal: what happened, why, and what to do.

    A server's has the number under which its log has more.
    """
    told = {"Error": refused.what, "Why": refused.why, "Do": refused.do}
    told["Ref"] = getattr(refused, "request_id", "")
    for label, text in told.items():
        if text:
            yield f"{label}: {text}"


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


def for_terminal(text: str) -> str:
    """Return a document as it is, but to a terminal without what would steer it."""
    if not sys.stdout.isatty():
        return text
    return clean_lines(text)


def _may_colour() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0") or sys.stdout.isatty()


def _named(name: str, columns: Sequence[Column]) -> Column:
    """Return the column of that title or key.

    Raises:
        Refused: there is none.
    """
    for column in columns:
        if name in (column.title, column.key):
            return column
    raise Refused(
        f"There is no column {name!r}.",
        do=f"They are {', '.join(column.title for column in columns)}.",
        exit_code=2,
    )


def _sortable(value: Any) -> tuple[int, float, str]:
    """Return what puts numbers in their order, then texts in theirs, and nothing first."""
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, int | float):
        return (1, float(value), "")
    return (2, 0.0, shown_of(value))
