"""The house: what may import what, and how large a room may be.

Every import counts: at module level, in a function, under TYPE_CHECKING, relative or not.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "moorage"
MOST_LINES = 400
MOST_LINES_OF_FUNCTION = 60
MOST_METHODS = 9

# The picture of docs/explanation/architecture.md, lowest rank first. A module may import its own
# room and the rooms of lower ranks; rooms on one rank are blind to each other.
PICTURE = """
errors
clock | config
telemetry
outbound
oci
layers
model
blobs | db | web
events | jobs
auth
client
registry | scan | delivery
v2 | api | ui | worker
app
cli
"""
RANKS = {
    room.strip(): rank
    for rank, line in enumerate(PICTURE.strip().splitlines())
    for room in line.split("|")
}
# The only places that may catch whatever happens: each is the last one that could.
CATCH_ALL = {("web/server.py", "_respond"), ("jobs/queue.py", "_run"), ("cli/main.py", "main")}


def sources(package: Path) -> Iterator[tuple[str, str, ast.Module]]:
    """Yield each file's path within the package, its text and its tree."""
    for path in sorted(package.rglob("*.py")):
        text = path.read_text()
        yield path.relative_to(package).as_posix(), text, parsed(text)


@cache
def parsed(text: str) -> ast.Module:
    """Return a file's tree, which nobody changes; most of the time here goes into making it."""
    return ast.parse(text)


@cache
def walked(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Return everything in a tree, found once."""
    return tuple(ast.walk(tree))


def imported(package: str, file: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of everything that a file imports."""
    inside = [package, *file.removesuffix(".py").split("/")[:-1]]
    for node in walked(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level + 1] if node.level else []
            module = [*base, *(node.module or "").split(".")]
            for alias in node.names:
                yield node.lineno, ".".join(filter(None, [*module, alias.name]))


def upward_imports(package: Path) -> Iterator[str]:
    """Yield the imports that do not point down."""
    for file, _, tree in sources(package):
        room = file.removesuffix(".py").partition("/")[0]
        if room.startswith("__"):
            continue
        if room not in RANKS:
            yield f"{file}: the room {room} has no rank"
            continue
        for line, name in imported(package.name, file, tree):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if top != package.name or target in ("", room) or target not in RANKS:
                continue
            if RANKS[target] >= RANKS[room]:
                yield f"{file}:{line}: {room} imports {target}"


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method."""
    for node in walked(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return a function's lines with its decorators."""
    first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
    return (function.end_lineno or first) - first + 1


def catches_all(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler keeps whatever was raised from going on."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {each.id if isinstance(each, ast.Name) else "" for each in caught if each is not None}
    if handler.type is not None and not names & {"Exception", "BaseException"}:
        return False
    last = handler.body[-1]
    return not (isinstance(last, ast.Raise) and last.exc is None)


def test_imports_point_down() -> None:
    assert list(upward_imports(PACKAGE)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import house.v2",
        "import house.v2.app",
        "from house import v2",
        "from house.v2 import app",
        "from ..v2 import app",
        "from .. import v2",
        "def f():\n    from house.v2 import app",
        "if TYPE_CHECKING:\n    from house.v2 import app",
        "from house.web import send",
    ],
)
def test_every_form_of_import_counts(tmp_path: Path, source: str) -> None:
    """The check itself: each form of an import up, or to a neighbour, is found."""
    room = tmp_path / "house" / "db"
    room.mkdir(parents=True)
    (room / "tags.py").write_text(source)
    assert len(list(upward_imports(tmp_path / "house"))) == 1


@pytest.mark.parametrize("source", ["import house.oci", "from house.db import x", "import v2"])
def test_imports_down_and_within_are_fine(tmp_path: Path, source: str) -> None:
    room = tmp_path / "house" / "db"
    room.mkdir(parents=True)
    (room / "tags.py").write_text(source)
    assert list(upward_imports(tmp_path / "house")) == []


def test_files_are_short() -> None:
    sizes = {
        file: sum(1 for line in text.splitlines() if line.strip())
        for file, text, _ in sources(PACKAGE)
    }
    assert {file: size for file, size in sizes.items() if size > MOST_LINES} == {}


def test_functions_are_short() -> None:
    long = [
        f"{file}:{function.lineno}: {function.name} has {length(function)} lines"
        for file, _, tree in sources(PACKAGE)
        for function in functions(tree)
        if length(function) > MOST_LINES_OF_FUNCTION
    ]
    assert long == []


def test_protocols_are_narrow() -> None:
    wide = []
    for file, _, tree in sources(PACKAGE):
        for node in walked(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
            methods = sum(isinstance(e, ast.FunctionDef | ast.AsyncFunctionDef) for e in node.body)
            if "Protocol" in bases and methods > MOST_METHODS:
                wide.append(f"{file}:{node.lineno}: {node.name} has {methods} methods")
    assert wide == []


def test_three_places_catch_everything() -> None:
    found = {
        (file, function.name)
        for file, _, tree in sources(PACKAGE)
        for function in functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.ExceptHandler) and catches_all(node)
    }
    assert found == CATCH_ALL


def test_nothing_suppresses_everything() -> None:
    found = [
        f"{file}:{node.lineno}"
        for file, _, tree in sources(PACKAGE)
        for node in walked(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("suppress")
        and {ast.unparse(each) for each in node.args} & {"Exception", "BaseException"}
    ]
    assert found == []


@pytest.mark.parametrize("banned", ["sqlite3", "pickle", "marshal", "shelve"])
def test_nothing_imports(banned: str) -> None:
    """Two SQLite libraries drop each other's locks, and unpickling runs code."""
    found = [
        f"{file}:{line}"
        for file, _, tree in sources(PACKAGE)
        for line, name in imported(PACKAGE.name, file, tree)
        if name.partition(".")[0] == banned
    ]
    assert found == []


def test_migrating_and_serving_load_no_second_sqlite(tmp_path: Path) -> None:
    """Not even what we stand on may load the standard library's SQLite."""
    script = (
        "import sys, pathlib, moorage.cli.serve, moorage.cli.audit, moorage.db.migrate as migrate;"
        "migrate.migrate_sqlite(pathlib.Path(sys.argv[1]));"
        "sys.exit(bool({'sqlite3', '_sqlite3'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=30)
