"""Help is quick, and shows how each group is used."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from moorage.cli.main import commands

QUICK_SECONDS = 0.150
SOURCES = str(Path(__file__).parents[3] / "src")
CLIENTS = [
    *("login", "logout", "whoami", "user", "invite", "team", "namespace", "repo"),
    *("tag", "manifest", "trash", "purge", "job"),
    *("inspect", "diff", "storage", "context", "api", "help"),
    *("access", "token", "robot", "trust", "issuer", "provider", "rule", "gc", "k8s"),
]


def test_help_is_quick() -> None:
    """Processor time, since others may be using the machine."""
    took: list[float] = []
    while len(took) < 5 and (not took or took[-1] > QUICK_SECONDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "moorage", "--help"],
            env={**os.environ, "PYTHONPATH": SOURCES},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) <= QUICK_SECONDS, took


def test_help_imports_no_command() -> None:
    script = (
        "import sys; sys.argv = ['moorage', '--help'];"
        "from moorage.cli.main import commands; commands(standalone_mode=False);"
        "print([n for n in sys.modules if n.startswith(('moorage.client', 'aiohttp', 'msgspec'))])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", CLIENTS)
def test_each_group_has_three_examples(name: str) -> None:
    told = CliRunner().invoke(commands, [name, "--help"])
    assert told.exit_code == 0
    usage = told.output.partition("Options:")[0].splitlines()
    assert sum("moorage " in line for line in usage[1:]) == 3


@pytest.mark.parametrize("name", CLIENTS)
def test_the_table_says_what_each_says_of_itself(name: str) -> None:
    """The group's help shows a line that is written down apart from the command."""
    found = commands.get_command(click.Context(commands), name)
    assert found is not None
    assert found.name == name
    line = commands._lazy[name][1]
    assert line.split()[0] == (found.help or "").split()[0]


def test_every_command_has_its_section() -> None:
    """At most nine under a title: more are not read."""
    told = CliRunner().invoke(commands, ["--help"]).output
    sections = told.partition("Options:")[2].split("\n\n")[1:]
    listed = [
        line.split()[0] for text in sections for line in text.splitlines()[1:] if line[2] != " "
    ]
    assert sorted(listed) == commands.list_commands(click.Context(commands))
    assert max(len(text.splitlines()) for text in sections) <= 10
