"""The OpenAPI 3.1 document of the management API, made from its routes and their types."""

import inspect
import re
import sys
from functools import cache
from typing import Any

import msgspec

from moorage import __version__
from moorage.api.call import DEFAULT_PAGE, MAX_PAGE, TIME, Route
from moorage.api.examples import BODIES, KINDS, PARAMETERS, QUERIES
from moorage.api.fields import DIGEST
from moorage.api.pushes import MOST
from moorage.model.access import Action
from moorage.oci.names import COMPONENT, MAX_COMPONENT, MAX_NAME, TAG
from moorage.registry.jobs import STATES
from moorage.registry.namespaces import VISIBILITIES
from moorage.registry.repository_table import PULLED, SORTS, TYPES
from moorage.registry.tag_table import BY_NAME, NEWEST

_REFERENCE = "#/components/schemas/{name}"
_NAME = {"type": "string", "pattern": f"^{COMPONENT}$", "maxLength": MAX_COMPONENT}
_ID = {"type": "integer", "minimum": 1, "maximum": 10**15}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 300}
_PARAMETERS: dict[str, dict[str, Any]] = {
    "namespace": _NAME,
    "account": _NAME,
    "team": _NAME,
    "robot": _NAME,
    "repository": {
        "type": "string",
        "pattern": f"^{COMPONENT}(?:/{COMPONENT})*$",
        "maxLength": MAX_NAME,
    },
    "kind": {"type": "string", "enum": ["account", "team", "robot"]},
    "principal": {
        "type": "string",
        "pattern": f"^{COMPONENT}(?:[+/]{COMPONENT})?$",
        "maxLength": 2 * MAX_COMPONENT + 1,
    },
    "token": _ID,
    "issuer": _ID,
    "provider": _NAME,
    "rule": _ID,
    "job": _ID,
    "run": _ID,
    "damage": _ID,
    "link": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "state": {"type": "string", "enum": list(STATES)},
    "q": _TEXT,
    "actor": _TEXT,
    "event": _TEXT,
    "trust": _NAME,
    "tag": {"type": "string", "pattern": f"^{TAG}$"},
    "digest": {"type": "string", "pattern": f"^{DIGEST}$"},
    "reference": {"type": "string", "minLength": 1, "maxLength": 200},
    "with": {"type": "string", "minLength": 1, "maxLength": 200},
    "other": {
        "type": "string",
        "pattern": f"^{COMPONENT}(?:/{COMPONENT})*$",
        "maxLength": MAX_NAME,
    },
    "platform": {"type": "string", "minLength": 1, "maxLength": 100},
    "sort": {"type": "string", "enum": [BY_NAME, NEWEST], "default": BY_NAME},
    "filter": {"type": "string", "minLength": 1, "maxLength": 128},
    "visibility": {"type": "string", "enum": list(VISIBILITIES)},
    "type": {"type": "string", "enum": list(TYPES)},
    "pulled": {"type": "string", "enum": list(PULLED)},
    "as_of": {"type": "string", "pattern": f"^{TIME}$"},
    "deleted": {"type": "boolean", "default": False},
    "who": {
        "type": "string",
        "pattern": f"^{COMPONENT}(?:[+]{COMPONENT})?$",
        "maxLength": 2 * MAX_COMPONENT + 1,
    },
    "action": {"type": "string", "enum": sorted(each.value for each in Action)},
    "days": {"type": "integer", "minimum": 1, "maximum": 90, "default": 30},
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
    "after": {"type": "string", "maxLength": 300},
}
_NEEDED = ("action", "digest", "with")
# Where a word is another thing in a query than in an address.
_ASKED: dict[str, dict[str, Any]] = {
    "kind": {"type": "string", "enum": ["repository", "tag", "label", "digest"]},
}
# And where it is another thing for one operation.
_OF_ONE: dict[tuple[str, str], tuple[dict[str, Any], str]] = {
    ("list-images", "sort"): (
        {"type": "string", "enum": list(SORTS), "default": BY_NAME},
        "By name, or what changed last first.",
    ),
    ("list-pushes", "limit"): (
        {"type": "integer", "minimum": 1, "maximum": MOST, "default": MOST},
        "How many there are at most.",
    ),
}
_SAID = {
    "who": "Whose; the caller's own if it is not there.",
    "principal": "An account `alice`, a robot `web+ci` or a team `web/dev`.",
    "namespace": "A namespace.",
    "repository": "A repository; the slashes in its name may be written as they are or as %2F.",
    "reference": "A tag, a digest, or the first 8 or more digits of one.",
    "with": "The other image: a tag, a digest, or the first 8 or more digits of one.",
    "other": "The repository of the other image; the same one if it is not there.",
    "platform": "Of indexes, the image for this platform, such as linux/amd64.",
    "sort": "By name, or the image that was pushed last first.",
    "filter": "How tags begin, or a pattern for all of them with `*`, `?` and `[…]`.",
    "visibility": "Only repositories of this visibility.",
    "type": "Only repositories whose newest image is one.",
    "pulled": "Only those pulled within 90 days; or older ones that were not, as far as counted.",
    "as_of": "At what time, as 2026-09-14T12:00:00Z; now if it is not there.",
    "deleted": "Those that were deleted and not made anew, instead of those that there are.",
    "q": "The words that are looked for; nothing is found without any.",
    "days": "Of how many days, today among them.",
    "limit": "How many items the page has at most.",
    "after": "Where the page begins: behind this item, as the Link of the page before says.",
}
_REASONS = {
    400: "The address is malformed.",
    401: "Nobody is signed in, or with what is no longer good.",
    403: "It is not allowed, or came from a page of another site.",
    404: "There is nothing of that name, or nothing that the caller may see.",
    408: "The body stopped in the middle.",
    409: "It does not go together with what is there; or its Idempotency-Key has been used.",
    412: "Conditions are not taken on changes; or this one, or what was expected, does not hold.",
    413: "The body has more than 1 MiB.",
    414: "The query has too many parameters.",
    415: "The body is not JSON.",
    422: "The body or a parameter is not what it must be; the detail names the field.",
    429: "Too many requests; Retry-After says when to come back.",
    500: "A fault of the server.",
    503: "The server can't do it now; nothing was changed.",
}
_ALWAYS = (400, 401, 403, 404, 414, 422, 429, 500, 503)
_CHANGES = (408, 412, 413, 415)


class Problem(msgspec.Struct, frozen=True):
    """Problem details (RFC 9457): what happened, why, and what to do."""

    type: str
    title: str
    status: int
    code: str
    request_id: str
    detail: str = ""
    do: str = ""


@cache
def document(routes: tuple[Route, ...], prefix: str) -> bytes:
    """Return the document of these routes, encoded."""
    types = [Problem, *(each for route in routes for each in (route.takes, route.gives) if each)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    named = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(prefix + route.path, {})[route.method.lower()] = _operation(route, named)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Moorage",
                "version": __version__,
                "description": "The management API of a container registry.",
            },
            "tags": _tags(routes),
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {
                    "basic": {"type": "http", "scheme": "basic"},
                    "bearer": {"type": "http", "scheme": "bearer"},
                },
            },
            "security": [{"basic": []}, {"bearer": []}],
        }
    )


def _tags(routes: tuple[Route, ...]) -> list[dict[str, str]]:
    """Return the nouns in their order, each with what its file says of itself."""
    files = {route.noun: sys.modules[route.handler.__module__] for route in routes}
    return [
        {"name": noun, "description": _sentence((file.__doc__ or "").partition(": ")[2])}
        for noun, file in files.items()
    ]


def _whole(route: Route) -> str:
    """Return what the handler promises, as one paragraph."""
    return " ".join((inspect.getdoc(route.handler) or "").partition("\n\n")[0].split())


def _sentence(text: str) -> str:
    first = text.partition("\n\n")[0].strip()
    return first[:1].upper() + first[1:]


def statuses(route: Route) -> dict[int, str]:
    """Return every status that the route may answer with, beside that of success, and why."""
    found = {*_ALWAYS, *(_CHANGES if route.changes else ())}
    if route.clashes or route.method == "POST":
        found.add(409)
    return {status: _REASONS[status] for status in sorted(found)}


def _operation(route: Route, named: dict[int, Any]) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", route.path)
    parameters = [_parameter(route, name, "path") for name in names]
    asked = (*route.query, *(("after", "limit") if route.pages else ()))
    parameters += [_parameter(route, name, "query") for name in asked]
    if route.method == "POST" and route.action is not None:
        parameters.append(_KEY)
    if route.conditional:
        parameters.append(_MATCH)
    needs = f"Needs: {route.action}." if route.action else "Open."
    made: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.noun],
        "summary": route.summary,
        "description": f"{_whole(route)}\n\n{needs}",
        "parameters": parameters,
        "responses": _responses(route, named),
    }
    if route.action is None:
        made["security"] = []
    if route.takes is not None:
        body = {"schema": named[id(route.takes)], "example": BODIES[route.name]}
        made["requestBody"] = {"required": True, "content": {"application/json": body}}
    return made


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text; the same request with the same key is done once within a day.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}

_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    # No pattern: what is no version is one that it has not, as it is with any condition.
    "description": (
        'The version that it must still have, as its ETag begins: `"3"`. 412 where it has not.'
    ),
    "schema": {"type": "string"},
}


def _parameter(route: Route, name: str, place: str) -> dict[str, Any]:
    schema, said = _OF_ONE.get((route.name, name), (None, _SAID.get(name, f"The {name}.")))
    if schema is None:
        schema = (_ASKED.get(name) if place == "query" else None) or _PARAMETERS[name]
    made = {
        "name": name,
        "in": place,
        "required": place == "path" or name in _NEEDED,
        "description": said,
        "schema": schema,
    }
    if made["required"] or name == QUERIES.get(route.name):
        made["example"] = KINDS if name == "kind" else PARAMETERS[name]
    return made


def _responses(route: Route, named: dict[int, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done."}
    if route.gives is not None:
        success["content"] = _json(named[id(route.gives)])
    if route.pages:
        success["headers"] = {
            "Link": {
                "description": 'The next page, rel="next", relative; absent on the last one.',
                "schema": {"type": "string"},
            }
        }
    found = {str(route.status): success}
    if route.has_tag:
        found["304"] = {"description": "It is what If-None-Match says."}
    for status, reason in statuses(route).items():
        found[str(status)] = {
            "description": reason,
            "content": {"application/problem+json": {"schema": named[id(Problem)]}},
        }
    return found


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
