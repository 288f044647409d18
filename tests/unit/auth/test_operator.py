"""The admin socket's word on who asks: of nobody but a process at the other end of it."""

import asyncio
import os
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from moorage.auth import operator
from moorage.auth.operator import Operators
from moorage.auth.policy import decide, require
from moorage.errors import Denied
from moorage.model.access import Action, Actor, Facts, Namespace, RepositoryTarget, System
from moorage.oci.names import RepositoryName

OPERATOR = Actor("operator", "unix:root", "socket")


def request(connection: socket.socket | None, **changes: Any) -> Any:
    """Return a request over a connection, as the command line sends it."""
    headers = {"Host": "moorage", **changes.pop("headers", {})}
    return SimpleNamespace(
        **{
            "raw_headers": [(name.encode(), text.encode()) for name, text in headers.items()],
            "headers": headers,
            "is_http_1_1": True,
            "actor": "",
            "connection": {"socket": connection}.get,
            **changes,
        }
    )


def authenticate(asked: Any) -> Actor:
    """Return whom it is taken for."""
    return asyncio.run(Operators().authenticate(asked))


def test_the_server_s_own_user() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        found = authenticate(request(one))
    assert (found.kind, found.credential) == ("operator", "socket")
    assert found.name.startswith("unix:")


def test_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "uid_of", lambda _: 12_345)
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other, pytest.raises(Denied, match="root and the server's own user"):
        authenticate(request(one))


def test_root_of_a_server_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    monkeypatch.setattr(operator, "uid_of", lambda _: 0)
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert authenticate(request(one)).kind == "operator"


def test_a_connection_of_another_kind() -> None:
    """Should it ever answer one over TCP, nobody there is the operator."""
    with socket.socket(socket.AF_INET) as connection, pytest.raises(Denied):
        authenticate(request(connection))
    with pytest.raises(Denied):
        authenticate(request(None))


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"Origin": "http://moorage"}},
        {"headers": {"SEC-FETCH-SITE": "none"}},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"headers": {"Host": "localhost"}},
        {"is_http_1_1": False},
    ],
)
def test_pages_and_proxies(changes: dict[str, Any]) -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other, pytest.raises(Denied, match="pages and proxies"):
        authenticate(request(one, **changes))


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(
    "target", [System(), Namespace("web"), RepositoryTarget(RepositoryName.parse("web/shop"))]
)
def test_it_may_everything(action: Action, target: Any) -> None:
    assert decide(OPERATOR, action, target, Facts()).allowed
    require(OPERATOR, action, target, Facts())


def test_it_is_no_account() -> None:
    """It has no rights of its own that could be looked up, nor uploads that it could be told by."""
    assert not OPERATOR.is_signed_in
    assert OPERATOR.owner != Actor("account", "root", "password").owner
