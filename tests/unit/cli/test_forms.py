"""YAML and CSV: read back as they were, whatever is in them."""

import csv
import io
import json

import pytest

from moorage.cli.forms import table_of_csv, yaml
from moorage.cli.output import Output
from moorage.cli.table import Column, size_text
from moorage.errors import Refused

ROWS = [
    {"name": "b", "size": 10, "at": None, "labels": ["x"]},
    {"name": "a", "size": 2_000, "at": None, "labels": []},
    {"name": "c", "size": None, "at": None, "labels": []},
]
COLUMNS = (
    Column("name", "name"),
    Column("size", "size", "size"),
    Column("labels", "labels", wide=True),
)


def test_yaml_of_a_document() -> None:
    document = {"name": "web/shop", "tags": ["1.0", "latest"], "by": {"actor": None}, "none": []}
    assert yaml(document) == (
        'name: web/shop\ntags:\n  - "1.0"\n  - latest\nby:\n  actor: null\nnone: []\n'
    )
    assert yaml([{"a": 1, "b": 2}, [3]]) == "- a: 1\n  b: 2\n- - 3\n"


@pytest.mark.parametrize("text", ["yes", "1", "-", "", "a: b", "#", "\x1b", "*x", "é", "null", "~"])
def test_texts_that_yaml_would_take_for_something_else_are_quoted(text: str) -> None:
    assert yaml({"a": text}) == f"a: {json.dumps(text)}\n"


def test_csv_can_be_read_back() -> None:
    rows = [['a "b"', "c,d"], ["line\nend", ""]]
    assert list(csv.reader(io.StringIO(table_of_csv(["x", "y"], rows)))) == [["x", "y"], *rows]


@pytest.mark.parametrize("text", ["=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(1)", "\t=1", "-x"])
def test_csv_has_a_spreadsheet_compute_nothing(text: str) -> None:
    [_, row] = csv.reader(io.StringIO(table_of_csv(["x", "y"], [[text, "1"]]), newline=""))
    assert row == [f"'{text}", "1"]


def test_numbers_and_names_stay_as_they_are_in_csv() -> None:
    cells = ["-5", "-0.5", "-", "", "10", "web/shop", "sha256:aa", "web+ci", "v1=2", "a@b.example"]
    assert table_of_csv(["x"] * len(cells), [cells]).splitlines()[1] == ",".join(cells)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("name", "b\na\nc\n"),
        ("csv", "name,size,labels\nb,10,x\na,2000,\nc,,\n"),
        ("table", "NAME  SIZE\nb     10 B\na     2.0 kB\nc\n"),
        ("wide", "NAME  SIZE    LABELS\nb     10 B    x\na     2.0 kB\nc\n"),
        ("plain", "b\t10\tx\na\t2000\t\nc\t\t\n"),
    ],
)
def test_forms_of_a_list(form: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    Output(form).items(ROWS, COLUMNS, None)
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("sort", "names"), [("name", "abc"), ("-name", "cba"), ("size", "cba"), ("-size", "abc")]
)
def test_lists_are_sorted_before_they_are_cut(
    sort: str, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Output("name", sort=sort).items(ROWS, COLUMNS, 2)
    told = capsys.readouterr()
    assert told.out.split() == list(names[:2])
    assert "There are more" in told.err


def test_columns_are_chosen_by_title(capsys: pytest.CaptureFixture[str]) -> None:
    Output("table", columns="labels, name").items(ROWS[:1], COLUMNS, None)
    assert capsys.readouterr().out == "LABELS  NAME\nx       b\n"
    with pytest.raises(Refused, match="no column"):
        Output("table", columns="colour").items(ROWS, COLUMNS, None)
    with pytest.raises(Refused, match="no column"):
        Output("table", sort="-colour").items(ROWS, COLUMNS, None)


def test_colours_are_for_those_who_want_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("CLICOLOR_FORCE", "1")
    Output("table").items(ROWS, COLUMNS, None)
    assert "\x1b[" in capsys.readouterr().out
    Output("table", no_color=True).items(ROWS, COLUMNS, None)
    assert "\x1b[" not in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    Output("table").items(ROWS, COLUMNS, None)
    assert "\x1b[" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (2_100_000, "2.1 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes(size: int, told: str) -> None:
    assert size_text(size) == told
    assert size_text(-size, signed=True) == (f"-{told}" if size else told)
    assert size_text(size, signed=True) == (f"+{told}" if size else told)
