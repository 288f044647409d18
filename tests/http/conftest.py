"""Who tests ask as: everybody of a registry, its owner in a browser, an administrator, a host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api import Api
from browser import Browser
from cast import Cast
from cli import Person
from conftest import PASSWORD
from process import Server
from registry import Registry


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


@pytest.fixture(scope="session")
def admin(administered: Registry) -> Api:
    """Return the API as its administrator asks it."""
    return Api(administered.url, ("admin", PASSWORD))


@pytest.fixture(scope="module")
def opened() -> Iterator[Server]:
    """Run a server that nobody has an account at yet, with an admin socket."""
    with Server(env={"MOORAGE_ADMIN_SOCKET": "on"}) as running:
        yield running
        running.stop()


@pytest.fixture(scope="module")
def host(opened: Server, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Return root on the server's host, who has no login."""
    environment = {
        "MOORAGE_DATA": str(opened.data),
        "MOORAGE_SERVER": "local",
        **{name: text for name, text in opened.env.items() if name == "MOORAGE_DATABASE"},
    }
    return Person(tmp_path_factory.mktemp("host"), **environment)
