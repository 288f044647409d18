"""Every door that takes a secret counts the wrong ones of an address, and of nobody else."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import pytest

from api import Api
from conftest import PASSWORD
from process import Server
from registry import Answer, Registry, basic

pytestmark = pytest.mark.metadata

FAILURES = 1
TRIES = 40  # a little more than the 30 that are then free in a minute
FORM = ("Content-Type", "application/x-www-form-urlencoded")
UNSIGNED = base64.urlsafe_b64encode(b'{"alg":"RS256"}').decode().rstrip("=")
IDENTITY = f"{UNSIGNED}.{base64.urlsafe_b64encode(b'{}').decode().rstrip('=')}.c2ln"

DOORS = ["exchange", "links/find", "links/redeem", "setup", "refresh", "token", "identity"]
NUMBERS = count(1)
Door = Callable[[str], Answer]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a server of one process, which is what counts, behind a proxy on this machine."""
    place: Path = tmp_path_factory.mktemp("secrets")
    secret = place / "password"
    secret.write_text(PASSWORD)
    env = {
        "MOORAGE_ADMIN_USER": "admin",
        "MOORAGE_ADMIN_PASSWORD_FILE": str(secret),
        "MOORAGE_TRUSTED_PROXIES": "127.0.0.1",
        "MOORAGE_LIMITS__FAILED_SIGN_INS": str(FAILURES),
    }
    with Server(place / "data", env=env, workers=1) as server:
        yield server.url


def door(url: str, name: str) -> Door:
    """Return what sends something wrong to a door from an address."""
    registry = Registry(url)
    link = "mrg_" + "0" * 38
    password = {"password": PASSWORD, "name": "mallory"}
    bodies = {
        "exchange": {"token": IDENTITY},
        "links/find": {"secret": link},
        "links/redeem": {"secret": link, **password},
        "setup": {"secret": link, **password},
    }

    def send(address: str) -> Answer:
        forwarded = ("X-Forwarded-For", address)
        if name in bodies:
            return Api(url).post(f"/{name}", bodies[name], X_Forwarded_For=address)
        if name == "refresh":
            form = urlencode({"grant_type": "refresh_token", "refresh_token": "mrr_" + "0" * 38})
            return registry.post("/token", form.encode(), [FORM, forwarded])
        secret = link if name == "token" else IDENTITY
        header = ("Authorization", basic("token", secret))
        return registry.get("/v2/", [header, forwarded])

    return send


def address() -> str:
    """Return an address that no other test has."""
    return f"192.0.2.{next(NUMBERS)}"


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.requirement("S-104")
def test_wrong_ones_are_slowed_down(url: str, name: str) -> None:
    send, evil, home = door(url, name), address(), address()
    answers = [send(evil) for _ in range(TRIES)]
    refused = answers[0].status
    assert refused in (401, 404)
    assert [answer.status for answer in answers[:30]] == [refused] * 30
    assert answers[-1].status == 429
    assert int(answers[-1]["Retry-After"]) >= 1
    assert b"TOOMANYREQUESTS" in answers[-1].body
    # Not what it claims to be, nor somebody else, nor who has a password there.
    assert send(f"{home}, {evil}").status == 429
    assert send(home).status == refused
    signed_in = Registry(url, ("admin", PASSWORD))
    assert signed_in.get("/v2/", {"X-Forwarded-For": evil}).status == 200


def test_a_prefix_is_one_address(url: str) -> None:
    send = door(url, "exchange")
    answers = [send(f"2001:db8:7:7::{number:x}").status for number in range(TRIES)]
    assert answers[-1] == 429
    assert send("2001:db8:7:8::1").status == 401


def test_who_has_a_link_can_not_ask_it_for_names(url: str) -> None:
    """Each try with a good link is a hash, and tells whether a name is taken."""
    admin = Api(url, ("admin", PASSWORD))
    links = [
        admin.post("/links", {"kind": "invitation"}).expect(201).json()["secret"] for _ in range(2)
    ]

    def redeem(secret: str, name: str) -> int:
        asked = {"secret": secret, "password": PASSWORD, "name": name}
        return Api(url).post("/links/redeem", asked, X_Forwarded_For=address()).status

    assert redeem(links[0], "admin") == 409
    assert redeem(links[0], "admin") == 429
    assert redeem(links[1], "alice") == 201
