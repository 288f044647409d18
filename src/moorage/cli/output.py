"""What commands print: tables for people, JSON and other plain forms for programs."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, NamedTuple

import click

from moorage.cli.clean import clean, clean_lines
from moorage.cli.forms import table_of_csv, yaml
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
_UNITS = (
    (365 * 86_400, "year"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
)
_WIDEST = 60
_DIGEST = len("sha256:") + 12  # of which people know one again; programs get all of it
_STEP = 1_000
_SIZES = ("B", "kB", "MB", "GB", "TB")


class Column(NamedTuple):
    """A column: its title, where its value is in a document, and how it is shown.

    One that is `wide` is in wide tables only, and in what programs read. `say` turns what is no
    plain value into words, wherever it is not printed as a document.
    """

    title: str
    key: str
    kind: Literal["text", "time", "digest", "size", "change"] = "text"
    wide: bool = False
    say: Callable[[Any], str] | None = None


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

    def items(
        self, found: Iterable[Mapping[str, Any]], columns: Sequence[Column], limit: int | None
    ) -> None:
        """Print a list, of at most so many items.

        Raises:
            Refused: it can't be sorted by that.
        """
        shown = iter(self._sorted(found, columns) if self._sort else found)
        rows = list(shown if limit is None else islice(shown, limit))
        if self.form in _DOCUMENTS:
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
            longest = None if self.form == "wide" else _WIDEST
            printed = table(rows, self._chosen(columns), time.time(), longest)
            told, rest = printed.split("\n", 1)
            self.tell(f"{self.styled(told, bold=True)}\n{rest}")
        else:
            click.echo("There are none.")
        if limit is not None and next(shown, None) is not None and not self._is_quiet:
            click.echo(self._more(shown), err=True)

    def _more(self, left: Iterator[Any]) -> str:
        """Return what is said of a list that goes on; people are told how far."""
        if not self.is_for_people:
            return "There are more: --limit all shows them."
        count = 1 + sum(1 for _ in islice(left, _COUNTED))
        told = f"more than {_COUNTED:,}" if count > _COUNTED else f"{count}"
        return f"… {told} more (--limit all)"

    def one(self, document: Mapping[str, Any], columns: Sequence[Column]) -> None:
        """Print one thing, each of its columns on a line."""
        if self.form in _DOCUMENTS:
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
            key=lambda row: _sortable(_said(row, column)),
            reverse=self._sort.startswith("-"),
        )

    def done(self, told: str, document: Mapping[str, Any] | None = None) -> None:
        """Say that something was done; programs get the document, if there is one."""
        if self.form in _DOCUMENTS:
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
        if self.form in _DOCUMENTS:
            self.document(document)
            return
        if self.is_for_people:
            click.echo(told, err=True)
        click.echo(secret)

    def refuse(self, refused: Refused) -> None:
        """Print what went wrong on standard error."""
        if self.form in _DOCUMENTS:
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


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    now: float,
    longest: int | None = _WIDEST,
) -> str:
    """Return the rows under the columns' titles.

    What has more than `longest` characters is cut to as many; None leaves everything whole.
    """
    cells = [[column.title.upper() for column in columns]]
    cells += [[_cut(cell(row, column, now), longest) for column in columns] for row in rows]
    widths = [max(map(len, each)) for each in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def cell(document: Mapping[str, Any], column: Column, now: float) -> str:
    """Return a value as a person reads it."""
    value = _said(document, column)
    if column.kind == "time":
        moment = seconds_of(value)
        return relative(moment, now) if moment else "never"
    if column.kind == "digest":
        return _shown(value)[:_DIGEST]
    if column.kind in ("size", "change") and isinstance(value, int):
        return size_text(value, signed=column.kind == "change")
    return _shown(value)


def plain(document: Mapping[str, Any], column: Column) -> str:
    """Return a value on one line without tabs; times as they came."""
    return _shown(_said(document, column))


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


def size_text(size: int, *, signed: bool = False) -> str:
    """Return a number of bytes as people write it, in steps of a thousand."""
    mark = "-" if size < 0 else "+" if signed and size else ""
    value, step = float(abs(size)), 0
    while value >= _STEP and step < len(_SIZES) - 1:
        value /= _STEP
        step += 1
    return f"{mark}{value:.1f} {_SIZES[step]}" if step else f"{mark}{abs(size)} {_SIZES[0]}"


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
    return (2, 0.0, _shown(value))


def _value(document: Any, key: str) -> Any:
    for part in key.split("."):
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _said(document: Mapping[str, Any], column: Column) -> Any:
    value = _value(document, column.key)
    return value if column.say is None or value is None else column.say(value)


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


def _cut(text: str, longest: int | None) -> str:
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"
