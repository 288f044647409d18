"""Which route an address is, and that every route says what it needs."""

import re

import msgspec
import pytest

from moorage.api.examples import BODIES, KINDS, PARAMETERS, QUERIES
from moorage.api.openapi import _PARAMETERS, statuses
from moorage.api.routes import PREFIX, ROUTES, find

# What is open, because its body carries a secret that is good for it alone, or by its nature.
OPEN = {"search", "set-up", "find-link", "redeem-link", "begin-session", "exchange-token"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_is_complete(route):
    assert (route.action is None) == (route.name in OPEN)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", route.name)
    assert route.summary
    assert route.method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    assert (route.gives is None) == (route.status == 204)
    assert set(re.findall(r"\{(\w+)\}", route.path)) <= _PARAMETERS.keys()
    assert {401, 404, 422} <= statuses(route).keys()
    assert route.status not in statuses(route)


def test_every_body_has_an_example_that_is_one():
    assert set(BODIES) == {route.name for route in ROUTES if route.takes is not None}
    for route in ROUTES:
        if route.takes is not None:
            msgspec.convert(BODIES[route.name], route.takes)


def test_examples_in_addresses_are_what_can_be_there():
    assert set(PARAMETERS) <= set(_PARAMETERS)
    asked = {route.name: route.query for route in ROUTES}
    assert all(parameter in asked[name] for name, parameter in QUERIES.items())
    for name, example in {**PARAMETERS, "kind": KINDS}.items():
        schema = _PARAMETERS[name]
        assert isinstance(example, int) == (schema["type"] == "integer"), name
        assert re.fullmatch(schema.get("pattern", ".+"), str(example)), name
        assert example in schema.get("enum", [example]), name


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_is_found(route):
    path = re.sub(r"\{\w+\}", "name", PREFIX + route.path)
    found = find(path)
    assert found is not None
    assert found.routes[route.method] is route
    assert set(found.values.values()) <= {"name"}


@pytest.mark.parametrize(
    ("text", "name"),
    [("web", "web"), ("web/shop", "web/shop"), ("a%2Fb/c", "a/b/c"), ("-a/b-", "-a/b-")],
)
def test_names_of_repositories(text, name):
    found = find(f"{PREFIX}/repositories/{text}")
    assert found is not None
    assert found.values == {"repository": name}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/repositories/",
        "/api/v1/repositories/a/",
        "/api/v1/repositories//a",
        "/api/v1/repositories/-",
        "/api/v1/repositories/a/-",
        "/api/v1/repositories/a/-/b",
        "/api/v1/repositories/a%00",
        "/api/v1/repositories/a%0a",
        "/api/v1/repositories/%ff",
        "/api/v1/repositories/a%7F",
        "/api/v1/whoami/",
        "/api/v1/whoami\n",
        "/API/v1/whoami",
        "/api/v1/%77hoami",
        "//api/v1/whoami",
        "/api/v1/repositories/" + "a" * 3_000,
        "/api/v1/repositories/" + "a/" * 900 + "-",
    ],
)
def test_what_is_no_address(path):
    assert find(path) is None
