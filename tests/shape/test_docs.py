"""What a person can set, type or scrape is named in docs/, and the reference is the code's."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

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


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """Return the program that writes the reference."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says(generate: ModuleType) -> None:
    """Where it is not, `python docs/generate.py` writes it anew."""
    pages = dict(generate.pages())
    assert [str(path) for path, text in pages.items() if text != path.read_text()] == []
    parts = re.findall(r"<!-- from the code: ([a-z]+) -->", "".join(pages.values()))
    assert sorted(parts) == sorted(generate.PARTS)


def test_what_nobody_has_described_is_a_failure(generate: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"Nothing says what `moorage_\w+` means"):
        generate.metrics({})


def test_a_changed_row_is_made_anew(generate: ModuleType, tmp_path: Path) -> None:
    text = page("configuration.md")
    wrong = text.replace("| `workers` | number | `0` |", "| `workers` | number | `1` |")
    assert wrong != text
    generate.DOCS = tmp_path
    (tmp_path / "page.md").write_text(wrong)
    assert list(generate.pages()) == [(tmp_path / "page.md", text)]
    generate.DOCS = DOCS


def test_links_lead_somewhere() -> None:
    """Also those from the pages that stand at the root, which the site does not all have."""
    sources = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "bench" / "RESULTS.md"]
    links = [
        (path, target.partition("#")[0])
        for path in sources
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text())
        if ":" not in target and not target.startswith("#")
    ]
    assert len(links) > 100
    assert [(str(path), to) for path, to in links if not (path.parent / to).exists()] == []


def test_what_was_measured_is_what_the_readme_says() -> None:
    """Both figures of each row are the medians of one measurement, and the ratio is theirs."""
    text = (ROOT / "README.md").read_text()
    results = (ROOT / "bench" / "RESULTS.md").read_text().splitlines()
    table = text.partition("\n## Measured\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:] if line[:2] == "| "]
    measured = [row for row in rows if len(row) == 4]
    assert len(measured) >= 10
    for what, ours, peer, ratio in measured:
        assert [line for line in results if f"| {ours} (" in line and f"| {peer} (" in line], what
        told = float(re.findall(r"[\d.]+", ratio)[0])
        assert told == pytest.approx(_number(ours) / _number(peer), rel=0.06), what


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def test_the_site_has_every_page() -> None:
    listed = re.findall(r"^ +- ([a-z0-9/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    kinds = ("tutorials", "how-to", "reference", "explanation")
    there = [f"{kind}/{path.name}" for kind in kinds for path in (DOCS / kind).glob("*.md")]
    assert sorted(listed) == sorted(["index.md", *there])


def test_the_code_names_pages_that_are_there() -> None:
    named = {
        (path.name, name)
        for place in ("src", "tests", "deploy", "bench")
        for path in (ROOT / place).rglob("*.py")
        for name in re.findall(r"docs/[\w/-]+\.md", path.read_text())
    }
    assert len(named) > 5
    assert [pair for pair in named if not (ROOT / pair[1]).exists()] == []
