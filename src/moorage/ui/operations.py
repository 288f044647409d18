"""`/operations`: the management API for people, as its OpenAPI document has it."""

import json
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from moorage.auth.address import address_of
from moorage.registry.services import Services
from moorage.ui.caller import authenticate
from moorage.ui.page import Page, View, Visit

_Json = Mapping[str, Any]
_JSON = "application/json"
_WORDS = {"string": "text", "integer": "number", "boolean": "true or false"}


async def show(s: Services, visit: Visit) -> View:
    """Show every operation with what it needs, takes and gives; open, as the document is."""
    await authenticate(s, visit)
    raw = s.openapi()
    facts = {
        "base": address_of(s.config, visit.request).base,
        "refusals": _refusals(raw),
        "groups": groups_of(raw),
    }
    return View("operations.html", "API", facts, crumbs=(("API", ""),))


@cache
def groups_of(raw: bytes) -> list[dict[str, object]]:
    """Return the operations of a document, by what they are about and in its order."""
    document = msgspec.json.decode(raw)
    schemas = document["components"]["schemas"]
    found: dict[str, list[dict[str, object]]] = {}
    for path, methods in document["paths"].items():
        for method, each in methods.items():
            shown = _operation(method.upper(), path, each, schemas)
            found.setdefault(each["tags"][0], []).append(shown)
    return [
        {"name": tag["name"], "about": tag["description"], "operations": found[tag["name"]]}
        for tag in document["tags"]
    ]


@cache
def _refusals(raw: bytes) -> dict[str, str]:
    """Return what each status says that anything may be refused with."""
    paths = msgspec.json.decode(raw)["paths"].values()
    found = {
        status: answer["description"]
        for methods in paths
        for each in methods.values()
        for status, answer in each["responses"].items()
        if status >= "400"
    }
    return dict(sorted(found.items()))


def _operation(method: str, path: str, each: _Json, schemas: _Json) -> dict[str, object]:
    about, _, needs = each["description"].partition("\n\n")
    body = each.get("requestBody", {}).get("content", {}).get(_JSON)
    # What is done comes first, before what may be in the way.
    status, *refused = each["responses"]
    gives = each["responses"][status].get("content", {}).get(_JSON, {}).get("schema")
    return {
        "name": each["operationId"],
        "method": method,
        "path": path,
        "summary": each["summary"],
        "about": about,
        "needs": needs,
        "parameters": [
            {
                "name": parameter["name"],
                "place": parameter["in"],
                "required": parameter["required"],
                "about": parameter["description"],
                "kind": _kind(parameter["schema"], schemas),
            }
            for parameter in each["parameters"]
        ],
        "takes": _fields(body["schema"], schemas) if body else [],
        "status": int(status),
        "gives": _fields(gives, schemas),
        "refusals": [int(each) for each in refused],
        "example": _example(method, path, each, body),
    }


def _example(method: str, path: str, each: _Json, body: _Json | None) -> str:
    """Return the operation as curl asks it of `$REGISTRY`."""
    query = []
    for parameter in each["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
        elif parameter["in"] == "query" and "example" in parameter:
            query.append(f"{parameter['name']}={parameter['example']}")
    words = ["curl", "-fsS"]
    words += ["-u", "NAME"] if each.get("security") != [] else []
    words += ["-X", method] if method != ("POST" if body else "GET") else []
    words += ["--json", json.dumps(body["example"], ensure_ascii=False)] if body else []
    return f'{shlex.join(words)} "$REGISTRY{path}{"?" if query else ""}{"&".join(query)}"'


def _fields(schema: _Json | None, schemas: _Json) -> list[dict[str, object]]:
    """Return the fields of a document, empty for what has none."""
    named = schemas.get(schema["$ref"].rpartition("/")[2]) if schema and "$ref" in schema else None
    if named is None:
        return []
    needed = named.get("required", [])
    return [
        {"name": name, "kind": _kind(each, schemas), "required": name in needed}
        for name, each in named.get("properties", {}).items()
    ]


def _kind(schema: _Json, schemas: _Json) -> str:
    """Return what a value is, in a few words; a document by its fields."""
    return " or ".join(dict.fromkeys(_kinds(schema, schemas)))


def _kinds(schema: _Json, schemas: _Json) -> Iterator[str]:
    if "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _kinds(each, schemas)
    elif "enum" in schema:
        yield ", ".join(map(str, schema["enum"]))
    elif "$ref" in schema:
        named = schemas[schema["$ref"].rpartition("/")[2]]
        yield f"{{{', '.join(named['properties'])}}}"
    elif schema.get("type") == "array":
        yield f"list of {_kind(schema['items'], schemas)}"
    else:
        kind = str(schema.get("type", "anything"))
        yield _WORDS.get(kind, kind)


PAGES = (Page(name="operations", path="/operations", action=None, show=show),)
