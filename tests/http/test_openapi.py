"""Schemathesis over the OpenAPI document: no fault of the server, no undocumented answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import oidc
from api import Api
from conftest import PASSWORD
from moorage.api.call import Route
from moorage.api.openapi import document
from moorage.api.routes import PREFIX, ROUTES
from registry import Registry, unique

pytestmark = pytest.mark.metadata

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
SCHEMA = schemathesis.openapi.from_dict(json.loads(document(ROUTES, PREFIX)))
NAMES = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)


def known(admin: Api) -> dict[str, Any]:
    """Make one of everything, and return what each template of a path may stand for."""
    account, _ = admin.account()
    name = unique("o")
    admin.post("/namespaces", {"name": name}).expect(201)
    admin.post(f"/namespaces/{name}/teams", {"name": "dev"}).expect(201)
    admin.post(f"/namespaces/{name}/robots", {"name": "ci"}).expect(201)
    admin.post("/repositories", {"name": f"{name}/app"}).expect(201)
    pusher = Registry(admin.url)
    pusher.authorization = admin.headers["Authorization"]
    pushed = pusher.repository(f"{name}/app").push_image("latest")
    admin.put(f"/namespaces/{name}/grants/account/{account}", {"role": "reader"}).expect(200)
    made = admin.post(f"/namespaces/{name}/robots/ci/tokens", {"name": "x"}).expect(201)
    token = made.json()["token"]["id"]
    keys = json.dumps({"keys": [oidc.new_key("ES256", "key").as_dict(private=False)]})
    url = f"https://{name}.example"
    issuer = admin.post("/issuers", {"url": url, "jwks": keys}).expect(201).json()["id"]
    trust: dict[str, Any] = {"name": "builds", "issuer": url, "robot": "ci", "audience": "registry"}
    trust["rules"] = [{"claim": "sub", "patterns": ["job"]}]
    admin.post(f"/namespaces/{name}/trusts", trust).expect(201)
    admin.post("/verification/runs", {"kind": "full"}).expect((202, 409))
    rule = admin.post(f"/namespaces/{name}/rules", {"pattern": "v*"}).expect(201).json()["id"]
    admin.post("/links", {"kind": "invitation"}).expect(201)
    return {
        "link": admin.get("/links?limit=1").expect(200).json()["items"][0]["id"],
        "rule": rule,
        "issuer": issuer,
        # None can be had: this server asks nobody on this machine.
        "provider": "corp",
        "trust": "builds",
        "namespace": name,
        "team": "dev",
        "robot": "ci",
        "account": account,
        "repository": f"{name}/app",
        "tag": "latest",
        "reference": "latest",
        "digest": pushed.digest,
        "job": admin.get("/jobs?limit=1").expect(200).json()["items"][0]["id"],
        "run": admin.get("/verification/runs?limit=1").expect(200).json()["items"][0]["id"],
        "damage": 1,
        "kind": "account",
        "principal": account,
        "token": token,
    }


def fire(api: Api, route: Route, examples: int, there: dict[str, Any] | None = None) -> None:
    """Send as many requests to the route, of what the document allows and of what it does not.

    The allowed ones are about what is there, if that is given.
    """
    operation = SCHEMA[PREFIX + route.path][route.method]
    allowed = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    others = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(allowed.map(lambda case: (True, case)), others.map(lambda c: (False, c))))
    def each(case: tuple[bool, Any]) -> None:
        is_allowed, asked = case
        if is_allowed and there is not None:
            for name in asked.path_parameters or ():
                asked.path_parameters[name] = there[name]
        asked.call_and_validate(base_url=api.url, headers=api.headers, checks=CHECKS)

    each()


def owner(admin: Api, there: dict[str, Any]) -> Api:
    """Return the API as somebody who owns the namespace asks it."""
    name, api = admin.account()
    path = f"/namespaces/{there['namespace']}/grants/account/{name}"
    admin.put(path, {"role": "owner"}).expect(200)
    return api


def confined(admin: Api, there: dict[str, Any]) -> Api:
    """Return the API as that owner asks it by a token for one repository."""
    scopes = [{"pattern": there["repository"], "actions": ["pull", "push"]}]
    asked = {"name": "confined", "scopes": scopes}
    made = owner(admin, there).post("/tokens", asked).expect(201).json()
    return Api(admin.url, made["secret"])


def robot(admin: Api, there: dict[str, Any]) -> Api:
    """Return the API as the robot asks it, by a bearer token."""
    path = f"/namespaces/{there['namespace']}/robots/ci/tokens"
    secret = admin.post(path, {"name": "x", "days": 1}).expect(201).json()["secret"]
    asked = f"/token?scope=repository:{there['repository']}:pull"
    bearer = Registry(admin.url, ("robot", secret)).get(asked).expect(200).json()["token"]
    return Api(admin.url, bearer)


def stranger(admin: Api, there: dict[str, Any]) -> Api:
    """Return the API as somebody asks it who may nothing there."""
    return admin.account()[1]


def nobody(admin: Api, there: dict[str, Any]) -> Api:
    """Return the API without credentials."""
    return Api(admin.url)


CALLERS = {each.__name__: each for each in (owner, confined, robot, stranger, nobody)}


@pytest.fixture(scope="module")
def admin(administered: Registry) -> Api:
    """Return the API as an administrator that nobody misses asks it."""
    first = Api(administered.url, ("admin", PASSWORD))
    name, api = first.account()
    first.patch(f"/accounts/{name}", {"administrator": True}).expect(200)
    return api


@pytest.fixture(scope="module")
def there(admin: Api) -> dict[str, Any]:
    """Return what is there, for routes that leave it so."""
    return known(admin)


@NAMES
def test_quickly(admin: Api, route: Route, there: dict[str, Any]) -> None:
    """A few requests to each route: those that are allowed are about what is there."""
    fire(admin, route, 5, known(admin) if route.method == "DELETE" else there)


@NAMES
@pytest.mark.deep
@pytest.mark.timeout(600)
def test_at_length(admin: Api, route: Route) -> None:
    """Many requests to each route."""
    fire(admin, route, 200)
    fire(admin, route, 200, known(admin))


@NAMES
@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", CALLERS)
def test_as_others_at_length(admin: Api, route: Route, who: str) -> None:
    """The same by those who may less, or nothing, or whose credentials are no good."""
    there = known(admin)
    caller = CALLERS[who](admin, there)
    fire(caller, route, 20)
    fire(caller, route, 20, there)


@SCHEMA.parametrize()
@settings(phases=[Phase.explicit], deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.deep
@pytest.mark.timeout(600)
def test_boundaries(case: Any, admin: Api) -> None:
    """What a document's limits and types have on either side, each once, of each operation."""
    case.call_and_validate(base_url=admin.url, headers=admin.headers, checks=CHECKS)


def test_the_document_has_every_route() -> None:
    """Nothing of the API is left out of what is fired at."""
    found = {
        (method.upper(), path)
        for path, methods in json.loads(document(ROUTES, PREFIX))["paths"].items()
        for method in methods
    }
    assert found == {(route.method, PREFIX + route.path) for route in ROUTES}


@NAMES
def test_as_nobody(administered: Registry, route: Route) -> None:
    """A few requests to each route without credentials."""
    fire(Api(administered.url), route, 2)
