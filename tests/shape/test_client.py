"""The typed client is what the OpenAPI document says, and commands ask by it alone."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "moorage"
OPERATIONS = SOURCES / "client" / "operations"
# What knows addresses, and no types.
VERBS = {"get", "items", "send"}


def past_the_operations(text: str) -> Iterator[int]:
    """Yield the lines on which an API is asked at an address that is written there."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            whose = ast.unparse(node.func.value)
            is_api = whose == "api" or whose.endswith(".api") or whose.startswith("Api(")
            if node.func.attr in VERBS and is_api:
                yield node.lineno


def test_the_client_is_what_the_document_says() -> None:
    """Where it is not, `python docs/client.py` writes it anew."""
    spec = importlib.util.spec_from_file_location("made", ROOT / "docs" / "client.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    files = dict(made.files())
    assert [path.name for path, text in files.items() if text != path.read_text()] == []
    assert sorted(OPERATIONS.glob("*.py")) == sorted([OPERATIONS / "__init__.py", *files])


def test_commands_ask_by_operations_alone() -> None:
    found = [
        f"{path.relative_to(SOURCES)}:{line}"
        for path in sorted(SOURCES.rglob("*.py"))
        if path.parent != OPERATIONS
        for line in past_the_operations(path.read_text())
    ]
    assert found == []


def test_the_check_finds_what_it_looks_for() -> None:
    text = 'api.get("whoami")\nclient.api.items("tokens")\nApi(there).send("DELETE", "session")\n'
    assert list(past_the_operations(text)) == [1, 2, 3]
    assert not list(past_the_operations('client.api.raw("GET", path)\nwhoami(client.api)\n'))
