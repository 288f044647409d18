"""Who asks: every form of `Authorization`."""

import asyncio
import base64
from typing import cast

import pytest
from multidict import CIMultiDict

from moorage.auth.credentials import CHALLENGE, Administrator, Credentials
from moorage.auth.local import LocalMode
from moorage.auth.passwords import hash_password
from moorage.config import Config
from moorage.errors import Unauthorized
from moorage.model.access import Actor
from moorage.web.request import Request

PASSWORD = "correct: horse ünd battery"
ADMINISTRATOR = Administrator("admin", hash_password(PASSWORD))


class Asked:
    """A request as far as credentials are concerned."""

    def __init__(self, authorization: str | None) -> None:
        self.headers = CIMultiDict({"Authorization": authorization} if authorization else {})
        self.actor = ""


def basic(user: str, password: str, scheme: str = "Basic") -> str:
    """Return the header of a user and password."""
    return f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def authenticate(authorization: str | None) -> tuple[Actor, str]:
    """Return who the registry says it is, and what goes into the access log."""
    asked = Asked(authorization)
    credentials = Credentials(ADMINISTRATOR, LocalMode(Config()))
    actor = asyncio.run(credentials.authenticate(cast("Request", asked)))
    return actor, asked.actor


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_administrator(scheme: str) -> None:
    actor, logged = authenticate(basic("admin", PASSWORD, scheme))
    assert actor == Actor("administrator", "admin", "password")
    assert logged == "admin"


def test_nobody() -> None:
    actor, logged = authenticate(None)
    assert (actor.kind, actor.refusal, logged) == ("anonymous", "", "anonymous")


@pytest.mark.parametrize(
    "authorization",
    [
        basic("admin", "wrong password"),
        basic("other", PASSWORD),
        basic("Admin", PASSWORD),
        basic("admin", PASSWORD + "\0"),
        basic("admin\0", PASSWORD),
        basic("admin", ""),
        basic("", PASSWORD),
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YWRtaW4",
        "Basic YWRtaW4=",
        "Basic /w==",
        "Basic é",
        "Bearer abc",
        "Negotiate abc",
        "admin",
    ],
)
def test_refused_in_one_way(authorization: str) -> None:
    """Nothing but 401 with a challenge, whatever is wrong with it."""
    with pytest.raises(Unauthorized) as refused:
        authenticate(authorization)
    assert refused.value.headers["WWW-Authenticate"] == CHALLENGE


def test_name_and_password_are_refused_in_the_same_words() -> None:
    told = set()
    for user, password in (("admin", "wrong password"), ("nobody", PASSWORD), ("nobody", "x")):
        with pytest.raises(Unauthorized) as refused:
            authenticate(basic(user, password))
        told.add((refused.value.message, refused.value.hint))
    assert len(told) == 1
