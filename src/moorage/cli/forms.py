"""Documents as YAML and CSV, for programs that would rather have these."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_INDENT = "  "
# What begins a number, a mark or a word that YAML takes for something else is quoted.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SAFE = _PLAIN | frozenset("0123456789-_./")
# What a spreadsheet would compute, and is no number: anybody may give a thing such a name.
_FORMULA = re.compile(r"\A(?:[=+@\t]|-(?![0-9.]*\Z))")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def yaml(value: Any) -> str:
    """Return a JSON document as YAML in block style."""
    return "\n".join(_lines(value, 0)) + "\n"


def table_of_csv(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under their titles as CSV (RFC 4180), with plain line feeds.

    What a spreadsheet would take for a formula has a ' before it, which has it taken for a text.
    """
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows([_FORMULA.sub(r"'\g<0>", each, count=1) for each in row] for row in rows)
    return made.getvalue()


def _lines(value: Any, depth: int) -> list[str]:
    before = _INDENT * depth
    if isinstance(value, Mapping) and value:
        lines = []
        for key, each in value.items():
            name = f"{before}{_scalar(str(key))}:"
            lines += _under(name, each, depth + 1)
        return lines
    if isinstance(value, list) and value:
        lines = []
        for each in value:
            found = _lines(each, depth + 1)
            lines.append(f"{before}- {found[0].lstrip()}")
            lines += found[1:]
        return lines
    return [before + _scalar(value)]


def _under(name: str, value: Any, depth: int) -> list[str]:
    if isinstance(value, Mapping | list) and value:
        return [name, *_lines(value, depth)]
    return [f"{name} {_scalar(value)}"]


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        is_plain = bool(value) and value[0] in _PLAIN and _SAFE.issuperset(value)
        if is_plain and value.lower() not in _WORDS:
            return value
    return json.dumps(value)
