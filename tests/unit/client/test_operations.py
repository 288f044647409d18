"""Each function of the typed client asks for the operation that it is called by."""

import inspect
import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import pytest

from moorage.api.call import Route
from moorage.api.routes import ROUTES, find
from moorage.client.api import Api
from moorage.client.http import Answer, Connection, Place

ANSWER = Answer(200, {}, b'{"items": [{"name": "first"}]}')


class Asked(Connection):
    """Answers everything with a document, and remembers what was asked."""

    def __init__(self) -> None:
        super().__init__(Place(url="https://registry.example"))
        self.method = self.path = ""
        self.body: bytes | None = None
        self.more: Mapping[str, str] = {}

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Answer:
        self.method, self.path, self.body, self.more = method, path, body, more or {}
        return ANSWER


def operation(route: Route) -> Any:
    """Return the function of a route."""
    module = import_module(f"moorage.client.operations.{route.noun.replace(' ', '_')}")
    return getattr(module, route.name.replace("-", "_"))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_it_asks_for_its_operation(route: Route) -> None:
    function, connection = operation(route), Asked()
    given: dict[str, Any] = {}
    for name, each in list(inspect.signature(function).parameters.items())[1:]:
        given[name] = {"some": "thing"} if name == "document" else 7 if each.default == 0 else name
    made = function(Api(connection), **given)
    if isinstance(made, Iterator):
        assert list(made) == [{"name": "first"}]
    path, _, query = connection.path.partition("?")
    found = find(path)
    assert found is not None
    assert found.routes[connection.method] is route
    assert found.values == {name: name for name in found.values}
    asked = {pair.partition("=")[0] for pair in query.split("&") if pair}
    assert asked == {*route.query, *(["after", "limit"] if route.pages else [])}
    assert (json.loads(connection.body) if connection.body else None) == given.get("document")
    assert connection.more == ({"If-Match": '"match"'} if route.conditional else {})


def test_what_is_not_asked_for_is_left_out() -> None:
    connection = Asked()
    [listing] = [route for route in ROUTES if route.name == "list-images"]
    list(operation(listing)(Api(connection)))
    assert connection.path == "/api/v1/images"
