"""Who asks: every form of `Authorization`."""

import asyncio
import base64
from collections.abc import Callable
from typing import cast

import pytest
from multidict import CIMultiDict

from moorage.auth.credentials import Credentials, Guard
from moorage.auth.local import LocalMode
from moorage.clock import MINUTE, SystemClock
from moorage.config import Config
from moorage.db.migrate import migrate_sqlite
from moorage.db.sqlite import SqliteDatabase
from moorage.errors import Unauthorized
from moorage.model.access import Actor, Subject
from moorage.registry.accounts import put_administrator
from moorage.web.clients import Proxies
from moorage.web.request import Request

PASSWORD = "correct: horse ünd battery"


class Asked:
    """A request as far as credentials are concerned."""

    def __init__(self, authorization: str | None) -> None:
        self.headers = CIMultiDict({"Authorization": authorization} if authorization else {})
        self.actor = ""

    def connection(self, name: str) -> object:
        return ("192.0.2.1", 1234) if name == "peername" else None


def basic(user: str, password: str, scheme: str = "Basic") -> str:
    """Return the header of a user and password."""
    return f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


Ask = Callable[[str | None], tuple[Actor, str]]


@pytest.fixture(scope="module")
def authenticate(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Return what tells who the registry says it is, and what goes into the access log."""
    directory = tmp_path_factory.mktemp("credentials")
    migrate_sqlite(directory)

    async def body(authorization: str | None) -> tuple[Actor, str]:
        asked, clock = Asked(authorization), SystemClock()
        db = SqliteDatabase(directory)
        await db.open()
        try:
            await put_administrator(db, clock, "admin", PASSWORD)
            credentials = Credentials(db, clock, LocalMode(Config()), Guard(Proxies(())))
            actor = await credentials.authenticate(cast("Request", asked))
        finally:
            await db.close()
        return actor, asked.actor

    return lambda authorization: asyncio.run(body(authorization))


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_administrator(authenticate: Ask, scheme: str) -> None:
    actor, logged = authenticate(basic("admin", PASSWORD, scheme))
    # A time is with it, by which an account from outside is looked at.
    asked_at = actor.subject.asked_at
    assert abs(asked_at - SystemClock().now()) < MINUTE
    assert actor == Actor("account", "admin", "password", subject=Subject(1, 0, 1, asked_at))
    assert logged == "admin"


def test_nobody(authenticate: Ask) -> None:
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
def test_refused_in_one_way(authenticate: Ask, authorization: str) -> None:
    """Nothing but 401, whatever is wrong with it."""
    with pytest.raises(Unauthorized):
        authenticate(authorization)


def test_name_and_password_are_refused_in_the_same_words(authenticate: Ask) -> None:
    told = set()
    for user, password in (("admin", "wrong password"), ("nobody", PASSWORD), ("nobody", "x")):
        with pytest.raises(Unauthorized) as refused:
            authenticate(basic(user, password))
        told.add((refused.value.message, refused.value.hint))
    assert len(told) == 1
