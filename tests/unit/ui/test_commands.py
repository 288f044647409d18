"""The commands that pages show: whatever is in a value, a shell takes it as that value alone."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from moorage.ui import commands
from moorage.ui.commands import Command
from moorage.ui.page import View


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "two words",
        "$(reboot)",
        "`reboot`",
        "a;b",
        "a'b",
        'a"b',
        "a\\b",
        "*",
        "~",
        "#",
        "",
        "-x",
        "--now",
    ],
)
def test_a_value_is_one_word(value: str) -> None:
    made = Command("Do it", "tag list", (value,), (f"--filter={value}",))
    words = shlex.split(str(made), comments=True)
    end = ["--"] if value.startswith("-") else []
    assert words == ["moorage", "tag", "list", f"--filter={value}", *end, value]


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b", "\u202e", "\n", "\x7f"])
def test_what_would_steer_a_terminal_is_in_no_command(evil: str) -> None:
    facts: dict[str, Any] = {"q": f"a{evil}"}
    assert commands.of_view(View("search.html", "", facts)) == ()
    assert commands.of_view(View("search.html", "", {"q": "a"})) != ()


def test_what_is_refused_has_none() -> None:
    assert commands.of_view(View("search.html", "", {"q": "a"}, status=404)) == ()
    assert commands.of_view(View("refused.html", "", {})) == ()
