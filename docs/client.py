"""Writes the typed client from the OpenAPI document; `--check` only says whether it is there.

    python docs/client.py            after a change of an operation of the API
    python docs/client.py --check    exit 1 where a file is not what the document says

Each noun of the API has a file in `src/moorage/client/operations`: the documents that its
operations take and give, and a function for each operation. What several have is with the first.
"""

import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moorage.api.openapi import document
from moorage.api.routes import PREFIX, ROUTES

ROOM = Path(__file__).parents[1] / "src" / "moorage" / "client" / "operations"
_PACKAGE = "moorage.client.operations"
_PLAIN = {"string": "str", "integer": "int", "boolean": "bool", "number": "float", "null": "None"}
_HEAD = '''"""{title}.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""
'''


class Maker:
    """Makes one file for each noun, in the order of the document."""

    def __init__(self, made: dict[str, Any]) -> None:
        """Take the document."""
        self._schemas: dict[str, Any] = made["components"]["schemas"]
        self._tags: list[dict[str, str]] = made["tags"]
        self._operations: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
        for path, methods in made["paths"].items():
            for method, each in methods.items():
                self._operations.setdefault(each["tags"][0], []).append((method, path, each))
        self._home: dict[str, str] = {}
        self._imports: set[str] = set()

    def files(self) -> Iterator[tuple[Path, str]]:
        """Yield each file with its text, not formatted yet."""
        for tag in self._tags:
            module = tag["name"].replace(" ", "_")
            yield ROOM / f"{module}.py", self._file(module, tag)

    def _file(self, module: str, tag: dict[str, str]) -> str:
        self._imports = {"from moorage.client.api import Api"}
        functions = [self._function(module, *each) for each in self._operations[tag["name"]]]
        own = [name for name, home in self._home.items() if home == module]
        types = [self._type(module, name) for name in own]
        parts = [
            _HEAD.format(title=tag["description"].rstrip(".")),
            "\n".join(sorted(self._imports)),
        ]
        text = "\n\n".join([*parts, *types, *functions])
        words = [
            word for word in ("Any", "Literal", "NotRequired", "TypedDict", "cast") if word in text
        ]
        more = f"from typing import {', '.join(words)}\n"
        if "Iterator[" in text:
            more = f"from collections.abc import Iterator\n{more}"
        return text.replace(parts[1], f"{more}\n{parts[1]}", 1)

    def _type(self, module: str, name: str) -> str:
        schema = self._schemas[name]
        needed = set(schema.get("required", ()))
        lines = [f"class {_name(name)}(TypedDict):", *_docstring(schema["description"]), ""]
        for field, kind in schema["properties"].items():
            assert field.isidentifier(), field
            assert not keyword.iskeyword(field), field
            text = self._kind(module, kind)
            lines.append(f"    {field}: {text if field in needed else f'NotRequired[{text}]'}")
        return "\n".join(lines)

    def _function(self, module: str, method: str, path: str, found: dict[str, Any]) -> str:
        named = [each["name"] for each in found["parameters"] if each["in"] == "path"]
        given = ["api: Api", *(f"{name}: str" for name in named)]
        body = found.get("requestBody")
        if body:
            given.append(f"document: {self._content(module, body)}")
        asked = [each for each in found["parameters"] if each["in"] == "query"]
        has_match = any(each["name"] == "If-Match" for each in found["parameters"])
        if asked or has_match:
            given += ["*", *(self._asked(module, each) for each in asked)]
            given += ['match: str = ""'] if has_match else []
        parts = [each for each in path.removeprefix(PREFIX).split("/") if each]
        words = [each[1:-1] if each[0] == "{" else f'"{each}"' for each in parts]
        words += ["document=document"] if body else []
        words += [_passed(each["name"]) for each in asked]
        words += ["match=match"] if has_match else []
        gives, call = self._call(module, method, found, ", ".join(words))
        lines = [
            f"def {found['operationId'].replace('-', '_')}({', '.join(given)}) -> {gives}:",
            *_docstring(f"Ask `{method.upper()} {path}`.\n\n{found['summary']}."),
            f"    {call}",
        ]
        return "\n".join(lines)

    def _call(self, module: str, method: str, found: dict[str, Any], words: str) -> tuple[str, str]:
        success = next(each for status, each in found["responses"].items() if status[0] == "2")
        verb = f"api.get({words})" if method == "get" else f'api.send("{method.upper()}", {words})'
        if "content" not in success:
            return "None", verb
        schema = success["content"]["application/json"]["schema"]
        whole = self._schemas[_component(schema)]["properties"]
        if method == "get" and list(whole) == ["items"]:
            kind = f"Iterator[{self._kind(module, whole['items']['items'])}]"
            verb = f"api.items({words})"
        else:
            kind = self._kind(module, schema)
        return kind, f'return cast("{kind}", {verb})'

    def _content(self, module: str, where: dict[str, Any]) -> str:
        return self._kind(module, where["content"]["application/json"]["schema"])

    def _asked(self, module: str, parameter: dict[str, Any]) -> str:
        # What is typed at a terminal is for the server to judge, so that its words are told.
        schema = {**parameter["schema"], "enum": []}
        name = _argument(parameter["name"])
        kind = self._kind(module, schema)
        if parameter["required"]:
            return f"{name}: {kind}"
        return f"{name}: int = 0" if kind == "int" else f'{name}: str = ""'

    def _kind(self, module: str, schema: dict[str, Any]) -> str:
        """Return a schema as a type; a document that no file has yet is of this one from now on."""
        if "$ref" in schema:
            return self._known(module, _component(schema))
        if "anyOf" in schema:
            return " | ".join(self._kind(module, each) for each in schema["anyOf"])
        if schema.get("enum"):
            return f"Literal[{', '.join(json.dumps(each) for each in schema['enum'])}]"
        if schema.get("type") == "array":
            return f"list[{self._kind(module, schema.get('items', {}))}]"
        if schema.get("type") == "object":
            inside = schema.get("additionalProperties")
            return f"dict[str, {self._kind(module, inside) if inside else 'Any'}]"
        return _PLAIN[schema["type"]] if schema else "Any"

    def _known(self, module: str, name: str) -> str:
        if name not in self._home:
            for inner in self._schemas[name]["properties"].values():
                self._kind(module, inner)
            self._home[name] = module
        home = self._home[name]
        if home != module:
            self._imports.add(f"from {_PACKAGE}.{home} import {_name(name)}")
        return _name(name)


def _component(schema: dict[str, Any]) -> str:
    return str(schema["$ref"].rpartition("/")[2])


def _name(component: str) -> str:
    return component.rpartition(".")[2]


def _argument(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _passed(name: str) -> str:
    return f'**{{"{name}": {name}_}}' if keyword.iskeyword(name) else f"{name}={name}"


def _docstring(text: str) -> list[str]:
    first, _, rest = re.sub(r"[ \t]*\n[ \t]*", "\n", text).partition("\n\n")
    wrapped = textwrap.wrap(f'"""{first}'.replace("\n", " "), 95)
    for paragraph in filter(None, rest.split("\n\n")):
        wrapped += ["", *textwrap.wrap(paragraph.replace("\n", " "), 95)]
    if len(wrapped) == 1:
        wrapped[0] += '"""'
    else:
        wrapped.append('"""')
    return [f"    {line}".rstrip() for line in wrapped]


def files() -> Iterator[tuple[Path, str]]:
    """Yield each file of the client with its text as the document has it."""
    for path, text in Maker(json.loads(document(ROUTES, PREFIX))).files():
        yield path, formatted(text)


def formatted(text: str) -> str:
    """Return the text as `make format` leaves it."""
    ruff = [sys.executable, "-m", "ruff"]
    sort = [*ruff, "check", "--quiet", "--select", "I", "--fix", "--stdin-filename", "x.py", "-"]
    done = subprocess.run(sort, input=text, capture_output=True, text=True, check=True)  # noqa: S603
    lay = [*ruff, "format", "--quiet", "-"]
    return subprocess.run(lay, input=done.stdout, capture_output=True, text=True, check=True).stdout  # noqa: S603


def main(words: list[str]) -> int:
    """Write the files, or say which are not as the document has them."""
    made = dict(files())
    there = {path for path in ROOM.glob("*.py") if path.name != "__init__.py"}
    changed = [path for path, text in made.items() if path not in there or path.read_text() != text]
    for path in sorted({*changed, *(there - set(made))}):
        if "--check" not in words:
            path.write_text(made[path]) if path in made else path.unlink()
        print(path.relative_to(ROOM.parents[3]))
    return int("--check" in words and bool(changed or there - set(made)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
