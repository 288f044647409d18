"""How far a long command is: a line for people, and documents for programs."""

import json
import sys

import pytest

from moorage.cli.options import How
from moorage.cli.progress import Progress, line_of
from moorage.registry.move import Step


@pytest.mark.parametrize(
    ("step", "seconds", "told"),
    [
        (Step("rows", 7), 0.0, "rows: 7"),
        (Step("blobs", 0, 4), 0.0, "blobs  ░░░░░░░░░░  0 %  0/4"),
        (Step("blobs", 3, 4), 0.5, "blobs  ███████░░░  75 %  3/4"),
        (Step("blobs", 20, 100), 10.0, "blobs  ██░░░░░░░░  20 %  20/100  eta 40 s"),
        (Step("blobs", 11, 4000), 10.0, "blobs  ░░░░░░░░░░  0 %  11/4000  eta 66 min"),
        # What goes on after an interruption has not done that part in these seconds.
        (Step("blobs", 10, 10), 5.0, "blobs  ██████████  100 %  10/10"),
    ],
)
def test_lines(step: Step, seconds: float, told: str) -> None:
    before = {20: 0, 11: 1, 10: 10}.get(step.done, 0)
    assert line_of(step, seconds, before) == told


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("auto", "blobs  █████░░░░░  50 %  1/2\nIt goes on.\n"),
        ("json", '{"what": "blobs", "done": 1, "total": 2}\n{"told": "It goes on."}\n'),
        ("none", ""),
    ],
)
def test_forms(
    how: How, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every step: the second comes at once, and is not told."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    progress = Progress(how)
    progress.tell(Step("blobs", 1, 2))
    progress.tell(Step("blobs", 2, 2))
    progress.say("It goes on.")
    progress.end()
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", told)
    assert how != "json" or [json.loads(line) for line in found.err.splitlines()]
