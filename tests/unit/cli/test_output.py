"""What commands print: always the same for programs, and nothing that steers a terminal."""

import json
import sys

import pytest

from moorage.cli.clean import clean
from moorage.cli.output import Output, for_terminal
from moorage.cli.table import Column, plain, relative, seconds_of, table
from moorage.client.problems import refusal_of
from moorage.errors import Refused

NOW = 1_800_000_000.0
COLUMNS = (Column("name", "name"), Column("made", "at", "time"), Column("on", "on"))
ROWS = [
    {"name": "alice", "at": "2027-01-12T08:00:00Z", "on": True},
    {"name": "bo", "at": None, "on": False},
]


def test_a_table() -> None:
    assert table(ROWS, COLUMNS, NOW) == (
        "NAME   MADE        ON\nalice  3 days ago  yes\nbo     never       no"
    )


def test_digests_are_cut_for_people_only() -> None:
    digest = "sha256:" + "0123456789ab" * 5
    column = Column("digest", "digest", "digest")
    assert table([{"digest": digest}, {"digest": None}], (column,), NOW) == (
        f"DIGEST\n{digest[:19]}\n"
    )
    assert plain({"digest": digest}, column) == digest


@pytest.mark.parametrize(
    ("distance", "told"),
    [
        (-5, "just now"),
        (-61, "1 minute ago"),
        (-3_599, "59 minutes ago"),
        (-7_300, "2 hours ago"),
        (-86_400 * 45, "45 days ago"),
        (5, "in a moment"),
        (86_400 * 90 - 3, "in 90 days"),
        (86_400 * 29, "in 29 days"),
        (86_400 * 800, "in 2 years"),
    ],
)
def test_times_are_relative(distance: float, told: str) -> None:
    assert relative(NOW + distance, NOW) == told


@pytest.mark.parametrize("value", [None, "", 0])
def test_no_time_is_none(value: object) -> None:
    assert seconds_of(value) == 0


def test_times_of_the_api() -> None:
    assert seconds_of("2027-01-15T08:00:00+00:00") == NOW
    assert seconds_of("2027-01-15T08:00:00Z") == NOW
    assert seconds_of("2027-01-15T08:00:00") == NOW
    assert seconds_of(NOW * 1000) == NOW


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_document_does_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    """A README goes to a file as it was given; a person at a terminal may only read it."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    text = "# Shop\n\tit\x1b]0;owned\x07\x9b2J\u202e\r"
    shown = "# Shop\n\tit\ufffd]0;owned\ufffd\ufffd2J\ufffd\ufffd"
    assert for_terminal(text) == (shown if is_terminal else text)


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\r", "\x07", "\u202e", "\x9b31m"])
def test_nothing_steers_the_terminal(text: str) -> None:
    """A description is somebody else's; it must not rewrite what stands above it."""
    for shown in (
        clean(text),
        table([{"name": text}], COLUMNS[:1], NOW).partition("\n")[2],
        plain({"name": text}, COLUMNS[0]),
        plain({"name": [text]}, COLUMNS[0]),
        plain({"name": {"key": text}}, COLUMNS[0]),
    ):
        assert shown.isprintable()


def test_what_is_too_long_is_cut() -> None:
    assert max(map(len, table([{"name": "x" * 500}], COLUMNS[:1], NOW).splitlines())) == 60


@pytest.mark.parametrize(("form", "told"), [("table", "x" * 59 + "…"), ("wide", "x" * 500)])
def test_a_wide_table_cuts_nothing(
    form: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Output(form, no_color=True).items([{"name": "x" * 500}], COLUMNS[:1], None)
    assert capsys.readouterr().out == f"NAME\n{told}\n"


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("json", json.dumps(ROWS, indent=2) + "\n"),
        ("jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("plain", "alice\t2027-01-12T08:00:00Z\tyes\nbo\t\tno\n"),
    ],
)
def test_lists_for_programs(form: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    Output(form).items(ROWS, COLUMNS, None)
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("table", "PLACE\n<web>\n\n"),
        ("csv", "place\n<web>\n\n"),
        ("plain", "<web>\n\n"),
        ("jsonl", '{"place": "web"}\n{"place": null}\n'),
    ],
)
def test_a_column_says_it_in_its_own_words(
    form: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A document has the value itself, and what is not there is no value to be put into words."""
    columns = (Column("place", "place", say=lambda value: f"<{value}>"),)
    Output(form, no_color=True).items([{"place": "web"}, {"place": None}], columns, None)
    assert capsys.readouterr().out.replace('""', "").replace("\r", "") == told


@pytest.mark.parametrize(("form", "told"), [("json", "[]\n"), ("jsonl", ""), ("plain", "")])
def test_an_empty_list(form: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    Output(form).items([], COLUMNS, 5)
    assert capsys.readouterr().out == told


def test_a_limit_says_that_there_is_more(capsys: pytest.CaptureFixture[str]) -> None:
    Output("plain").items(iter(ROWS), COLUMNS, 1)
    told = capsys.readouterr()
    assert told.out.startswith("alice")
    assert "bo" not in told.out
    assert "--limit all" in told.err


def test_a_list_that_ends_at_the_limit_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    Output("plain").items(iter(ROWS), COLUMNS, 2)
    assert capsys.readouterr().err == ""


def test_a_secret_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Output("table").secret("mrg_1", "A token:", {"secret": "mrg_1"})
    told = capsys.readouterr()
    assert (told.out, told.err) == ("mrg_1\n", "A token:\n")


def test_refusals_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    Output("table").refuse(Refused("What.", why="Why \x1b[1m.", do="Do."))
    told = capsys.readouterr()
    assert told.err == "Error: What.\nWhy: Why \N{REPLACEMENT CHARACTER}[1m.\nDo: Do.\n"
    assert told.out == ""


def test_refusals_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    body = b'{"title": "no", "code": "DENIED", "request_id": "r"}'
    Output("json").refuse(refusal_of(403, {"content-type": "application/json"}, body, "h"))
    assert json.loads(capsys.readouterr().err) == {
        "error": {"code": "DENIED", "message": "No.", "why": "", "do": "", "request_id": "r"}
    }


def test_refusals_of_a_server_have_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    body = b'{"title": "no", "code": "DENIED", "request_id": "r"}'
    Output("table").refuse(refusal_of(403, {"content-type": "application/json"}, body, "h"))
    assert capsys.readouterr().err == "Error: No.\nRef: r\n"


@pytest.mark.parametrize(
    ("exit_code", "code"), [(1, "FAILED"), (2, "USAGE"), (6, "PARTLY_DONE"), (8, "UNREACHABLE")]
)
def test_our_own_refusals_have_codes_too(
    exit_code: int, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Output("jsonl").refuse(Refused("No.", exit_code=exit_code))
    assert json.loads(capsys.readouterr().err)["error"]["code"] == code


@pytest.mark.parametrize(
    ("count", "told"),
    [(3, "… 1 more (--limit all)\n"), (2_000, "… more than 1,000 more (--limit all)\n"), (2, "")],
)
def test_people_are_told_how_many_more(
    count: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Output("table", no_color=True).items(iter([ROWS[0]] * count), COLUMNS, 2)
    assert capsys.readouterr().err == told


def test_quiet_says_nothing_but_what_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("plain", quiet=True)
    output.items(iter(ROWS), COLUMNS[:1], 1)
    output.done("It is done.")
    output.note("By the way.")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("alice\n", "")


def test_what_is_done_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A server's answer is in the sentence."""
    Output("table").done("It is \x1b[2Jdone.")
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (80, ["NAME       SAYS", f"{'n' * 9}  {'x' * 40}"]),
        (40, ["NAME       SAYS", f"{'n' * 9}  {'x' * 28}…"]),
        # What things are called is not cut, and a text stays long enough to be read.
        (10, ["NAME       SAYS", f"{'n' * 9}  {'x' * 11}…"]),
    ],
)
def test_a_table_fits_into_a_terminal(width: int, told: list[str]) -> None:
    columns = (Column("name", "name"), Column("says", "says"))
    rows = [{"name": "n" * 9, "says": "x" * 40}]
    assert table(rows, columns, NOW, None, width).splitlines() == told


def test_a_terminal_has_no_other_bound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    row = {"name": "a", "says": "x" * 150}
    columns = (Column("name", "name"), Column("says", "says"))
    Output("table", no_color=True).items([row], columns, None)
    assert "x" * 150 in capsys.readouterr().out
