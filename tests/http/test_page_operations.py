"""The page of the management API: all of it, to everybody, with examples that do what they say."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from browser import Browser
from cast import Cast
from conftest import PASSWORD
from moorage.api.routes import PREFIX, ROUTES
from registry import Registry

EXAMPLES = ["create-namespace", "create-team", "list-teams", "create-repository", "explain-access"]

pytestmark = pytest.mark.metadata


def test_it_has_every_operation(cast: Cast) -> None:
    shown = Browser(cast).get("/operations.json").json()
    found = {
        (each["method"], each["path"], each["name"])
        for group in shown["groups"]
        for each in group["operations"]
    }
    assert found == {(route.method, PREFIX + route.path, route.name) for route in ROUTES}
    page = Browser(cast).get("/operations").expect(200).body.decode()
    assert all(f'id="{route.name}"' in page for route in ROUTES)
    assert 'href="/operations">API</a>' in Browser(cast).get("/").body.decode()


@pytest.mark.needs_tool("curl")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_command(administered: Registry, name: str) -> None:
    """Typed into a shell, with a password where the page has a name; each needs those before."""
    shown = administered.get("/operations.json").expect(200).json()
    [example] = [
        each["example"].replace("-u NAME", f'-u "admin:{PASSWORD}"')
        for group in shown["groups"]
        for each in group["operations"]
        if each["name"] == name
    ]
    done = subprocess.run(
        ["bash", "-c", example],
        env={**os.environ, "REGISTRY": administered.url},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    # Whoever runs it twice is told that it is there, by the same address.
    assert done.returncode == 0 or "409" in done.stderr, done.stderr
    if done.returncode == 0:
        assert json.loads(done.stdout)
