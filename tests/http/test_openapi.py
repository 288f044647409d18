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

from moorage.api.call import Route
from moorage.api.openapi import document
from moorage.api.routes import PREFIX, ROUTES
from registry import Registry

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
SCHEMA = schemathesis.openapi.from_dict(json.loads(document(ROUTES, PREFIX)))
# What would take the right away that the test itself asks by.
NAMES = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)


def fire(registry: Registry, route: Route, examples: int) -> None:
    """Send as many requests to the route, of what the document allows and of what it does not."""
    operation = SCHEMA[PREFIX + route.path][route.method]
    cases = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def each(case: Any) -> None:
        headers = {"Authorization": registry.authorization} if registry.authorization else {}
        case.call_and_validate(base_url=registry.url, headers=headers, checks=CHECKS)

    each()


@NAMES
def test_quickly(administrator: Registry, route: Route) -> None:
    """A few requests to each route."""
    fire(administrator, route, 12)


@NAMES
@pytest.mark.long
def test_at_length(administrator: Registry, route: Route) -> None:
    """Many requests to each route."""
    fire(administrator, route, 400)


@NAMES
def test_as_nobody(administered: Registry, route: Route) -> None:
    """A few requests to each route without credentials."""
    fire(administered, route, 4)
