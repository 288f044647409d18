"""Help is quick, and shows how each group is used."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from moorage.cli.client import dry_run_option, with_options
from moorage.cli.main import commands
from moorage.errors import Refused

QUICK_SECONDS = 0.150
SOURCES = str(Path(__file__).parents[3] / "src")
CLIENTS = [
    *("config", "login", "logout", "whoami", "user", "invite", "team", "namespace", "repo"),
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


def walk(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """Yield the context of each command below this one."""
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from walk(inner, click.Context(inner, parent=context, info_name=name))


def test_no_section_of_a_help_is_long() -> None:
    """At most nine commands or options under a title."""
    for context in walk(commands, click.Context(commands, info_name="moorage")):
        sections = re.split(r"^\S.*:$", context.get_help(), flags=re.MULTILINE)[1:]
        for section in sections:
            rows = re.findall(r"^  \S+", section, re.MULTILINE)
            assert len(rows) <= 9, (context.command_path, rows)


def test_common_options_may_stand_before_the_command() -> None:
    """All that a command that asks a server has, but for its own."""

    @click.command()
    @with_options
    @dry_run_option
    def asking() -> None: ...

    spelled = {
        name: not (option.is_flag or option.count)
        for option in asking.params
        if isinstance(option, click.Option)
        for name in option.opts
    }
    assert commands._common == {**spelled, "-vv": False}


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (["-o", "json"], ["repo", "list"]),
        (["--server=h", "-q"], ["api", "GET", "/x", "--", "-y"]),
    ],
)
def test_they_are_moved_behind_it(before: list[str], words: list[str]) -> None:
    context = commands.make_context("moorage", [*before, *words], resilient_parsing=True)
    end = words.index("--") if "--" in words else len(words)
    wanted = [*words[:end], *before, *words[end:]]
    assert [*context._protected_args, *context.args] == wanted


def test_an_option_that_a_command_does_not_have_is_refused_before_it_too() -> None:
    told = CliRunner().invoke(commands, ["--server", "registry.example", "config", "check"])
    assert told.exit_code == 2
    assert "No such option '--server'" in told.output


@pytest.mark.parametrize(
    "words", [["--json", "repo", "lst"], ["repo", "list", "-o", "json", "--x"]]
)
def test_usage_is_json_for_programs(words: list[str]) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "moorage", *words],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    error = json.loads(told.stderr)["error"]
    assert error["code"] == "USAGE"
    assert error["message"].startswith("No such ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_has_its_script(shell: str) -> None:
    told = CliRunner().invoke(commands, ["completion", shell])
    assert told.exit_code == 0
    assert "_MOORAGE_COMPLETE" in told.output


def test_help_on_topics_and_commands() -> None:
    def told(*words: str) -> str:
        return CliRunner().invoke(commands, ["help", *words]).output

    for topic in ("exit-codes", "errors", "env-vars"):
        assert topic in told()
    assert "PARTLY_DONE" in told("errors")
    assert "Usage: moorage tag diff" in told("tag", "diff").replace("commands", "moorage")
    refused = CliRunner().invoke(commands, ["help", "tga"]).exception
    assert isinstance(refused, Refused)
    assert refused.do == "Did you mean tag?"
