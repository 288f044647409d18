"""What each client needs to be there, for `pytestmark` and for parameters of tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from process import require_tool

SLOW = pytest.mark.timeout(600)
ROOT = pytest.mark.needs_root
SKOPEO = require_tool("skopeo")

NEEDS = {
    "docker": [ROOT, SKOPEO, require_tool("docker"), require_tool("dockerd")],
    "podman": [ROOT, SKOPEO, require_tool("podman"), require_tool("runc")],
    "buildah": [ROOT, SKOPEO, require_tool("buildah")],
    "ctr": [ROOT, require_tool("ctr"), require_tool("containerd"), require_tool("runc")],
    "skopeo": [SKOPEO],
    "oras": [],
}
ENGINES = ("docker", "podman", "buildah", "ctr")
EVERY_CLIENT = (*ENGINES, "skopeo", "oras")


def given(*names: str) -> list[Any]:
    """Return clients as parameters of a test, each with what it needs."""
    return [pytest.param(name, marks=NEEDS[name]) for name in names]


def needs(*names: str) -> list[pytest.MarkDecorator]:
    """Return the marks of a module whose tests use all of these clients."""
    return [mark for name in names for mark in NEEDS[name]]


def needing(*names: str) -> Callable[[Any], Any]:
    """Mark one test as using these clients."""

    def mark_all(test: Any) -> Any:
        for mark in needs(*names):
            test = mark(test)
        return test

    return mark_all
