"""What a person can set, type or scrape is named in docs/."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from prometheus_client import CollectorRegistry

from moorage.cli.main import commands
from moorage.config import PREFIX, Config, flatten
from moorage.telemetry import Metrics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = ROOT / "src" / "moorage"

SETTINGS = [key for key, _ in flatten(Config())]
VARIABLES = sorted(
    {PREFIX + key.upper().replace(".", "__") for key in SETTINGS}
    | {PREFIX + "CONFIG"}
    | {
        name
        for path in SOURCES.rglob("*.py")
        for name in re.findall(rf"\b{PREFIX}[A-Z][A-Z_]+[A-Z]", path.read_text())
    }
)


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command that does something, by all of its words."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk(child, f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(walk(commands, "moorage"))


def metric_names() -> list[str]:
    """Return the metrics as a scrape shows them."""
    registry = CollectorRegistry(auto_describe=False)
    Metrics(registry, "0")
    return [
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
    ]


def named(text: str, name: str) -> bool:
    """Tell whether the text has the name as a word of its own."""
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) is not None


def page(name: str) -> str:
    """Return a page of the documentation."""
    return (DOCS / "reference" / name).read_text()


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting(key: str) -> None:
    assert named(page("configuration.md"), key)


@pytest.mark.parametrize("name", VARIABLES)
def test_every_environment_variable(name: str) -> None:
    assert named(page("configuration.md") + page("cli.md"), name)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command(path: str) -> None:
    assert named(page("cli.md"), path)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option(path: str) -> None:
    text = page("cli.md")
    options = [
        max(option.opts, key=len)
        for option in COMMANDS[path].params
        if isinstance(option, click.Option)
    ]
    assert [option for option in options if option not in text] == []


@pytest.mark.parametrize("name", metric_names())
def test_every_metric(name: str) -> None:
    assert named(page("metrics.md"), name)
