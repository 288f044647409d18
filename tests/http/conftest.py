"""The registry with everybody in it, once for the tests of a file, and its owner's browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from browser import Browser
from cast import Cast


@pytest.fixture(scope="module")
def cast() -> Iterator[Cast]:
    """Return the registry with everybody in it."""
    with Cast() as running:
        yield running


@pytest.fixture(scope="module")
def hidden_tags(cast: Cast) -> None:
    """Have a tag on what is hidden, also in a namespace that none of the people is in."""
    there = cast.asked_by["administrator"].repository("acme/private")
    there.push_manifest(there.new_image(), "latest")
    there.registry.repository("secret/x").push_image("latest")


@pytest.fixture
def owner(cast: Cast) -> Browser:
    """Return the owner's browser."""
    return Browser(cast).sign_in("owner")
