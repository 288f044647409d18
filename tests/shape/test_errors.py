"""The errors against the specification's table, their own drawing, and both renderings."""

import importlib
import json
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import moorage
from moorage import errors
from moorage.errors import ManifestBlobUnknown, RegistryError
from moorage.web.errors import render

DIGEST = "sha256:" + "0" * 64
TABLE = tomllib.loads((Path(__file__).parents[1] / "cases" / "oci_error_codes.toml").read_text())
BRANCH = re.compile(r"^([ │]*)[├└]── (\w+) +(?:([A-Z_]+) )?(\d{3})$")


class Entry(NamedTuple):
    """A class as the drawing has it: under which one, its own code if any, its status."""

    parent: str
    code: str | None
    status: int


def all_errors() -> list[type[RegistryError]]:
    """Return every subclass of the whole program."""
    for module in pkgutil.walk_packages(moorage.__path__, "moorage."):
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            importlib.import_module(module.name)
    return sorted(set(below(RegistryError)), key=lambda each: each.__name__)


def below(root: type[RegistryError]) -> Iterator[type[RegistryError]]:
    """Yield the subclasses at any depth."""
    for child in root.__subclasses__():
        if child.__module__.startswith("moorage."):
            yield child
        yield from below(child)


def drawn(text: str) -> dict[str, Entry]:
    """Return the tree of a docstring."""
    found: dict[str, Entry] = {}
    path: dict[int, str] = {}
    for line in text.splitlines():
        match = BRANCH.match(line)
        if match is None:
            continue
        depth = len(match[1])
        parent = path.get(depth - 4, "RegistryError")
        path[depth] = match[2]
        found[match[2]] = Entry(parent, match[3], int(match[4]))
    return found


def instance(kind: type[RegistryError]) -> RegistryError:
    """Return one with nothing but its own defaults."""
    return kind([DIGEST]) if issubclass(kind, ManifestBlobUnknown) else kind()


EVERY = [pytest.param(kind, id=kind.__name__) for kind in all_errors()]


@pytest.mark.parametrize("kind", EVERY)
def test_code_and_status_are_of_the_table(kind: type[RegistryError]) -> None:
    row = TABLE[kind.code]
    extra = {int(status) for status in row.get("extra", {})}
    assert kind.status in {*row["statuses"], *extra}


def test_every_extra_status_is_used() -> None:
    """A reason for a status that nothing answers with would only mislead."""
    used = {(kind.code, kind.status) for kind in all_errors()}
    listed = {(code, int(status)) for code, row in TABLE.items() for status in row.get("extra", {})}
    assert listed - used == set()


def test_the_specification_has_fourteen_codes() -> None:
    rows = {row["spec"] for row in TABLE.values() if "spec" in row}
    assert rows == {f"code-{number}" for number in range(1, 15)}


def test_every_code_of_the_specification_has_a_class() -> None:
    codes = {kind.code for kind in all_errors()}
    assert {code for code, row in TABLE.items() if "spec" in row} <= codes


def test_one_class_for_each_code() -> None:
    own = [kind.code for kind in all_errors() if "code" in vars(kind)]
    assert sorted(own) == sorted(set(own))


def test_messages_are_there_and_unique() -> None:
    own = [kind.message for kind in all_errors() if {"code", "message"} & vars(kind).keys()]
    assert all(message.strip() for message in own)
    assert sorted(own) == sorted(set(own))


def test_the_drawing_is_the_tree() -> None:
    real = {
        kind.__name__: Entry(kind.__base__.__name__, vars(kind).get("code"), kind.status)
        for kind in all_errors()
        if kind.__module__ == errors.__name__ and kind.__base__ is not None
    }
    assert drawn(errors.__doc__ or "") == real


def answered(error: RegistryError, path: str) -> tuple[str, Any]:
    """Return the media type and the document that an error is rendered to."""
    response = render(error, path, "the-request")
    assert response.status == error.status
    assert isinstance(response.body, bytes)
    return response.headers["Content-Type"], json.loads(response.body)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/a/tags/list", "/v1/search"])
def test_rendered_as_the_specification_says(kind: type[RegistryError], path: str) -> None:
    media_type, document = answered(instance(kind), path)
    assert media_type == "application/json"
    assert document.keys() == {"errors"}
    for entry in document["errors"]:
        assert entry["code"] == kind.code
        assert re.fullmatch(r"[A-Z_]+", entry["code"])
        assert entry["message"]
        assert entry.keys() <= {"code", "message", "detail"}


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("path", ["/", "/metrics", "/v2x", "/api/v1/tags"])
def test_rendered_as_problem_details(kind: type[RegistryError], path: str) -> None:
    media_type, document = answered(instance(kind), path)
    assert media_type == "application/problem+json"
    assert document["status"] == kind.status
    assert document["title"] == kind.message
    assert document["code"] == kind.code
    assert document["request_id"] == "the-request"
    assert isinstance(document["type"], str)
